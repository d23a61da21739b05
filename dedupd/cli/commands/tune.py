"""`dedupd tune`: what another threshold, policy or tier would change."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING, Any, get_args

from dedupd.cli.console import answer_json, progress_bar
from dedupd.cli.opening import opened
from dedupd.cli.options import POLICIES, Commands, add_command, add_json, parse_threshold
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.config import Settings, Tiers


def add(commands: Commands) -> None:
    """The options of `dedupd tune`."""
    parser = add_command(
        commands,
        "tune",
        run,
        help="what other settings would change, from what was measured already; nothing is decoded or changed",
        example="dedupd tune --threshold 0.9 --tier burst=review",
    )
    parser.add_argument("--threshold", type=parse_threshold, metavar="T")
    parser.add_argument("--keep-policy", choices=POLICIES)
    parser.add_argument(
        "--tier", action="append", default=[], metavar="RELATION=ACTION", help="such as burst=review"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what these settings would change; change nothing."""
    from dataclasses import replace

    from dedupd.cli.difference import as_json, print_difference
    from dedupd.library import LibraryView
    from dedupd.pipeline.tune import tune

    then, places = opened(arguments)
    plain = argparse.Namespace(state_dir=arguments.state_dir, config=arguments.config)
    now, _ = opened(plain)
    then = replace(then, tiers=_tiers(then, arguments.tier))
    with closing(LibraryView(now, places)) as view, progress_bar(quiet=arguments.json) as progress:
        found = tune(view.ledger, view.disk, view.roots, now, then, on_progress=progress)
    if arguments.json:
        answer_json(as_json(found))
    else:
        print_difference(found)
    return int(ExitCode.OK)


def _tiers(settings: Settings, asked: list[str]) -> Tiers:
    """The settings' tiers, with `--tier RELATION=ACTION` applied. Raises UsageError when that is not a tier."""
    from dataclasses import replace

    from dedupd.config import TierAction
    from dedupd.core.photo import Relation

    changes: dict[str, Any] = {}
    for text in asked:
        relation, _, action = text.partition("=")
        allowed = get_args(TierAction) if relation != Relation.SIMILAR else ("review", "off")
        if relation not in set(Relation) or action not in allowed:
            raise UsageError(f"{text!r} is no tier: write relation=action, such as burst=review")
        changes[relation] = action
    return replace(settings.tiers, **changes)
