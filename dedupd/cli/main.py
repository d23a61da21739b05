"""The command line: which commands there are, what they take, how they fail.

Must import nothing heavy before a command is chosen. Every dedupd error ends here as one sentence on stderr
and an exit code; a traceback is a bug.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd import __version__
from dedupd.cli.console import deliver, tell
from dedupd.cli.stopping import ended, stoppable
from dedupd.errors import DedupdError

POLICIES = ("best", "oldest", "newest", "largest", "smallest", "lexi")
Command = Callable[[argparse.Namespace], int]
if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no public name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code (errors.ExitCode)."""
    arguments = _parser().parse_args(argv)
    status = _status_of(lambda: arguments.command(arguments))
    return _status_of(deliver) or status


def _status_of(act: Callable[[], int | None]) -> int:
    try:
        with stoppable():
            return int(act() or 0)
    except DedupdError as error:
        tell(f"dedupd: {error}")
        return int(error.exit_code)
    except KeyboardInterrupt as stop:
        sentence, status = ended(stop)
        tell(f"dedupd: {sentence}")
        return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dedupd",
        description="Keeps family photo libraries free of duplicates: finds them, moves them aside, and can put every one back.",
        epilog="First steps:  dedupd demo   |   dedupd scan --dry-run ~/Pictures   |   dedupd run ~/Pictures",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dedupd {__version__}")
    _places(parser, root=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _working(commands)
    _asking(commands)
    _acting(commands)
    _tools(commands)
    return parser


def _places(parser: argparse.ArgumentParser, *, root: bool = False) -> None:
    # SUPPRESS on the subcommands: the option may stand before or after the command, and must not be reset by it.
    default = None if root else argparse.SUPPRESS
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=default,
        help="where dedupd keeps its state (default: the platform's)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=default,
        help="config.toml to follow (default: the platform's)",
    )


def _command(commands: Commands, name: str, run: str, help: str, example: str) -> argparse.ArgumentParser:
    """A subcommand; `run` is 'module:function' below dedupd.cli, imported when it is chosen."""
    parser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=f"example:  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _places(parser)
    parser.set_defaults(command=_later(run))
    return parser


def _later(run: str) -> Command:
    module, function = run.split(":")

    def command(arguments: argparse.Namespace) -> int:
        import importlib

        return getattr(importlib.import_module(f"dedupd.cli.{module}"), function)(arguments)

    return command


def _json(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]  # parser or group
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def _pass_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=_threshold,
        metavar="T",
        help="cosine similarity above which pairs go to review; never widens what moves",
    )
    parser.add_argument(
        "--keep-policy", choices=POLICIES, help="which photo of a group stays (default: best)"
    )
    parser.add_argument(
        "--model",
        metavar="M",
        dest="embedder",
        help="embedder: auto, hashes, lite0, open_clip:NAME/PRETRAINED, timm:NAME.TAG",
    )
    parser.add_argument(
        "--batch-size", type=_positive, metavar="N", help="photos embedded at a time (default: 8)"
    )


def _working(commands: Commands) -> None:
    run = _command(
        commands,
        "run",
        "run:run",
        "watch folders and keep them free of duplicates (the daemon, in the foreground)",
        "dedupd run ~/Pictures",
    )
    run.add_argument(
        "roots", nargs="*", type=Path, metavar="ROOT", help="folders to watch (default: those of config.toml)"
    )
    run.add_argument("--yes", action="store_true", help="consent to the first moves in these folders")
    _pass_options(run)
    scan = _command(
        commands,
        "scan",
        "scan:scan",
        "one pass: index, compare, ask, move, write summaries",
        "dedupd scan --dry-run ~/Pictures --report duplicates.json",
    )
    scan.add_argument("roots", nargs="+", type=Path, metavar="ROOT", help="folders to scan")
    scan.add_argument(
        "--dry-run", action="store_true", help="find, but move nothing and write nothing in the folders"
    )
    scan.add_argument("--yes", action="store_true", help="move without asking")
    scan.add_argument("--report", type=Path, metavar="FILE", help="write what was found as JSON")
    scan.add_argument("--month", type=_month, metavar="YYYY-MM", help="only this month")
    _pass_options(scan)
    demo = _command(
        commands, "demo", "demo:demo", "show dedupd at work on a small gallery it makes itself", "dedupd demo"
    )
    demo.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where to make the gallery (default: a temporary folder, removed at the end)",
    )


