"""Uploaded sets: pictures that a client sends to be compared with each other, by the same pipeline as a
library.

Each set is a small private library below this server's own folder, with a ledger and an index of its own.
Must never move a file, nor let anything of a set reach the main library's ledger or index.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
import uuid
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from dedupd.config import Places, Settings
from dedupd.core.photo import FileState
from dedupd.errors import NothingYet
from dedupd.library import Library, LibraryView
from dedupd.pipeline.measure_thresholds import copy_thresholds
from dedupd.pipeline.slices import Stop
from dedupd.ports import Vision
from dedupd.protocol.views import EvidenceView, GroupView
from dedupd.web.contract import Pair, SetDuplicates, SetGroup, Uploaded, UploadedSet
from dedupd.web.problems import Problem, ending
from dedupd.web.uploads import Receiver, Upload

T = TypeVar("T")
MB = 1_000_000
AT_ONCE = 4
"""Sets being received at a time."""
TURN_SECONDS = 10.0
"""Seconds that one set has the worker for itself while others wait: each change starts a new process."""
MOST = 1_000
"""Sets kept, at most."""
_ONE_MONTH = "2000-01"
"""All pictures of a set are compared with each other: they count as photos of one month, whatever their date
is."""
_HASH_BITS = 64


@dataclass(slots=True, kw_only=True)
class _Set:
    folder: Path
    room: int
    """Bytes that count for it."""
    ends: float
    uploads: list[Upload] = field(default_factory=list[Upload])
    images: list[Uploaded | None] = field(default_factory=list[Uploaded | None])
    found: dict[float | None, SetDuplicates] = field(default_factory=dict[float | None, SetDuplicates])
    """Results by threshold."""


class Sets:
    """All sets. `folder` is this server's own, empty at its start; `now` is a clock that only runs forward."""

    def __init__(
        self, settings: Settings, places: Places, folder: Path, now: Callable[[], float] = time.monotonic,
        vision: Callable[[], Vision | None] = lambda: None,
    ) -> None:  # fmt: skip
        """`vision`: the vision worker to use; None for a worker of each set's own."""
        self._settings, self._places, self._folder, self._now = settings, places, folder, now
        self._vision = vision
        self._open: tuple[Path, Library] | None = None
        """The set that was used last, kept open: a client that sends pictures asks soon, and a running worker
        answers faster."""
        self._sets: dict[str, _Set] = {}
        self._coming = self._asking = 0
        # One worker process at a time sees, however many sets there are.
        self._worker = ThreadPoolExecutor(1, "web-sets")
        self._ending = threading.Event()

    def close(self) -> None:
        """End what is being indexed or compared, at its next safe point."""
        self._ending.set()
        self._worker.submit(self._let_go)
        self._worker.shutdown(wait=True)

    @property
    def most_bytes(self) -> int:
        return self._settings.web.upload_mb * MB

    async def receive(self, boundary: bytes, body: AsyncIterable[bytes], said: int | None) -> UploadedSet:
        """Receive a set and index it. `said`: bytes, if the client announced them. Raises Problem: 400, 413,
        422, 429."""
        self._make_room(self.most_bytes if said is None else min(said, self.most_bytes))
        id, limits = str(uuid.uuid4()), self._settings.web
        fresh = _Set(
            folder=self._folder / id, room=self.most_bytes if said is None else min(said, self.most_bytes),
            ends=self._now() + limits.sets_minutes * 60,
        )  # fmt: skip
        self._sets[id] = fresh
        self._coming += 1
        photos = fresh.folder / "photos" / _ONE_MONTH
        try:
            photos.mkdir(parents=True, mode=0o700)
            fresh.uploads = await Receiver(folder=photos, most=limits.upload_files).take(boundary, body)
            fresh.room = sum(upload.path.stat().st_size for upload in fresh.uploads)
            fresh.images = await self._in_turns(lambda stop: self._look(fresh, stop))
        except BaseException:
            self._sets.pop(id, None)
            self._worker.submit(self._remove, fresh.folder)
            raise
        finally:
            self._coming -= 1
        return UploadedSet(request_id=id, images=fresh.images)

    async def duplicates(self, id: str, threshold: float | None) -> SetDuplicates:
        """The duplicates in a set. `threshold`: as for `dedupd scan`. Raises Problem 404."""
        kept = self._known(id)
        return await self._in_turns(lambda stop: self._compare(kept, threshold, stop))

    async def drop(self, id: str) -> None:
        """Forget a set now. Raises Problem 404."""
        kept = self._known(id)
        del self._sets[id]
        await self._do(lambda: self._remove(kept.folder))

    def expire(self) -> None:
        """Forget sets that are older than configured (an hour). Called from time to time, and before each
        question."""
        for id in [id for id, kept in self._sets.items() if kept.ends <= self._now()]:
            self._worker.submit(self._remove, self._sets.pop(id).folder)

    def _known(self, id: str) -> _Set:
        self.expire()
        kept = self._sets.get(id)
        if kept is None or not kept.images:
            raise Problem(404, "not_found", "there is no such set: it was deleted, or its time is over")
        return kept

    def _make_room(self, more: int) -> None:
        self.expire()
        if self._coming >= AT_ONCE or len(self._sets) >= MOST:
            raise Problem(429, "busy", "too many sets at once: delete some, or wait until they expire")
        if sum(kept.room for kept in self._sets.values()) + more > self._settings.web.sets_mb * MB:
            raise Problem(
                429, "no_room", "there is no room for more sets: delete some, or wait until they expire"
            )

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def _in_turns(self, work: Callable[[Stop], T]) -> T:
        """However long it takes, others come in between: what one turn has done, the next need not do."""
        self._asking += 1
        try:
            while True:
                done = await self._do(lambda: self._turn(work))
                if done is not None:
                    return done[0]
        finally:
            self._asking -= 1

    # ---- in the worker thread

    def _turn(self, work: Callable[[Stop], T]) -> tuple[T] | None:
        """What came of it; None when it is to go on after the others."""
        begun, over = self._now(), False

        def stop() -> bool:
            nonlocal over
            long = self._asking > 1 and self._now() - begun >= TURN_SECONDS
            over = over or long or self._ending.is_set()
            return over

        done = work(stop)
        if self._ending.is_set():
            raise ending()
        return None if over else (done,)

    def _library(self, kept: _Set, threshold: float | None = None) -> Library:
        """Like the main library's: its model, its thresholds, its policy and tiers."""
        if self._open is None or self._open[0] != kept.folder:
            self._let_go()
            self._open = kept.folder, self._opened(kept)
        library = self._open[1]
        asked = self._settings.threshold if threshold is None else threshold
        if library.settings.threshold != asked:
            library.follow(replace(library.settings, threshold=asked))
        return library

    def _opened(self, kept: _Set) -> Library:
        mine = self._settings
        settings = Settings(
            roots=(kept.folder / "photos",), tiers=mine.tiers, schedule=mine.schedule, keep_policy=mine.keep_policy,
            threshold=mine.threshold, embedder=mine.embedder, batch_size=mine.batch_size, ignore_defaults=False,
            metadata="off",
        )  # fmt: skip
        where = Places(
            state=kept.folder / "state", config=kept.folder / "config.toml", socket=kept.folder / "none"
        )
        try:
            with closing(LibraryView(mine, self._places)) as view:
                settings = replace(settings, embedder=view.ledger.get("embedder") or settings.embedder)
                library = Library(settings, where, vision=self._vision())
                copy_thresholds(view.ledger, library.ledger, view.ledger.get("model"))
        except NothingYet:
            library = Library(settings, where, vision=self._vision())
        return library

    def _let_go(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _remove(self, folder: Path) -> None:
        """Delete an uploaded set: no photo of the library is ever below this server's own folder."""
        if self._open is not None and self._open[0] == folder:
            self._let_go()
        shutil.rmtree(folder, ignore_errors=True)

    def _look(self, kept: _Set, stop: Stop) -> list[Uploaded | None]:
        library = self._library(kept)
        library.roots.reconcile()
        library.passes.ingest(stop=stop)
        rows = {
            row.path: row for row in library.ledger.files.of_root(library.roots.all[0].id) if row.state == FileState.INDEXED
        }  # fmt: skip
        seen = library.ledger.contents.traits(row.content for row in rows.values() if row.content)
        images: list[Uploaded | None] = []
        for index, upload in enumerate(kept.uploads):
            row = rows.get(str(upload.path.relative_to(kept.folder / "photos")))
            traits = seen.get(row.content or "") if row else None
            images.append(
                Uploaded(index=index, name=upload.name, width=traits.width, height=traits.height)
                if traits
                else None
            )
        return images

    def _compare(self, kept: _Set, threshold: float | None, stop: Stop) -> SetDuplicates:
        if threshold in kept.found:
            return kept.found[threshold]
        if not kept.folder.exists():
            raise Problem(404, "not_found", "there is no such set: it was deleted meanwhile")
        library = self._library(kept, threshold)
        library.passes.group(stop=stop)
        found = _duplicates(kept, library.groups())
        if not stop():
            kept.found[threshold] = found
        return found


def _duplicates(kept: _Set, groups: list[GroupView]) -> SetDuplicates:
    index = {
        str(upload.path.relative_to(kept.folder / "photos")): number
        for number, upload in enumerate(kept.uploads)
        if kept.images[number] is not None
    }
    pairs: list[Pair] = []
    told: list[SetGroup] = []
    for group in groups:
        keep = index.get(group.keep)
        if keep is None:
            continue
        told.append(
            SetGroup(
                keep=keep,
                duplicates=sorted(index[path] for path in group.duplicates if path in index),
                review=sorted(index[path] for path in group.review if path in index),
            )
        )
        pairs += [
            _pair(keep, index[path], group.evidence[path])
            for path in (*group.duplicates, *group.review)
            if path in index
        ]
    return SetDuplicates(
        pairs=sorted(pairs, key=lambda pair: (pair.a, pair.b)), groups=sorted(told, key=lambda g: g.keep)
    )


def _pair(keep: int, other: int, evidence: EvidenceView) -> Pair:
    score = evidence.cosine
    if evidence.relation == "exact":
        score = 1.0
    elif score is None:
        score = 1 - (evidence.hash_distance or 0) / _HASH_BITS
    return Pair(
        a=min(keep, other), b=max(keep, other), score=max(0.0, min(1.0, score)), relation=evidence.relation,
        confidence=evidence.confidence,
    )  # fmt: skip
