"""`dedupd feedback`: the lessons people gave, by content; list, forget, export, import."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dedupd.adapters.fs.lock import hold
from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened, opened_for_acting
from dedupd.client.connection import ask
from dedupd.core.summary import visible
from dedupd.errors import DedupdError, ExitCode, NoDaemon, UsageError
from dedupd.library import Library, LibraryView
from dedupd.protocol.messages import Acted, Forget, LessonView

_SAID = {"different": "not duplicates", "same": "duplicates", "keep": "stays where it is"}
FORMAT = "dedupd-feedback/1"


def feedback(arguments: argparse.Namespace) -> int:
    acts = {"list": _list, "forget": _forget, "export": _export, "import": _import}
    return acts[arguments.action](arguments)


def _lessons(arguments: argparse.Namespace) -> list[LessonView]:
    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        return view.reviewer.lessons()


def _list(arguments: argparse.Namespace) -> int:
    lessons = _lessons(arguments)
    if arguments.json:
        answer_json([msgspec.to_builtins(lesson) for lesson in lessons])
        return int(ExitCode.OK)
    for lesson in lessons:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(lesson.at))
        paths = "  |  ".join(visible(p) for p in lesson.paths)
        told = f"  (and {lesson.told} more like it)" if lesson.told else ""
        answer(f"{lesson.id:>6}  {when}  {_SAID[lesson.kind]:<17}  {paths}{told}")
    if not lessons:
        answer("you have not told dedupd anything yet: `dedupd review`, `dedupd approve`, `dedupd reject`")
    return int(ExitCode.OK)


def _forget(arguments: argparse.Namespace) -> int:
    """As if it had never been said; the photos are grouped anew."""
    if not arguments.what or not all(text.isdigit() for text in arguments.what):
        raise UsageError(
            "which lessons? `dedupd feedback list` numbers them, as in `dedupd feedback forget 12`"
        )
    settings, places = opened_for_acting(arguments)
    ids = [int(text) for text in arguments.what]
    try:
        messages = ask(places.socket, Forget(lessons=ids), Acted, timeout=None).messages
    except NoDaemon:
        with hold(places, settings.roots), Library(settings, places) as library:
            messages = library.forget(*ids).messages
    for sentence in messages:
        answer(sentence)
    answer(f"forgot {len(ids) - len(messages)} lesson(s)")
    return int(ExitCode.FAILED if messages else ExitCode.OK)


def _export(arguments: argparse.Namespace) -> int:
    rows = [msgspec.to_builtins(lesson) for lesson in _lessons(arguments)]
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
    """Lessons are by content, so they hold for the same photos on any machine. Saying one twice changes nothing."""
    if len(arguments.what) != 1:
        raise UsageError("which file? as in `dedupd feedback import lessons.json`")
    lessons = _read(Path(arguments.what[0]))
    settings, places = opened_for_acting(arguments)
    with hold(places, settings.roots), Library(settings, places) as library:
        library.learn((x.kind, x.a, x.b, x.paths, x.at) for x in lessons)
    answer(f"took in {len(lessons)} lesson(s)")
    return int(ExitCode.OK)


def _read(path: Path) -> list[LessonView]:
    try:
        document: Any = json.loads(path.read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        lessons = msgspec.convert(document["lessons"], list[LessonView])
        if any(lesson.kind not in _SAID for lesson in lessons):
            raise ValueError("it has a lesson of an unknown kind")
    except OSError as error:
        raise DedupdError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise DedupdError(f"{path} is no feedback that dedupd exported: {error}") from None
    return lessons
