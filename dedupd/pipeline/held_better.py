"""What moved in the past is looked at once more: files in duplicates/ that hold more than the photo that stayed (P16).

Owns the look and the words for it. Must never move a file: what is found waits for a person's yes.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dedupd.core.dominance import NOTHING, Aspect, lost
from dedupd.core.photo import Edge, Evidence, Relation
from dedupd.core.records import HeldBetter, HeldPair
from dedupd.core.relations import MEASURES
from dedupd.ports import ProofRequest, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_AT_ONCE = 32
"""Pairs measured before people and sweeps come in between."""


def look_again(
    ledger: Ledger,
    vision: Vision,
    online: Sequence[str],
    waived: frozenset[Aspect] = NOTHING,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Compare held copies of older moves with their keepers, each pair once. Returns how many hold what theirs lacks.

    `waived`: what the person's keep policy gives up. What cannot be read now (a disk that is away) is asked about again the
    next time.
    """
    waiting = [p for p in ledger.held_checks.unchecked(MEASURES, -1) if p.root in set(online)]
    found = 0
    for start in range(0, len(waiting), _AT_ONCE):
        if stop():
            break
        pairs = waiting[start : start + _AT_ONCE]
        found += _look(ledger, vision, pairs, waived)
        on_progress(start + len(pairs), len(waiting))
    return found


def _look(ledger: Ledger, vision: Vision, pairs: Sequence[HeldPair], waived: frozenset[Aspect]) -> int:
    traits = ledger.inventory.traits(content for p in pairs for content in (p.content, p.keeper_content))
    known = {
        (p.content, p.keeper_content): p for p in pairs if p.content in traits and p.keeper_content in traits
    }
    by_pair: dict[tuple[str, str], list[HeldPair]] = {}
    for (content, keeper_content), pair in known.items():
        by_pair.setdefault((min(content, keeper_content), max(content, keeper_content)), []).append(pair)
    better = 0
    measured = (
        (pair, proof)
        for proof in vision.prove([_request(pairs[0]) for pairs in by_pair.values()])
        for pair in by_pair[proof.a, proof.b]
    )
    for pair, proof in measured:
        if proof.measures is None or proof.measures.holds_a is None:
            continue  # not now, or a picture of several frames: nothing is known, and nothing is said
        edge = Edge(
            a=proof.a, b=proof.b, relation=Relation(pair.relation), unattended=True,
            evidence=Evidence(measures=proof.measures),
        )  # fmt: skip
        held, keeper = traits[pair.content], traits[pair.keeper_content]
        only_here = [loss.clause for loss in lost(edge, held, keeper, waived=waived)]
        with ledger.transaction():
            ledger.held_checks.put(
                pair, MEASURES, only_here, [loss.clause for loss in lost(edge, keeper, held, waived=waived)]
            )
        better += bool(only_here)
    return better


def _request(pair: HeldPair) -> ProofRequest:
    places = {pair.content: pair.held, pair.keeper_content: pair.keeper}
    a, b = sorted(places)
    return ProofRequest(
        a=a, b=b, path_a=os.path.join(pair.root, places[a]), path_b=os.path.join(pair.root, places[b])
    )


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
