"""Measures one labelled gallery: a dry run with a state of its own, scored, and timed by phase.

Must never change the gallery. Times are those of this machine at this moment: compare ratios of one run.
"""

from __future__ import annotations

import json
import os.path
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from dedupd.bench import others
from dedupd.bench.score import Score, score
from dedupd.errors import UsageError
from dedupd.library import Library

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """The result of another tool on the same gallery."""

    tool: str
    score: Score
    seconds: float
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The results of one run."""

    score: Score
    photos: int
    skipped: int
    model: str
    phases: dict[str, float] = field(default_factory=dict)
    """Phase -> seconds."""
    again: float = 0.0
    """Seconds of a second pass without changes."""
    others: tuple[Other, ...] = ()


def measure(folder: Path, truth: Path, on_progress: Progress) -> Measurement:
    """Scan `folder` twice without moving anything, then ask the other tools that are installed.

    `truth` names files relative to its own folder.
    """
    labels = _labels(truth)
    prefix = (
        str(folder.resolve().relative_to(truth.parent.resolve())) if _below(folder, truth.parent) else "."
    )
    watch = _Stopwatch(on_progress)
    with tempfile.TemporaryDirectory(prefix="dedupd-bench-") as state:
        with Library.open([folder], state_dir=Path(state, "state"), config=None) as library:
            outcome = library.scan(dry_run=True, on_progress=watch)
            watch.stop()
            began = time.monotonic()
            library.scan(dry_run=True)
            again = time.monotonic() - began
        compared = tuple(_others(folder, labels, prefix, Path(state), on_progress))
    groups = [_rooted(group, prefix) for group in outcome.report["groups"]]
    return Measurement(
        score=score(labels, groups), photos=outcome.report["total_images"], skipped=len(outcome.report["skipped"]),
        model=outcome.report["model"], phases=watch.seconds, again=again, others=compared,
    )  # fmt: skip


class _Label(msgspec.Struct, kw_only=True):
    """One file of truth.json, with the fields that bench/score.py needs."""

    path: str
    group_id: str | int
    relation: str
    scene_id: str | int | None = None
    pair_id: str | int | None = None
    cross: str | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None


class _Truth(msgspec.Struct):
    files: list[_Label]


def _labels(truth: Path) -> list[dict[str, Any]]:
    """All labels, checked before a long run. Raises UsageError."""
    try:
        document = msgspec.convert(json.loads(truth.read_text("utf-8")), _Truth)
        return [msgspec.structs.asdict(label) for label in document.files]
    except OSError as error:
        raise UsageError(
            f"the labels {truth} cannot be read ({error.strerror}): name them with --truth"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f'{truth} has no list "files" of labels: {error}') from None


def _below(folder: Path, parent: Path) -> bool:
    return folder.resolve().is_relative_to(parent.resolve())


def _rooted(group: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        "keep": _named(group["keep"], prefix),
        "duplicates": [_named(p, prefix) for p in group["duplicates"]],
        "review": [_named(p, prefix) for p in group["review"]],
    }


def _named(path: str, prefix: str) -> str:
    return path if prefix == "." else f"{prefix}/{path}"


def _others(
    folder: Path, labels: list[dict[str, Any]], prefix: str, scratch: Path, on_progress: Progress
) -> Iterator[Other]:
    tools = others.installed()
    pixels = {str(e["path"]): (e["width"] or 0) * (e["height"] or 0) for e in labels}
    for done, tool in enumerate(tools):
        on_progress("other tools", done, len(tools))
        found = others.ask(tool, folder, scratch)
        moves = others.moves(found.groups, lambda path: _named(os.path.relpath(path, folder), prefix), pixels)
        yield Other(tool=found.tool, score=score(labels, moves), seconds=found.seconds, failed=found.failed)


class _Stopwatch:
    """Seconds spent in each phase, measured from the progress calls that mark its first step."""

    def __init__(self, on_progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._on_progress, self._phase, self._since = on_progress, "", time.monotonic()

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase:
            self.stop()
            self._phase = phase
        self._on_progress(phase, done, total)

    def stop(self) -> None:
        now = time.monotonic()
        if self._phase:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._since = now
