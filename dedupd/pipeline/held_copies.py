"""What became of the files in duplicates/: still there, gone along with their folder, taken back or removed.

Held copies lie where no walk goes, so each is looked at by itself. Must never move a file; absence is believed
only at the second look, and what a person took back is never moved again (P9, P11).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from dedupd.core.month import month_of
from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.relocation import DUPLICATES, Goal, Move, MoveState, duplicates_folder
from dedupd.errors import MoveRefused, Refusal
from dedupd.pipeline.record_outcome import people_said, place
from dedupd.ports import Clock, Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


def look_aside(root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, patience: float) -> int:
    """Look at every held copy of this root. Returns how many are not there any more.

    `patience`: seconds a copy must stay away, in two looks, before that is believed.
    """
    missing: list[FileRow] = []
    for row in ledger.inventory.held(root.id):
        if disk.gone(root.path, row.path):
            missing.append(row)
        elif row.absent_since is not None:
            with ledger.transaction():
                ledger.inventory.same_file(row.id, row.stat)
    if not missing:
        return 0
    begun = {move.file for move in ledger.journal.open_moves()}
    moves = {m.file: m for m in ledger.journal.moves(root=root.path, held=True)}
    elsewhere = {_mark(file.stat): file.path for file in disk.held(root.path)}
    now = clock.now()
    with ledger.transaction():
        for row in missing:
            if row.id in begun:
                continue
            path, move = elsewhere.get(_mark(row.stat)), moves.get(row.id)
            if path is not None and ledger.inventory.file_at(root.id, path) is None:
                _gone_along(ledger, root, row, move, path, now)
            elif row.absent_since is None:
                ledger.inventory.absent_file(row.id, now)
                ledger.inventory.change_month(root.id, row.month, now)
            elif now < row.absent_since:  # the clock was set back: how long it is gone is not known
                ledger.inventory.absent_file(row.id, now)
            elif now - row.absent_since >= patience:
                _removed(ledger, row, move, now)
    return len(missing)


def taken_back(ledger: Ledger, row: FileRow, path: str, now: float) -> None:
    """Its owner moved a held copy out of duplicates/ by hand: that is an undo, and it stays where they put it (P11)."""
    with ledger.transaction():
        # An undo asked for meanwhile found it at neither place and left the row for a person: this answers it.
        rows = [*ledger.journal.moves(content=row.content, held=True), *ledger.journal.attention()]
        ours = {m.id: m for m in rows if m.file == row.id}
        undone = [
            replace(m, goal=Goal.UNDONE, state=MoveState.DONE, restored=path, error="", refusal=None)
            for m in ours.values()
        ]
        ledger.journal.finish(undone)
        place(ledger, undone, now)


def _mark(stat: FileStat) -> tuple[int, int, int]:
    return (stat.ino, stat.size, stat.mtime_ns)


def _gone_along(
    ledger: Ledger, root: RootRow, row: FileRow, move: Move | None, path: str, now: float
) -> None:
    """A person renamed or moved a folder with its duplicates/: the copy is held still, and undo follows it there."""
    src = row.path
    if move is not None:
        above, below = (duplicates_folder(p)[: -len(DUPLICATES)] for p in (row.path, path))
        src = below + move.src[len(above) :] if move.src.startswith(above) else move.src
        ledger.journal.follow([replace(move, src=src, dst=path)])
    ledger.inventory.placed_file(row.id, path, FileState.HELD)
    traits = ledger.inventory.traits([row.content]) if row.content else {}
    captured = traits[row.content].captured if row.content in traits else None
    month, source = month_of(src, captured, row.stat.mtime_ns / 1e9, root=root.path)
    ledger.inventory.set_month(row.id, str(month), source)
    for changed in {row.month, str(month)}:
        ledger.inventory.change_month(row.root, changed, now)


def _removed(ledger: Ledger, row: FileRow, move: Move | None, now: float) -> None:
    """It is not in duplicates/ any more. A file of its bytes that came since then says that it was taken back."""
    if move is not None:
        copies = _copies_since(ledger, row, move)
        if copies and move.primary:
            ended = replace(move, goal=Goal.UNDONE, restored=next(iter(copies)).path)
            people_said(ledger, ended, now)
        else:
            gone = MoveRefused("taken out of duplicates/ by its owner", Refusal.TAKEN_OUT)
            ended = move.refused(gone, MoveState.ABORTED)
            ledger.sidecars.forget(move.group)  # what it knew stands there alone now: its owner's to keep
        ledger.journal.finish([ended])
    ledger.inventory.change_month(row.root, row.month, now)
    ledger.inventory.remove_file(row.id)


def _copies_since(ledger: Ledger, row: FileRow, move: Move) -> list[FileRow]:
    group = ledger.judgement.group(move.group)
    keeper = group.keeper if group is not None else None
    live: Iterable[FileRow] = ledger.inventory.live_with_content(move.content)
    return [f for f in live if f.root == row.root and f.id > row.id and f.id != keeper]
