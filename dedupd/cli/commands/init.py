"""`dedupd init`: finds the folders that hold photos, and writes a config.toml in which every setting is
explained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.cli.finding_roots import LikelyRoot
    from dedupd.config import Places


_BEST = 10
"""Groups that are shown after the first scan."""


def add(commands: Commands) -> None:
    """The options of `dedupd init`."""
    parser = add_command(
        commands,
        "init",
        run,
        help="find your photos, and write a documented config.toml",
        example="dedupd init   |   dedupd init --estimate ~/Pictures   |   dedupd init --find --json",
        topic="configuration",
    )
    parser.add_argument("roots", nargs="*", type=Path, metavar="ROOT", help="write these, and ask nothing")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--find", action="store_true", help="list folders that hold photos, and write nothing"
    )
    instead.add_argument(
        "--estimate",
        action="store_true",
        help="with ROOT: also say, from a sample, what a first scan would come to",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write config.toml. Raises UsageError when there is one already: it is never replaced."""
    from dedupd.cli.console import can_ask
    from dedupd.config import places

    where = places(arguments.state_dir, arguments.config)
    if arguments.find:
        if arguments.roots:
            raise UsageError("--find looks for folders by itself: name none, or leave it out")
        return _find(as_json=arguments.json)
    if arguments.roots or not can_ask():  # a script says what it means
        if arguments.estimate and (arguments.json or not arguments.roots):
            raise UsageError("--estimate tells people about a ROOT: name one, and leave out --json")
        status = _write(where, arguments.roots, as_json=arguments.json)
        return _estimate(where, arguments.roots) if arguments.estimate else status
    if where.config.exists():
        raise UsageError(
            f"there is a {where.config} already: change its `roots`, or look with `dedupd doctor`"
        )
    return _ask(where, as_json=arguments.json)


def _find(*, as_json: bool) -> int:
    from dedupd.cli.console import answer, answer_json
    from dedupd.cli.finding_roots import likely_roots

    found = likely_roots(Path.home())
    if as_json:
        answer_json(
            [{"path": str(r.path), "photos": r.photos, "bytes": r.size, "whole": r.whole} for r in found]
        )
    else:
        for root in found:
            answer(_line(root))
        if not found:
            answer("No folder with photos was found in the usual places: name yours, `dedupd init FOLDER`.")
    return int(ExitCode.OK)


def _line(root: LikelyRoot) -> str:
    from dedupd.core.summary import human_bytes, visible

    more = "" if root.whole else " or more"
    return f"{visible(str(root.path))}  {root.photos} photo(s){more}, {human_bytes(root.size)}{more}"


def _write(where: Places, roots: Sequence[Path], *, as_json: bool) -> int:
    from dedupd.cli.console import answer, answer_json
    from dedupd.cli.first_config import write_config

    write_config(where.config, roots)
    if as_json:
        answer_json({"config": str(where.config), "roots": [str(root.expanduser()) for root in roots]})
    else:
        first = (
            "Look at it" if roots else "Put your folders into its `roots` (`dedupd init --find` lists some)"
        )
        answer(f"{first}, then start with `dedupd run` or `dedupd service install`")
    return int(ExitCode.OK)


def _ask(where: Places, *, as_json: bool) -> int:
    """Ask about each folder that was found; then offer a scan that changes nothing."""
    from dedupd.cli.console import says_yes, tell
    from dedupd.cli.finding_roots import likely_roots

    tell("Looking for folders with photos ...")
    found = likely_roots(Path.home())
    chosen = [root.path for root in found if says_yes(f"{_line(root)}. Watch it?")]
    if not chosen:
        raise UsageError(
            ("none was chosen" if found else "no folder with photos was found in the usual places")
            + ": name yours, `dedupd init FOLDER`; nothing was written"
        )
    status = _write(where, chosen, as_json=as_json)
    _estimate(where, chosen)
    if says_yes("Look for duplicates now? Nothing moves."):
        from dedupd.cli.main import main

        status = main(["scan", "--dry-run", *map(str, chosen), *_options(where)])
        if status == ExitCode.OK:
            _show_best(_options(where))
    return status


def _estimate(where: Places, roots: Sequence[Path]) -> int:
    from dedupd.cli.main import main

    return main(["scan", "--estimate", *map(str, roots), *_options(where)])


def _options(where: Places) -> list[str]:
    """What has another command use the same settings and state."""
    return ["--config", str(where.config)] + (["--state-dir", str(where.state)] if where.named else [])


def _show_best(places: list[str]) -> None:
    """The groups that free the most space, so that their owner sees what dedupd takes for duplicates."""
    from dedupd.cli.console import tell
    from dedupd.cli.main import main

    tell(f"The {_BEST} groups that free the most:")
    main(["groups", "--best", str(_BEST), *places])
    tell("`dedupd groups` lists them all; `dedupd review` shows the pictures side by side.")
