"""Reads files again: files in doubt as soon as possible, keepers of held copies about once a month.

A file may have other bytes with the same size and times: it was rewritten in place, or the disk is failing. For most
files that does no harm, since each is proven before it moves; for a keeper, its held copy is the only good one (P8).
Must never decode, and never take longer than a slice: people and the sweep come in between.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.pipeline.keepers import Keepers
from dedupd.pipeline.reconcile import note_changed, same_bytes
from dedupd.pipeline.roots import Roots
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, Reading

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

log = logging.getLogger("dedupd.reread")

SLICE_BYTES = 32 << 20
"""Bytes read in each sweep of the daemon: a fraction of a second on most disks, at most 90 GB a day."""
BLOCK_BYTES = 1 << 20
"""Bytes read before it asks again whether somebody waits."""
DAY = 86_400.0
MONTH = 30 * DAY
"""Seconds in which each keeper is read once. A day's share is read at one go, so that a disk may sleep until the next."""

_UNTIL, _LAST = "reread_until", "reread_last"
"""Ledger keys: up to when the keepers are read (a day is a thirtieth of their bytes), and the last group read."""


@dataclass(slots=True, kw_only=True)
class Reread:
    """What a slice found."""

    changed: bool = False
    """The ledger was wrong about a file: the month is to be read and grouped again."""
    said: list[str] = field(default_factory=list[str])
    """Sentences for people."""


@dataclass(slots=True, kw_only=True)
class _Current:
    root: RootRow
    row: FileRow
    reading: Reading


