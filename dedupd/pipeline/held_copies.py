"""What became of the files in duplicates/: still there, gone along with their folder, undone by their owner or removed.

Held copies lie where no walk goes, so each is checked by itself. Must never move a file; absence is believed
only at the second check, and what a person undid by hand is never moved again (P9, P11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dedupd.core.month import month_of
from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.relocation import DUPLICATES, Goal, Move, MoveState, duplicates_folder
from dedupd.errors import MoveRefused, Refusal
from dedupd.pipeline.record_outcome import record_outcome, record_undo_verdict
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

PART = (64, 4096)
"""Copies that are not there any more between two safe points, fewest and most."""


def check_held_copies(
    root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, patience: float, itself: Callable[[], bool],
    stop: Stop = never,
) -> int:  # fmt: skip
    """Check every held copy of this root. Returns how many are not there any more.

    `patience`: seconds a copy must stay away, in two checks, before that is believed. `itself`: whether this is still the
    root that it was.
    """
    missing: dict[int, tuple[int, int, int]] = {}
    for row in ledger.files.held(root.id):
        if stop():
            return 0
        if disk.gone(root.path, row.path):
            missing[row.id] = _mark(row.stat)
        elif row.absent_since is not None:
            _is_back(ledger, row.id)
    _end_forgotten(ledger, root)
    if not missing:
        return 0
    wanted = set(missing.values())
    elsewhere: dict[tuple[int, int, int], str] = {}
    for files in disk.held(root.path):
        elsewhere |= {mark: file.path for file in files if (mark := _mark(file.stat)) in wanted}
        if stop():
            return 0
    found = 0
    for part in slices(missing, clock, *PART):
        if stop():
            break
        # As they are now: what was put back or moved since it was looked for is not missing.
        rows = [row for row in ledger.files.by_ids(part).values() if row.state == FileState.HELD]
        rows = [row for row in rows if disk.gone(root.path, row.path)]
        if not itself():
            break
        found += len(rows)
        _missing(root, ledger, disk, rows, elsewhere, clock.now(), patience)
    return found


def _not_found_by_undo(move: Move) -> bool:
    """Whether an undo found it at neither place: the copy was gone before dedupd touched it."""
    return move.state is MoveState.ATTENTION and move.goal is not Goal.MOVED and move.refusal is Refusal.GONE


def _end_forgotten(ledger: Ledger, root: RootRow) -> None:
    """End moves that an undo did not find and whose files an older dedupd forgot without ending the move, so that status named
    them for ever."""
    with ledger.transaction():
        for move in ledger.journal.attention():
            if move.root == root.path and _not_found_by_undo(move) and ledger.files.get(move.file) is None:
                ledger.journal.finish([_taken_out(move)])


def _taken_out(move: Move) -> Move:
    gone = MoveRefused("taken out of duplicates/ by its owner", Refusal.TAKEN_OUT)
    return move.refused(gone, MoveState.ABORTED)


def _is_back(ledger: Ledger, file: int) -> None:
    with ledger.transaction():
        row = ledger.files.get(file)
        if row is not None and row.state == FileState.HELD:
            ledger.files.unchanged(row.id, row.stat)


def _missing(
    root: RootRow, ledger: Ledger, disk: Disk, rows: Iterable[FileRow],
    elsewhere: Mapping[tuple[int, int, int], str], now: float, patience: float,
) -> None:  # fmt: skip
    begun = {move.file for move in ledger.journal.open_moves()}
    with ledger.transaction():
        for row in (row for row in rows if row.id not in begun):
            path = elsewhere.get(_mark(row.stat))
            moves = ledger.journal.moves(file=row.id)
            move = next((m for m in reversed(moves) if m.held or _not_found_by_undo(m)), None)
            if path is not None and ledger.files.at(root.id, path) is None:
                there = disk.stat(root.path, path)
                if there is not None and _mark(there) == _mark(row.stat):
                    _moved_with_folder(ledger, root, row, move, path, now)
            elif row.absent_since is None:
                ledger.files.absent(row.id, now)
                ledger.months.mark_changed(root.id, row.month, now)
            elif now < row.absent_since:  # the clock was set back: how long it is gone is not known
                ledger.files.absent(row.id, now)
            elif now - row.absent_since >= patience:
                _removed(ledger, row, move, now)


def undone_by_owner(ledger: Ledger, row: FileRow, path: str, now: float) -> None:
    """A person moved a held copy out of duplicates/ by hand: that is an undo, and it stays where it is now (P11)."""
    with ledger.transaction():
        # An undo asked for meanwhile found it at neither place and left the row for a person: this answers it.
        rows = [*ledger.journal.moves(content=row.content, held=True), *ledger.journal.attention()]
        ours = {m.id: m for m in rows if m.file == row.id}
        undone = [
            replace(m, goal=Goal.UNDONE, state=MoveState.DONE, undone_to=path, error="", refusal=None)
            for m in ours.values()
        ]
        ledger.journal.finish(undone)
        record_outcome(ledger, undone, now)


def _mark(stat: FileStat) -> tuple[int, int, int]:
    return (stat.ino, stat.size, stat.mtime_ns)


def _moved_with_folder(
    ledger: Ledger, root: RootRow, row: FileRow, move: Move | None, path: str, now: float
) -> None:
    """A person renamed or moved a folder with its duplicates/: the copy is still held, and its move gets the new path."""
    src = row.path
    if move is not None:
        above, below = (duplicates_folder(p)[: -len(DUPLICATES)] for p in (row.path, path))
        src = below + move.src[len(above) :] if move.src.startswith(above) else move.src
        if not move.held:  # an undo did not find it in its former place
            ledger.journal.finish(
                [replace(move, goal=Goal.MOVED, state=MoveState.DONE, error="", refusal=None)]
            )
        ledger.journal.follow([replace(move, src=src, dst=path)])
    ledger.files.placed(row.id, path, FileState.HELD)
    traits = ledger.contents.traits([row.content]) if row.content else {}
    captured = traits[row.content].captured if row.content in traits else None
    month, source = month_of(src, captured, row.stat.mtime_ns / 1e9, root=root.path)
    ledger.files.set_month(row.id, str(month), source)
    for changed in {row.month, str(month)}:
        ledger.months.mark_changed(row.root, changed, now)


def _removed(ledger: Ledger, row: FileRow, move: Move | None, now: float) -> None:
    """It is not in duplicates/ any more. A file of its bytes that came since then says that its owner undid the move."""
    if move is not None:
        copies = _copies_since(ledger, row, move)
        if copies and move.primary:
            ended = replace(
                move, goal=Goal.UNDONE, state=MoveState.DONE, undone_to=next(iter(copies)).path, error="", refusal=None
            )  # fmt: skip
            record_undo_verdict(ledger, ended, now)
        else:
            ended = _taken_out(move)
            ledger.sidecars.forget(move.group)  # what it knew stands there alone now: its owner's to keep
        ledger.journal.finish([ended])
    ledger.months.mark_changed(row.root, row.month, now)
    ledger.files.remove(row.id)


def _copies_since(ledger: Ledger, row: FileRow, move: Move) -> list[FileRow]:
    group = ledger.groups.get(move.group)
    keeper = group.keeper if group is not None else None
    live: Iterable[FileRow] = ledger.files.live_with_content(move.content)
    return [f for f in live if f.root == row.root and f.id > row.id and f.id != keeper]
