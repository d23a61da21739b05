"""Prints what other settings or another model would change, for `dedupd tune` and `dedupd models use`."""

from __future__ import annotations

from typing import Any

from dedupd.cli.console import answer
from dedupd.core.summary import visible
from dedupd.pipeline.tune import Difference

_SHOWN = 20


def as_json(found: Difference) -> dict[str, Any]:
    """The whole difference as JSON."""
    return {
        "groups": {"now": len(found.now.groups), "then": len(found.then.groups)},
        "moves": {"now": len(found.now.moves), "then": len(found.then.moves)},
        "review": {"now": len(found.now.review), "then": len(found.then.review)},
        "would_move": {path: found.then.moves[path] for path in found.more_moves},
        "would_not_move": found.fewer_moves,
        "other_keeper": {path: found.then.moves[path] for path in found.other_keepers},
        "would_wait": {path: found.then.review[path] for path in found.more_review},
        "would_not_wait": found.fewer_review,
        "contradicts": list(found.contradicts),
    }


def print_difference(found: Difference) -> None:
    """Print the counts, and the first paths of each kind."""
    answer(f"groups        {len(found.now.groups):>6} now  {len(found.then.groups):>6} then")
    answer(f"would move    {len(found.now.moves):>6} now  {len(found.then.moves):>6} then")
    answer(f"for review    {len(found.now.review):>6} now  {len(found.then.review):>6} then")
    for title, paths in (
        ("would move too", found.more_moves),
        ("would not move any more", found.fewer_moves),
        ("would move beside another keeper", found.other_keepers),
        ("would wait for you too", found.more_review),
        ("would not wait for you any more", found.fewer_review),
        ("against what you said", list(found.contradicts)),
    ):
        if paths:
            answer(f"{title}: {len(paths)}")
            for path in paths[:_SHOWN]:
                keeper = found.then.moves.get(path) or found.then.review.get(path)
                answer(f"    {visible(path)}" + (f"  beside {visible(keeper)}" if keeper else ""))
            if len(paths) > _SHOWN:
                answer(f"    … and {len(paths) - _SHOWN} more (--json lists all)")
