"""An estimate of a first scan from a sample: how many photos, how long it takes, how much may be saved.

Must never write under a root or in the ledger, and never open a file whose bytes are in the cloud only.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dedupd.core.foreign import Scope
from dedupd.core.media import perhaps
from dedupd.core.narrowing import Narrowing
from dedupd.core.photo import Unreadable
from dedupd.errors import RootError
from dedupd.pipeline.roots import quiet
from dedupd.ports import Clock, Disk, FileRequest, FoundFile, Progress, ProofRequest, Vision

SAMPLE = 32
"""Photos of the sample, spread evenly over all by size."""
WARM_UP = 2
"""Of them those that are seen first: the model is loaded for them, once."""
PAIRS = 6
SAME_SIZE = 400
"""Sets of files of equal size whose first bytes are compared, at most."""
BEGINNING = 1 << 16
"""Bytes: two photos of equal size that agree so far count as the same."""
PAIRS_A_PHOTO = (0.3, 1.0)
"""Pairs to align per photo: in an ordinary library, and in one with many bursts and series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a first scan would come to."""

    photos: int
    bytes: int
    """Of the photos."""
    undecoded: int
    """Videos, RAW and other media that match by their bytes alone."""
    seconds: tuple[float, float]
    """From, to."""
    same_files: int
    """Files whose bytes another file of the same root has too."""
    same_bytes: int
    sampled: int
    problems: tuple[str, ...]
    """One sentence for each root or folder that could not be read."""


@dataclass(slots=True)
class _Found:
    """What a walk met: (root, file), by whether dedupd decodes such files."""

    pictures: list[tuple[str, FoundFile]] = field(default_factory=list)
    media: list[tuple[str, FoundFile]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def estimate(
    roots: Sequence[str], disk: Disk, vision: Vision, clock: Clock, scope: Scope,
    narrowing: Narrowing, on_progress: Progress = quiet,
) -> Estimate:  # fmt: skip
    """Walk the roots, look at a few photos, and reckon. Raises VisionError when nothing can be seen at all, RootError without a root."""
    found = _walked(roots, disk, scope, narrowing, on_progress)
    pictures = sorted(found.pictures, key=lambda at: (at[1].stat.size, at[0], at[1].path))
    sample = [at for at in _spread(pictures, SAMPLE) if disk.local(at[0], at[1].path)]
    if pictures and not sample:
        found.problems.append(
            "the photos of the sample are in the cloud only: a scan leaves them alone until they are here"
        )
    seen = _WorkerSpeed(vision, clock)
    share = seen.measure(sample, on_progress) if sample else 0.0
    photos = round(len(pictures) * share)
    reading, pairs = photos * seen.photo, [photos * each * seen.pair for each in PAIRS_A_PHOTO]
    same_files, same_bytes = _same(disk, [*found.pictures, *found.media])
    return Estimate(
        photos=photos, bytes=round(sum(f.stat.size for _, f in pictures) * share), undecoded=len(found.media),
        seconds=(seen.start + reading + pairs[0], seen.start + reading + pairs[1]), same_files=same_files,
        same_bytes=same_bytes, sampled=len(sample), problems=tuple(found.problems),
    )  # fmt: skip


def _walked(
    roots: Sequence[str], disk: Disk, scope: Scope, narrowing: Narrowing, on_progress: Progress
) -> _Found:
    found, count, there = _Found(), 0, 0
    for root in roots:
        try:
            disk.identity(root)
        except RootError as error:
            found.problems.append(str(error))
            continue
        there += 1
        for _, files in disk.walk(root, "", scope, lambda _, told: found.problems.append(told)):
            count += len(files)
            on_progress("look", count, 0)
            for file in files:
                if narrowing.looks_at(root, file.path, file.stat.size):
                    (found.media if perhaps(file.path) else found.pictures).append((root, file))
    if not there:
        raise RootError(found.problems[0] if found.problems else "there is no folder to look at")
    found.problems = list(dict.fromkeys(filter(None, found.problems)))
    return found


class _WorkerSpeed:
    """Measures how long the worker needs, in seconds."""

    def __init__(self, vision: Vision, clock: Clock) -> None:
        self._vision, self._clock = vision, clock
        self.start = self.photo = self.pair = 0.0

    def measure(self, sample: Sequence[tuple[str, FoundFile]], on_progress: Progress) -> float:
        """Which share of the sample are photos. Sets how long the model takes to load, a photo and a pair."""
        since = self._clock.monotonic()
        self._vision.load()
        requests = [
            FileRequest(key=key, path=os.path.join(root, file.path), stat=file.stat)
            for key, (root, file) in enumerate(sample)
        ]
        known: dict[str, str] = {}
        read = 0
        for number, part in enumerate((requests[:WARM_UP], requests[WARM_UP:])):
            for answer in self._vision.ingest(part):
                if not isinstance(answer.result, Unreadable):
                    known.setdefault(answer.result.content, requests[answer.key].path)
                    read += 1
                on_progress("index", answer.key + 1, len(requests))
            now = self._clock.monotonic()
            if number == 0:
                self.start = now - since
                self.photo = self.start / len(requests)
            elif part:
                self.photo = (now - since) / len(part)
            since = now
        self.pair = self._proved(list(known.items()))
        return read / len(requests)

    def _proved(self, known: Sequence[tuple[str, str]]) -> float:
        pairs = list(pairwise(known))[:PAIRS]
        requests = [
            ProofRequest(a=min(a, b)[0], b=max(a, b)[0], path_a=min(a, b)[1], path_b=max(a, b)[1])
            for a, b in pairs
        ]
        since = self._clock.monotonic()
        done = sum(1 for _ in self._vision.prove(requests))
        return (self._clock.monotonic() - since) / done if done else self.photo


def _spread(files: Sequence[tuple[str, FoundFile]], count: int) -> list[tuple[str, FoundFile]]:
    """So many of them, evenly, the first of them from the middle: it stands for most."""
    if len(files) <= count:
        return list(files)
    return [files[(2 * n + 1) * len(files) // (2 * count)] for n in range(count)]


def _same(disk: Disk, files: Sequence[tuple[str, FoundFile]]) -> tuple[int, int]:
    """(files, bytes) that others of the same root hold too, by size and beginning; of many sets, from some of them."""
    by_size: dict[tuple[str, int], list[FoundFile]] = defaultdict(list)
    for root, file in files:
        if file.stat.size:
            by_size[root, file.stat.size].append(file)
    sets = sorted((at, some) for at, some in by_size.items() if len(some) > 1)
    chosen = sets if len(sets) <= SAME_SIZE else [sets[n * len(sets) // SAME_SIZE] for n in range(SAME_SIZE)]
    count = size = 0
    for (root, each), some in chosen:
        begins = list(_beginnings(disk, root, some))
        more = len(begins) - len(set(begins))
        count, size = count + more, size + more * each
    scale = len(sets) / len(chosen) if chosen else 1.0
    return round(count * scale), round(size * scale)


def _beginnings(disk: Disk, root: str, files: Sequence[FoundFile]) -> Iterator[str]:
    for file in files:
        if not disk.local(root, file.path):
            continue
        try:
            reading = disk.reading(root, file.path)
            reading.go_on(BEGINNING)
        except OSError:
            continue
        yield reading.content
