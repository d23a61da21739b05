"""Seen files become indexed ones: decoded, fingerprinted, embedded, stored; their months marked changed.

Must never move a file. The index is durable before the ledger records "indexed" (the Vision port promises it).
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dedupd.core.month import month_of, named_month
from dedupd.core.photo import IN_THE_CLOUD, FileState, Unreadable
from dedupd.core.records import FileRow
from dedupd.ports import Clock, Look, LookRequest, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

BATCH = 256
"""Files handed to the worker at a time: enough to keep its decoders busy, few enough to stop soon."""


def ingest(
    ledger: Ledger,
    vision: Vision,
    clock: Clock,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
    choose: Callable[[str], bool] = lambda path: True,
) -> int:
    """Look at every file nobody has looked at yet (whose path is chosen). Returns how many became photos.

    A file that vanished or changed while being read stays 'seen' and is looked at in the next pass.
    """
    waiting = ledger.inventory.to_look_at()
    roots = {r.id: r for r in ledger.inventory.roots()}
    waiting = [f for f in waiting if roots[f.root].online and choose(f.path)]
    if waiting:
        on_progress(0, len(waiting))
    photos = 0
    for start in range(0, len(waiting), BATCH):
        if stop():
            break
        photos += look_at(
            ledger,
            vision,
            clock,
            waiting[start : start + BATCH],
            lambda n, at=start: on_progress(at + n, len(waiting)),
        )
    return photos


def look_at(
    ledger: Ledger,
    vision: Vision,
    clock: Clock,
    files: Sequence[FileRow],
    on_done: Callable[[int], None] = lambda n: None,
) -> int:
    """Look at these files and record what was seen, in one transaction."""
    roots = {r.id: r.path for r in ledger.inventory.roots()}
    by_key = {f.id: f for f in files}
    requests = [LookRequest(key=f.id, path=os.path.join(roots[f.root], f.path), stat=f.stat) for f in files]
    looks: list[Look] = []
    for look in vision.look(requests):
        looks.append(look)
        on_done(len(looks))
    with ledger.transaction():
        for look in looks:
            _record(ledger, clock, by_key[look.key], look)
    return sum(not isinstance(look.result, Unreadable) for look in looks)


def _record(ledger: Ledger, clock: Clock, file: FileRow, look: Look) -> None:
    if isinstance(look.result, Unreadable):
        # Asked about again when its stat changes, not in every pass. What was seen before it went there stays known.
        in_the_cloud = look.result.reason == IN_THE_CLOUD and file.state == FileState.SEEN
        if in_the_cloud or not look.result.retry:
            ledger.inventory.skipped_file(file.id, look.result.reason, look.result.content)
            named = named_month(file.path)
            ledger.inventory.set_month(file.id, named, "folder" if named else "")
            for month in {file.month, named}:
                ledger.inventory.change_month(file.root, month, clock.now())
        return
    traits = look.result
    month, source = month_of(file.path, traits.captured, file.stat.mtime_ns / 1e9)
    ledger.inventory.add_traits(traits)
    unchanged = (
        file.content == traits.content and file.month == str(month) and file.state == FileState.INDEXED
    )
    ledger.inventory.indexed_file(file.id, traits.content, str(month), source)
    if not unchanged:
        ledger.inventory.change_month(file.root, str(month), clock.now())