def _asking(commands: Commands) -> None:
    for name, help in (
        ("status", "what the daemon is doing, and what waits for you"),
        ("months", "the months, with their photos, groups and savings"),
    ):
        _json(_command(commands, name, f"ask:{name}", help, f"dedupd {name} --json"))
    groups = _command(
        commands, "groups", "ask:groups", "the groups of duplicates, and why", "dedupd groups --month 2024-06"
    )
    groups.add_argument("--month", type=_month, metavar="YYYY-MM")
    groups.add_argument(
        "--held-better",
        action="store_true",
        help="only files in duplicates/ that hold more than the photo that stayed (moved by an older dedupd)",
    )
    _json(groups)
    show = _command(
        commands, "show", "ask:show", "one group with its pictures and evidence", "dedupd show 12"
    )
    show.add_argument("group", type=int, metavar="GROUP")
    _json(show)
    report = _command(
        commands,
        "report",
        "report:report",
        "what each month came to: kept, moved and waiting files, with the evidence",
        "dedupd report --html --month 2024-06 --output june.html",
    )
    report.add_argument(
        "--month", type=_month, metavar="YYYY-MM", help="only this month (default: each with duplicates)"
    )
    report.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="one page for all (default: one a month, beside its summary in the state folder)",
    )
    shape = report.add_mutually_exclusive_group()
    shape.add_argument("--html", action="store_true", help="a page with pictures that needs no other file")
    _json(shape)
    review = _command(
        commands,
        "review",
        "review:review",
        "look at groups with pictures, and decide (in the terminal, or in a browser)",
        "dedupd review    |    dedupd review --web",
    )
    review.add_argument(
        "--images",
        choices=("auto", "kitty", "sixel", "half", "off"),
        default="auto",
        help="how pictures are drawn",
    )
    review.add_argument(
        "--web",
        action="store_true",
        help="serve the same to a browser on this machine, behind a token (needs dedupd[web])",
    )
    review.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port of --web on 127.0.0.1 (default: a free one)"
    )


def _acting(commands: Commands) -> None:
    approve = _command(
        commands,
        "approve",
        "act:approve",
        "say yes: the duplicates of these groups move",
        "dedupd approve 12 15",
    )
    approve.add_argument("groups", nargs="*", type=int, metavar="GROUP")
    approve.add_argument(
        "--all",
        action="store_true",
        help="everything proposed moves, and these folders need no first yes again",
    )
    approve.add_argument(
        "--held-better",
        action="store_true",
        help="what an older dedupd moved though it holds more than the photo that stayed comes back, and the lesser one"
        " moves aside (of these groups, or of all)",
    )
    _json(approve)
    reject = _command(
        commands, "reject", "act:reject", "say no: these are no duplicates, for ever", "dedupd reject 12"
    )
    reject.add_argument("groups", nargs="+", type=int, metavar="GROUP")
    _json(reject)
    undo = _command(commands, "undo", "act:undo", "put moved files back", "dedupd undo --last")
    undo.add_argument("paths", nargs="*", metavar="PATH", help="where the file was, or where it lies now")
    undo.add_argument("--last", action="store_true", help="the last batch")
    undo.add_argument("--month", type=_month, metavar="YYYY-MM", help="everything of this month")
    undo.add_argument("--all", action="store_true", help="everything")
    undo.add_argument("--yes", action="store_true", help="do not ask")
    undo.add_argument(
        "--from",
        dest="from_root",
        type=Path,
        metavar="ROOT",
        help="from the receipts under ROOT alone, when the state is lost",
    )
    _json(undo)
    for name, help in (
        ("pause", "stop indexing and moving until `dedupd resume`"),
        ("resume", "go on after `dedupd pause`"),
        ("scan-now", "look at every folder now"),
    ):
        _json(_command(commands, name, f"act:{name.replace('-', '_')}", help, f"dedupd {name}"))


