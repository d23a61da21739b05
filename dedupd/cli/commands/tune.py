"""`dedupd tune`: what another threshold, policy or tier would change."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from typing import Any, get_args

from dedupd.cli.console import answer, answer_json, progress_bar
from dedupd.cli.opening import opened
from dedupd.config import Settings, TierAction, Tiers
from dedupd.core.photo import Relation
from dedupd.core.summary import visible
from dedupd.errors import ExitCode, UsageError
from dedupd.library import LibraryView
from dedupd.pipeline.tune import Difference
from dedupd.pipeline.tune import tune as replayed

_SHOWN = 20


def tune(arguments: argparse.Namespace) -> int:
    then, places = opened(arguments)
    plain = argparse.Namespace(state_dir=arguments.state_dir, config=arguments.config)
    now, _ = opened(plain)
    then = replace(then, tiers=_tiers(then, arguments.tier))
    with closing(LibraryView(now, places)) as view, progress_bar(quiet=arguments.json) as progress:
        found = replayed(view.ledger, view.disk, view.roots, now, then, on_progress=progress)
    if arguments.json:
        answer_json(as_json(found))
    else:
        print_change(found)
    return int(ExitCode.OK)


def _tiers(settings: Settings, asked: list[str]) -> Tiers:
    changes: dict[str, Any] = {}
    for text in asked:
        relation, _, action = text.partition("=")
        allowed = get_args(TierAction) if relation != Relation.SIMILAR else ("review", "off")
        if relation not in set(Relation) or action not in allowed:
            raise UsageError(f"{text!r} is no tier: write relation=action, such as burst=review")
        changes[relation] = action
    return replace(settings.tiers, **changes)


def as_json(found: Difference) -> dict[str, Any]:
    """What would change, whole."""
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


def print_change(found: Difference) -> None:
    """The counts, and the first paths of each kind."""
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
