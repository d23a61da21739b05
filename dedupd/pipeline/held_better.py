"""What moved in the past is compared once more with what stayed: files in duplicates/ that hold more than the photo that stayed (P16).

Owns the comparison and the words for it. Must never move a file: what is found waits for a person's yes.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dedupd.core.dominance import NOTHING, Aspect, lost
from dedupd.core.photo import Edge, Evidence, Relation
from dedupd.core.records import HeldBetter, HeldPair
from dedupd.core.relations import MEASURES, Prospect
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import ProofRequest, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_ALL_LOOKED_AT = "looked_again"
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
    """Compare held copies of older moves with their keepers, each pair once. Returns how many hold what theirs lacks.

    `waived`: what the person's keep policy gives up; another policy looks anew. What cannot be read now (a disk that is away)
    is asked about again the next time.
    """
    rules = f"{MEASURES} without {', '.join(sorted(waived))}" if waived else MEASURES
    if ledger.get(_ALL_LOOKED_AT) == rules:
        return 0
    ledger.put("held_rules", rules)  # what `better` goes by
    waiting, here = ledger.held_checks.unchecked(rules), set(online)
    found = 0
    for start in range(0, len(waiting), _AT_ONCE):
        if stop():
            break
        asked = waiting[start : start + _AT_ONCE]
        pairs = [pair for pair in ledger.held_checks.pairs(asked) if pair.root in here]
        for pair, only_here, only_in_keeper in _compared(ledger, vision, pairs, waived):
            with ledger.transaction():
                ledger.held_checks.put(pair, rules, only_here, only_in_keeper)
            found += bool(only_here)
        on_progress(start + len(asked), len(waiting))
    if not ledger.held_checks.unchecked(rules, 1):
        ledger.put(_ALL_LOOKED_AT, rules)
    return found


def _compared(
    ledger: Ledger, vision: Vision, pairs: Sequence[HeldPair], waived: frozenset[Aspect]
) -> Iterator[tuple[HeldPair, list[str], list[str]]]:
    """Each pair that could be measured, what only the held one holds, and what only its keeper does."""
    traits = ledger.contents.traits(content for p in pairs for content in (p.content, p.keeper_content))
    by_contents: dict[tuple[str, str], list[HeldPair]] = {}
    for pair in pairs:
        if pair.content in traits and pair.keeper_content in traits:
            a, b = sorted((pair.content, pair.keeper_content))
            by_contents.setdefault((a, b), []).append(pair)  # held either way round, in two roots
    for proof in vision.prove([_request(same[0]) for same in by_contents.values()]):
        if proof.measures is None or proof.measures.holds_a is None:
            continue  # not now: nothing is known, and nothing is said
        for pair in by_contents[proof.a, proof.b]:
            edge = Edge(
                a=proof.a, b=proof.b, relation=Relation(pair.relation), unattended=True,
                evidence=Evidence(measures=proof.measures),
            )  # fmt: skip
            held, keeper = traits[pair.content], traits[pair.keeper_content]
            yield (
                pair,
                [loss.clause for loss in lost(edge, held, keeper, waived=waived)],
                [loss.clause for loss in lost(edge, keeper, held, waived=waived)],
            )


def _request(pair: HeldPair) -> ProofRequest:
    places = {pair.content: pair.held, pair.keeper_content: pair.keeper}
    a, b = sorted(places)
    return ProofRequest(
        a=a, b=b, path_a=os.path.join(pair.root, places[a]), path_b=os.path.join(pair.root, places[b]),
        may=Prospect(likely=True),
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