def _tools(commands: Commands) -> None:
    _json(
        _command(
            commands, "verify", "verify:verify", "prove the promises on the disk as it is", "dedupd verify"
        )
    )
    feedback = _command(
        commands,
        "feedback",
        "feedback:feedback",
        "what you taught dedupd: list it, take a lesson back, carry it to another machine",
        "dedupd feedback forget 12",
    )
    feedback.add_argument("action", nargs="?", choices=("list", "forget", "export", "import"), default="list")
    feedback.add_argument(
        "what", nargs="*", metavar="LESSON|FILE", help="lessons to forget, or the file to write or read"
    )
    _json(feedback)
    tune = _command(
        commands,
        "tune",
        "tune:tune",
        "what other settings would change, from what was measured already; nothing is decoded or changed",
        "dedupd tune --threshold 0.9 --tier burst=review",
    )
    tune.add_argument("--threshold", type=_threshold, metavar="T")
    tune.add_argument("--keep-policy", choices=POLICIES)
    tune.add_argument(
        "--tier", action="append", default=[], metavar="RELATION=ACTION", help="such as burst=review"
    )
    _json(tune)
    bench = _command(
        commands,
        "bench",
        "bench:bench",
        "measure dedupd on a labelled gallery: what it finds, what it would move wrongly, how long it takes; "
        "or, with 'speed', on photos as large as a camera's beside the naive way",
        "dedupd bench ~/labelled --truth ~/labelled/truth.json\n  dedupd bench speed",
    )
    bench.add_argument(
        "gallery", nargs="?", type=Path, metavar="FOLDER|speed",
        help="a labelled gallery (default: one it paints itself), or the word speed: time and memory of a first scan",
    )  # fmt: skip
    bench.add_argument(
        "--truth", type=Path, metavar="FILE", help="labels (default: truth.json beside the folder)"
    )
    bench.add_argument("--photos", type=_positive, help="size of what it paints (default: 30; for speed 300)")
    bench.add_argument(
        "--megapixels", type=_megapixels, default=12.0, help="of each photo, for speed (default: 12)"
    )
    bench.add_argument("--runs", type=_positive, default=3, help="for speed: medians of so many (default: 3)")
    _json(bench)
    models = _command(
        commands,
        "models",
        "models:models",
        "which embedding models there are; choose one, fetch one",
        "dedupd models use open_clip:ViT-B-32/laion2b_s34b_b79k",
    )
    models.add_argument("action", nargs="?", choices=("list", "use", "pull", "calibrate"), default="list")
    models.add_argument("name", nargs="?", metavar="MODEL")
    models.add_argument(
        "--dry-run",
        action="store_true",
        help="`use`: look with it and say what would change, but do not switch",
    )
    models.add_argument("--yes", action="store_true", help="`use`: switch without asking")
    models.add_argument(
        "--timeout", type=_positive, default=1800, metavar="SECONDS", help="give up pulling after this long"
    )
    _json(models)
    service = _command(
        commands,
        "service",
        "service:service",
        "start dedupd with your login (systemd, launchd)",
        "dedupd service install ~/Pictures",
    )
    service.add_argument("action", choices=("install", "uninstall", "status"))
    service.add_argument(
        "roots", nargs="*", type=Path, metavar="ROOT", help="folders to write into a new config.toml"
    )
    init = _command(
        commands, "init", "doctor:init", "write a documented config.toml", "dedupd init ~/Pictures"
    )
    init.add_argument("roots", nargs="*", type=Path, metavar="ROOT")
    _json(
        _command(
            commands,
            "doctor",
            "doctor:doctor",
            "check that dedupd can work here, and say what is missing",
            "dedupd doctor",
        )
    )


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no cosine similarity: give a number above 0 and up to 1, such as 0.9"
        )
    return value


def _megapixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 200:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size of a photo: give megapixels from 0.1 to 200, such as 12"
        )
    return value


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number up to 65535")
    return int(text)


def _month(text: str) -> str:
    from dedupd.core.month import Month

    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