class Rereader:
    """The rereading of one library. A file that is half read continues in the next slice; after a restart, from its start."""

    def __init__(self, ledger: Ledger, disk: Disk, clock: Clock, roots: Roots, keepers: Keepers) -> None:
        self._ledger, self._disk, self._clock = ledger, disk, clock
        self._roots, self._keepers = roots, keepers
        self._current: _Current | None = None
        self._all_bytes = 0
        """Bytes of all keepers while a day's share is being read; else 0."""

    def read_on(self, stop: Stop = never, limit: int = SLICE_BYTES) -> Reread:
        """Read on for `limit` bytes, or until `stop`."""
        found = Reread()
        left = limit
        while left > 0 and not stop():
            if self._current is None:
                file = self._ledger.rereading.next_doubted() or self._next_keeper()
                if file is None:
                    break
                self._begin(file, found)
                # To open a small file costs more than to read it, and to look at a folder instead more than that.
                left -= BLOCK_BYTES if self._current is None else BLOCK_BYTES // 16
            if self._current is not None:
                left -= self._go_on(self._current, found)
        return found

    # ---- which

    def _next_keeper(self) -> int | None:
        """The next of today's share; None when that is done."""
        now, until = self._clock.now(), self._until()
        if not self._all_bytes and now - until >= DAY:
            self._all_bytes = self._ledger.rereading.kept_bytes()
        if not self._all_bytes or until >= now:
            self._all_bytes = 0
            return None
        after = int(self._ledger.get(_LAST) or 0)
        found = self._ledger.rereading.next_keeper(after) or self._ledger.rereading.next_keeper(0)
        if found is None:
            self._all_bytes = 0
            return None
        group, file, size = found
        with self._ledger.transaction():
            self._ledger.put(_LAST, str(group))
            self._ledger.put(_UNTIL, str(until + MONTH * min(1.0, size / self._all_bytes)))
        return file

    def _until(self) -> float:
        """Up to when the keepers are read: a day behind at most, whatever lies between two runs."""
        now = self._clock.now()
        until = float(self._ledger.get(_UNTIL) or "inf")
        if until > now + MONTH:  # the first time, or the clock was put back
            until = now
            self._ledger.put(_UNTIL, str(until))
        return max(until, now - DAY)

    def _begin(self, file: int, found: Reread) -> None:
        """Open it, unless what lies there tells without being read."""
        row = self._ledger.files.get(file)
        root = None if row is None else next((r for r in self._roots.all if r.id == row.root), None)
        if row is None or root is None or not self._is_due(root, row):
            self._settled(file)
            return
        now = self._disk.stat(root.path, row.path)
        if now is None or not same_bytes(row.stat, now):
            self._reconcile_folder(root, row, found)
            return
        if now.dev != row.stat.dev and self._roots.verified(root, mark=False) is not None:
            with self._ledger.transaction():  # the disk was mounted anew, which says nothing of the bytes
                self._ledger.files.unchanged(row.id, now)
        self._current = _Current(root=root, row=row, reading=self._disk.reading(root.path, row.path))

    def _is_due(self, root: RootRow, row: FileRow) -> bool:
        """False for files that are about to go, that the next pass reads anyway, or that are in the cloud (never downloaded)."""
        settled = (
            row.content and row.absent_since is None and row.state not in (FileState.HELD, FileState.SEEN)
        )
        return bool(settled) and self._disk.local(root.path, row.path)

    def _settled(self, file: int) -> None:
        with self._ledger.transaction():
            self._ledger.rereading.forget(file)

    # ---- reading

    def _go_on(self, current: _Current, found: Reread) -> int:
        try:
            read = current.reading.go_on(BLOCK_BYTES)
        except OSError as error:
            self._current = None
            self._failed(current, error, found)
            return 0
        if not read:
            self._current = None
            self._ended(current, found)
        return read

    def _failed(self, current: _Current, error: OSError, found: Reread) -> None:
        row = current.row
        if error.errno in (errno.ENOENT, errno.ESTALE, errno.ENOTDIR, errno.ELOOP):
            self._reconcile_folder(current.root, row, found)
            return
        self._settled(row.id)
        log.warning("%s cannot be read again (%s)", row.path, error.strerror)
        for group in self._groups(row):
            held = self._ledger.journal.moves(group=group, held=True)
            found.said += [
                f"{row.path} cannot be read ({error.strerror}), and a copy of it lies in duplicates/: check the "
                f"disk; `dedupd undo '{move.dst}'` brings the copy back"
                for move in held[:1]
            ]

    def _ended(self, current: _Current, found: Reread) -> None:
        """Compare, with what the ledger says now: it may have learned better meanwhile."""
        row = self._ledger.files.get(current.row.id)
        stat, content = current.reading.stat, current.reading.content
        if row is None or stat is None or (row.content, row.path) != (current.row.content, current.row.path):
            self._settled(current.row.id)
        elif not same_bytes(row.stat, stat):
            self._reconcile_folder(current.root, row, found)
        elif content == row.content:
            self._settled(row.id)
        elif self._roots.verified(current.root, mark=False) is not None:
            self._other_bytes(current.root, row, stat, content, found)

    def _other_bytes(self, root: RootRow, row: FileRow, stat: FileStat, content: str, found: Reread) -> None:
        log.warning("%s holds other bytes than those that were recorded", row.path)
        state = FileState.COMPANION if row.state == FileState.COMPANION else FileState.SEEN
        with self._ledger.transaction():
            self._ledger.rereading.forget(row.id)
            note_changed(self._ledger, row, stat, state, self._clock.now(), content)
        found.changed = True
        for group in self._groups(row):
            self._keepers.again(root, group)
            found.said.append(
                f"{row.path} does not hold the bytes any more that were read before, though its size and date are the "
                "same: if nobody rewrote it, check the disk"
            )

    def _reconcile_folder(self, root: RootRow, row: FileRow, found: Reread) -> None:
        """Its folder tells more than its bytes: it changed openly, or is not there. Without its root it stays in doubt (P9)."""
        if self._roots.verified(root, mark=False) is None:
            return
        self._settled(row.id)
        folder = row.path.rpartition("/")[0]
        found.changed |= self._roots.reconcile_folders(root, {folder: False}).any
        self._keepers.hint(root, {folder: False})

    def _groups(self, row: FileRow) -> set[int]:
        """Groups with held copies that it keeps."""
        groups = self._ledger.groups.with_file(row.id)
        return {g.id for g in groups if g.keeper == row.id and any(m.role == "moved" for m in g.members)}
