"""`dedupd feedback`: the verdicts of people, stored by content: list, forget, export, import.

A verdict is what a person said about two photos. Texts for people, files and messages call it a lesson.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened, opened_for_acting
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import DedupdError, ExitCode, NoDaemon, UsageError

if TYPE_CHECKING:
    from dedupd.protocol.views import LessonView

_SAID = {"different": "not duplicates", "same": "duplicates", "keep": "stays where it is"}
FORMAT = "dedupd-feedback/1"


def add(commands: Commands) -> None:
    """The options of `dedupd feedback`."""
    parser = add_command(
        commands,
        "feedback",
        run,
        help="what you taught dedupd: list it, take a lesson back, carry it to another machine",
        example="dedupd feedback forget 12",
        topic="reviewing",
    )
    parser.add_argument("action", nargs="?", choices=("list", "forget", "export", "import"), default="list")
    parser.add_argument(
        "what", nargs="*", metavar="LESSON|FILE", help="lessons to forget, or the file to write or read"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a verdict that should be forgotten does not exist."""
    acts = {"list": _list, "forget": _forget, "export": _export, "import": _import}
    return acts[arguments.action](arguments)


def _verdicts(arguments: argparse.Namespace) -> list[LessonView]:
    from dedupd.library import LibraryView

    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        return view.reviewer.lessons()


def _list(arguments: argparse.Namespace) -> int:
    import msgspec

    from dedupd.core.summary import visible

    verdicts = _verdicts(arguments)
    if arguments.json:
        answer_json([msgspec.to_builtins(verdict) for verdict in verdicts])
        return int(ExitCode.OK)
    for verdict in verdicts:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(verdict.at))
        paths = "  |  ".join(visible(p) for p in verdict.paths)
        told = f"  (and {verdict.told} more like it)" if verdict.told else ""
        answer(f"{verdict.id:>6}  {when}  {_SAID[verdict.kind]:<17}  {paths}{told}")
    if not verdicts:
        answer("you have not told dedupd anything yet: `dedupd review`, `dedupd approve`, `dedupd reject`")
    return int(ExitCode.OK)


def _forget(arguments: argparse.Namespace) -> int:
    """Forget a verdict, as if it had never been given; the photos are grouped anew."""
    if not arguments.what or not all(text.isdigit() for text in arguments.what):
        raise UsageError(
            "which lessons? `dedupd feedback list` numbers them, as in `dedupd feedback forget 12`"
        )
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.client.connection import ask
    from dedupd.library import Library
    from dedupd.protocol.requests import ForgetLessons
    from dedupd.protocol.results import Acted

    settings, places = opened_for_acting(arguments)
    ids = [int(text) for text in arguments.what]
    try:
        messages = ask(places.socket, ForgetLessons(lessons=ids), Acted, timeout=None).messages
    except NoDaemon:
        with lock_library(places, settings.roots), Library(settings, places) as library:
            messages = library.verdicts.forget(*ids).messages
    for sentence in messages:
        answer(sentence)
    answer(f"forgot {len(ids) - len(messages)} lesson(s)")
    return int(ExitCode.FAILED if messages else ExitCode.OK)


def _export(arguments: argparse.Namespace) -> int:
    import json

    import msgspec

    rows = [msgspec.to_builtins(verdict) for verdict in _verdicts(arguments)]
    document = {"format": FORMAT, "lessons": rows}
    if not arguments.what:
        answer_json(document)
        return int(ExitCode.OK)
    try:
        with Path(arguments.what[0]).open("x", encoding="ascii") as file:
            json.dump(document, file, indent=1)
    except OSError as error:
        raise DedupdError(
            f"{arguments.what[0]} cannot be written ({error.strerror}): name a new file"
        ) from None
    answer(f"wrote {len(rows)} lesson(s) to {arguments.what[0]}")
    return int(ExitCode.OK)


def _import(arguments: argparse.Namespace) -> int:
    """Import verdicts. They refer to content, so they hold for the same photos on any machine. Importing one
    twice changes nothing."""
    if len(arguments.what) != 1:
        raise UsageError("which file? as in `dedupd feedback import lessons.json`")
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.library import Library

    verdicts = _read(Path(arguments.what[0]))
    settings, places = opened_for_acting(arguments)
    with lock_library(places, settings.roots), Library(settings, places) as library:
        library.verdicts.import_all((x.kind, x.a, x.b, x.paths, x.at) for x in verdicts)
    answer(f"took in {len(verdicts)} lesson(s)")
    return int(ExitCode.OK)


def _read(path: Path) -> list[LessonView]:
    import json

    import msgspec

    from dedupd.protocol.views import LessonView

    try:
        document: Any = json.loads(path.read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        verdicts = msgspec.convert(document["lessons"], list[LessonView])
        if any(verdict.kind not in _SAID for verdict in verdicts):
            raise ValueError("it has a lesson of an unknown kind")
    except OSError as error:
        raise DedupdError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise DedupdError(f"{path} is no feedback that dedupd exported: {error}") from None
    return verdicts
