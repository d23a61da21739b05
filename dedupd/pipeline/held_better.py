"""What moved in the past is compared once more with what stayed: files in duplicates/ that hold more than the photo that stayed
(P16), and shots between which and that photo something small was changed.

Owns the comparison and the words for it. Must never move a file: what is found waits for a person's yes.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dedupd.core.dominance import NOTHING, Aspect, lost
from dedupd.core.photo import Candidate, Edge, Evidence, Measures, Relation, Traits
from dedupd.core.records import HeldBetter, HeldChange, HeldPair, PairRow
from dedupd.core.relations import MEASURES, may_be_two_shots, prospect, what_changed
from dedupd.pipeline.make_lessons import typed
from dedupd.pipeline.measure_thresholds import bars_in_force
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import ProofRequest, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_ALL_LOOKED_AT, _ALL_SEEN = "looked_again", "looked_for_changes"
_AT_ONCE = 32
"""Pairs measured before people and sweeps come in between."""


def check_held(
    ledger: Ledger,
    vision: Vision,
    online: Sequence[str],
    waived: frozenset[Aspect] = NOTHING,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Stop = never,
) -> int:
    """Compare held copies of older moves with their keepers, each pair once. Returns of how many people are told: they hold
    what their keeper lacks, or something small was changed between the two shots.

    `waived`: what the person's keep policy gives up; another policy looks anew. What cannot be read now (a disk that is away)
    is asked about again the next time.
    """
    rules = f"{MEASURES} without {', '.join(sorted(waived))}" if waived else MEASURES
    checks, holdings, shots = ledger.held_checks, set[int](), set[int]()
    if ledger.get(_ALL_LOOKED_AT) != rules:
        ledger.put("held_rules", rules)  # what `better` goes by
        holdings.update(checks.unchecked(rules))
    if ledger.get(_ALL_SEEN) != MEASURES:
        shots.update(checks.unseen(MEASURES))
    waiting, here = sorted(holdings | shots), set(online)
    left, found = set(waiting), 0
    for start in range(0, len(waiting), _AT_ONCE):
        if stop():
            break
        asked = waiting[start : start + _AT_ONCE]
        pairs = checks.pairs(asked)
        held = _seen(ledger, pairs)
        wanted = [h for h in held if h.two_shots or h.pair.move in holdings]
        left.difference_update(set(asked) - {p.move for p in pairs})  # undone meanwhile
        left.difference_update({h.pair.move for h in held} - {h.pair.move for h in wanted})
        for each, measures in _compared(vision, [h for h in wanted if h.pair.root in here]):
            move, better, changed = each.pair.move, False, ""
            with ledger.transaction():
                if move in holdings:
                    here_alone, there_alone = _lost(each, measures, waived)
                    checks.put(each.pair, rules, here_alone, there_alone)
                    better = bool(here_alone)
                if move in shots and each.two_shots:
                    changed = _changed(ledger, each, measures)
                    checks.put_change(each.pair, MEASURES, changed)
            left.discard(move)
            found += bool(better or changed)
        on_progress(start + len(asked), len(waiting))
    for mark, asked, now in ((_ALL_LOOKED_AT, holdings, rules), (_ALL_SEEN, shots, MEASURES)):
        if not left & asked and ledger.get(mark) != now:
            ledger.put(mark, now)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A pair, and what was seen in both when they were read."""

    pair: HeldPair
    held: Traits
    keeper: Traits

    @property
    def two_shots(self) -> bool:
        return may_be_two_shots(self.held, self.keeper, Relation(self.pair.relation))

    @property
    def ends(self) -> tuple[str, str]:
        """Both contents, the smaller one first."""
        a, b = sorted((self.pair.content, self.pair.keeper_content))
        return a, b


def _seen(ledger: Ledger, pairs: Sequence[HeldPair]) -> list[_Held]:
    """Those of which both pictures are known."""
    traits = ledger.contents.traits(content for p in pairs for content in (p.content, p.keeper_content))
    return [
        _Held(pair=pair, held=held, keeper=keeper)
        for pair in pairs
        if (held := traits.get(pair.content)) and (keeper := traits.get(pair.keeper_content))
    ]


def _proposed(pair: HeldPair) -> Candidate:
    """What proposed the pair when it moved."""
    a, b = sorted((pair.content, pair.keeper_content))
    return Candidate(a=a, b=b, cosine=pair.evidence.cosine, hash_distance=pair.evidence.hash_distance or 0)


def _compared(vision: Vision, wanted: Sequence[_Held]) -> Iterator[tuple[_Held, Measures]]:
    """Each pair that could be measured."""
    by_contents: dict[tuple[str, str], list[_Held]] = {}
    for each in wanted:
        by_contents.setdefault(each.ends, []).append(each)  # held either way round, in two roots
    for proof in vision.prove([_request(same[0]) for same in by_contents.values()]):
        if proof.measures is None or proof.measures.holds_a is None:
            continue  # not now: nothing is known, and nothing is said
        for each in by_contents[proof.a, proof.b]:
            yield each, proof.measures


def _lost(held: _Held, measures: Measures, waived: frozenset[Aspect]) -> tuple[list[str], list[str]]:
    """What only the held one holds, and what only its keeper does."""
    a, b = held.ends
    edge = Edge(
        a=a, b=b, relation=Relation(held.pair.relation), unattended=True, evidence=Evidence(measures=measures)
    )
    ways = (held.held, held.keeper), (held.keeper, held.held)
    here, there = ([loss.clause for loss in lost(edge, *way, waived=waived)] for way in ways)
    return here, there


def _changed(ledger: Ledger, held: _Held, measures: Measures) -> str:
    """What was changed between the two shots, one clause; '' when nothing was found, or they would move today."""
    a, b = sorted((held.held, held.keeper), key=lambda traits: traits.content)
    known = _proposed(held.pair)
    row = PairRow(
        a=known.a, b=known.b, model=held.pair.evidence.model, cosine=known.cosine, hash_distance=known.hash_distance,
        measures=measures,
    )  # fmt: skip
    today = typed(row, a, b, bars_in_force(ledger, row.model), same_month=True)
    return "" if today is not None and today.unattended else what_changed(measures)


def _request(held: _Held) -> ProofRequest:
    pair, (a, b) = held.pair, held.ends
    places = {pair.content: pair.held, pair.keeper_content: pair.keeper}
    return ProofRequest(
        a=a, b=b, path_a=os.path.join(pair.root, places[a]), path_b=os.path.join(pair.root, places[b]),
        may=replace(prospect(held.held, held.keeper, _proposed(pair)), likely=True),
    )  # fmt: skip


def told(found: Sequence[HeldBetter]) -> str:
    """One sentence for people; '' when nothing was found."""
    if not found:
        return ""
    first = found[0]
    what = f"{first.held}: it {'; it '.join(first.only_here)}"
    return (
        f"{len(found)} file(s) in duplicates/ hold more than the photo that stayed (first {what}): "
        "`dedupd groups --held-better` lists them, `dedupd approve --held-better` or x in `dedupd review` exchanges them"
    )


def told_changed(found: Sequence[HeldChange]) -> str:
    """One sentence for people; '' when nothing was found."""
    if not found:
        return ""
    first = found[0]
    return (
        f"{len(found)} photo(s) in duplicates/ would not move today, as they may show what the photo that stayed does not: "
        "`dedupd groups --held-changed` lists them, `dedupd undo --held-changed` or b in `dedupd review` puts them back "
        f"(first {first.held}, beside {first.keeper}: {first.why})"
    )
