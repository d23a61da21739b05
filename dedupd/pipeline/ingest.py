"""Seen files become indexed ones: decoded, fingerprinted, embedded, stored; their months marked changed.

Media that nobody decodes (core.media) is read to its end instead, once for each stat: its bytes are all that is known.

Must never move a file. The index is durable before the ledger records "indexed" (the Vision port promises it).
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dedupd.core.formats import why_undecoded
from dedupd.core.media import perhaps
from dedupd.core.month import month_of, named_month
from dedupd.core.photo import IN_THE_CLOUD, NO_PICTURE, RAW_UNDECODED, FileState, Unreadable
from dedupd.core.records import FileRow, RootRow
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, FileRequest, Ingested, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

BATCH = (16, 1024)
"""Files handed to the worker at a time, fewest and most: enough to keep its decoders busy, also where they read 500 a second."""
_MEDIA = "1"
"""Version of what core.media knows: with another one, what was left alone is asked about once more."""


def ingest(
    ledger: Ledger,
    vision: Vision,
    clock: Clock,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Stop = never,
    choose: Callable[[str, str], bool] | None = None,
    opens: Callable[[FileRow, str], bool] = lambda file, root: True,
) -> int:
    """Ingest every file that was not read yet (whose path is chosen). Returns how many became photos.

    `opens`: whether this file below this root may be opened at all, a companion too.

    A file that vanished or changed while being read stays 'seen' and is looked at in the next pass.
    """
    roots = {r.id: r for r in ledger.roots.all()}
    online = [root for root in roots.values() if root.online]
    waiting = (f for f in _waiting(ledger, online, choose) if opens(f, roots[f.root].path))
    total = (
        sum(ledger.files.count(root.id, FileState.SEEN) for root in online)
        if choose is None
        else sum(1 for _ in _waiting(ledger, online, choose))
    )
    if total:
        on_progress(0, total)
    photos = done = 0
    for part in slices(waiting, clock, *BATCH):
        if stop():
            return photos
        photos += ingest_files(
            ledger,
            vision,
            clock,
            _as_they_are(ledger, part),
            lambda n, at=done: on_progress(at + n, max(total, at + n)),
        )
        done += len(part)
    beside = [
        f for f in ledger.files.companions_to_read()
        if roots[f.root].online and perhaps(f.path) and opens(f, roots[f.root].path)
    ]  # fmt: skip
    for part in slices(beside, clock, *BATCH):
        if stop():
            break
        read_companions(ledger, vision, clock, part)
    return photos


def _waiting(
    ledger: Ledger, roots: Iterable[RootRow], choose: Callable[[str, str], bool] | None
) -> Iterator[FileRow]:
    """What of these roots is to be looked at, read as it is asked for; what comes meanwhile too, each file once."""
    for root in roots:
        after = 0
        while page := ledger.files.to_read(root.id, after, BATCH[1]):
            after = page[-1].id
            yield from (f for f in page if choose is None or choose(f.path, root.path))


def _as_they_are(ledger: Ledger, files: Sequence[FileRow]) -> list[FileRow]:
    """Those that are still to be looked at: a sweep in between finds what was renamed, went or is part of another."""
    now = ledger.files.by_ids(f.id for f in files)
    rows = [now[f.id] for f in files if f.id in now]
    return [row for row in rows if row.state == FileState.SEEN and row.absent_since is None]


def readmit_media(ledger: Ledger) -> None:
    """Once: an older dedupd left media alone that is matched by its bytes now. What else it left alone stays so."""
    if ledger.get("media") == _MEDIA:
        return
    with ledger.transaction():
        for file in ledger.files.in_state(FileState.SKIPPED):
            if file.reason in (NO_PICTURE, RAW_UNDECODED) and perhaps(file.path):
                ledger.files.set_state(file.id, FileState.SEEN)
        ledger.put("media", _MEDIA)


def ingest_again(ledger: Ledger, vision: Vision, clock: Clock, stop: Stop = never) -> int:
    """Photos known by their bytes alone, once more after an extra that decodes them came or changed. Returns how many
    are seen now. What is looked at keeps its place meanwhile: it may keep copies in duplicates/.
    """
    extras = vision.extras()
    if (ledger.get("reads") or "") == extras:
        return 0
    seen = 0
    for part in slices(_photos_undecoded(ledger), clock, *BATCH):
        if stop():
            return seen
        ingest_files(ledger, vision, clock, part)
        now = ledger.files.by_ids(f.id for f in part)
        seen += sum(row.state == FileState.INDEXED for row in now.values())
    with ledger.transaction():
        ledger.put("reads", extras)
    return seen


def _photos_undecoded(ledger: Ledger) -> Iterator[FileRow]:
    """Photos that nobody could decode, without clips and other media."""
    for file in ledger.files.in_state(FileState.UNDECODED):
        seen = ledger.contents.traits([file.content] if file.content else [])
        if any(why_undecoded(traits.format) for traits in seen.values()):
            yield file


def read_companions(ledger: Ledger, vision: Vision, clock: Clock, files: Sequence[FileRow]) -> None:
    """Read clips and RAWs of photos that are as large as media that stands alone: that may be their copy."""
    by_key = {f.id: f for f in files}
    answers = list(vision.ingest(_requests(ledger, files)))
    with ledger.transaction():
        for answer in answers:
            file, result = by_key[answer.key], answer.result
            if isinstance(result, Unreadable) and not result.content:
                if not result.retry or result.reason == IN_THE_CLOUD:
                    ledger.files.set_state(file.id, FileState.COMPANION, result.reason)
                continue
            ledger.files.companion_content(file.id, result.content)
            for twin in ledger.files.live_with_content(result.content):
                ledger.months.mark_changed(twin.root, twin.month, clock.now())


def ingest_files(
    ledger: Ledger,
    vision: Vision,
    clock: Clock,
    files: Sequence[FileRow],
    on_done: Callable[[int], None] = lambda n: None,
) -> int:
    """Ingest these files, and record the answers in one transaction. Returns how many are photos."""
    by_key = {f.id: f for f in files}
    answers: list[Ingested] = []
    for answer in vision.ingest(_requests(ledger, files)):
        answers.append(answer)
        on_done(len(answers))
    roots = {r.id: r.path for r in ledger.roots.all()}
    with ledger.transaction():
        for answer in answers:
            file = by_key[answer.key]
            _record(ledger, clock, file, answer, roots[file.root])
    return sum(not isinstance(answer.result, Unreadable) for answer in answers)


def _requests(ledger: Ledger, files: Iterable[FileRow]) -> list[FileRequest]:
    roots = {r.id: r.path for r in ledger.roots.all()}
    return [FileRequest(key=f.id, path=os.path.join(roots[f.root], f.path), stat=f.stat) for f in files]


def _record(ledger: Ledger, clock: Clock, file: FileRow, answer: Ingested, root: str) -> None:
    if isinstance(answer.result, Unreadable):
        # Asked about again when its stat changes, not in every pass. What was seen before it went there stays known.
        in_the_cloud = answer.result.reason == IN_THE_CLOUD and file.state == FileState.SEEN
        if in_the_cloud or not answer.result.retry:
            ledger.files.skipped(file.id, answer.result.reason, answer.result.content)
            named = named_month(file.path, root)
            ledger.files.set_month(file.id, named, "folder" if named else "")
            for month in {file.month, named}:
                ledger.months.mark_changed(file.root, month, clock.now())
        return
    traits = answer.result
    month, source = month_of(file.path, traits.captured, file.stat.mtime_ns / 1e9, root=root)
    ledger.contents.add(traits)
    state = FileState.INDEXED if traits.decoded else FileState.UNDECODED
    unchanged = file.content == traits.content and file.month == str(month) and file.state == state
    ledger.files.read(file.id, state, traits.content, str(month), source)
    if not unchanged:
        ledger.pairs.forget_compared([traits.content])
        ledger.months.mark_changed(file.root, str(month), clock.now())
