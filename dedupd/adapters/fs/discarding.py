"""Moves held duplicates into the desktop's trash and back, at a person's command: the one exception to P3.

Owns the protocol of a purge (open and prove the file and the one kept for it, receipt, .trashinfo, rename without
replacing, check again, sync, receipt) and its undo. Must never delete, copy or replace a file, and never act on
a file outside duplicates/.

    with discarder.prepare(orders) as batch:
        purges.intend(rows of batch.orders)         # with the place in the trash; durable before a file goes
        rows = batch.discard(rows)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from dedupd.adapters.fs import receipts, test_points
from dedupd.adapters.fs.marker import marker_of
from dedupd.adapters.fs.move_checks import (
    ProvenFile,
    content_at,
    prove_file,
    same_bytes,
    same_root,
    undisturbed,
)
from dedupd.adapters.fs.mover import FileMover, way_in
from dedupd.adapters.fs.receipts import ReceiptKind
from dedupd.adapters.fs.renaming import rename_between, unlink_claim_in, unlink_second_name_between
from dedupd.adapters.fs.safe_paths import Root, content_of, identity
from dedupd.adapters.fs.system_errors import refusal_of
from dedupd.adapters.fs.trash import Trash, open_trash, trash_of, why_no_trash
from dedupd.closing import Closing
from dedupd.core.purging import Discard, Purge, PurgeState
from dedupd.core.relocation import Move, Place, duplicates_folder, is_held, numbered
from dedupd.errors import MoveRefused, Refusal, RootError


class Discarder:
    """Puts held files into the trash and takes them out. For the thread of its mover."""

    def __init__(self, mover: FileMover) -> None:
        self._mover = mover

    def problem(self, root: str) -> str:
        """Why nothing of this root can go into a trash; '' when it can. Changes nothing on the disk."""
        try:
            with Root(root) as top:
                return why_no_trash(top)
        except RootError as error:
            return str(error)

    @contextmanager
    def prepare(self, orders: Sequence[Discard]) -> Generator[DiscardBatch]:
        """Open and prove these files (all of one root) and the file kept for each; whole units or none of their files.

        The batch's `orders` may go, each with its place in the trash; `refused` says why the others stay. RootError.
        """
        with DiscardBatch(self._mover, Root(orders[0].move.root)) as batch:
            for unit in _units(orders):
                try:
                    batch.orders += batch.prove(unit)
                except (MoveRefused, OSError) as error:
                    batch.refused += [(order, refusal_of(error)) for order in unit]
            yield batch

    def locate(self, move: Move, purge: Purge) -> Place:
        """Where the file of an interrupted purge lies: SRC in duplicates/, DST in the trash."""
        with suppress(RootError, MoveRefused, OSError), Root(move.root) as root:
            if not same_root(root, move):
                return Place.UNKNOWN
            held, gone = content_at(root, move.dst, move, trust=False), self._in_trash(move, purge)
            if held and gone:
                return Place.BOTH
            return Place.SRC if held else Place.DST if gone else Place.NOWHERE
        return Place.UNKNOWN

    def confirm(self, moves: Sequence[tuple[Move, Purge]]) -> None:
        """Sync what arrived in the trash, and write its receipts. OSError, RootError."""
        with Root(moves[0][0].root) as root:
            for _, purge in moves:
                trash, _ = trash_of(purge.trash)
                with trash:
                    self._mover.sync(trash.files)
            self._mover.sync_folders(root, [move.dst for move, _ in moves])
            _receipt(self._mover, root, ReceiptKind.PURGED, moves)

    def settle_name(self, move: Move, purge: Purge) -> None:
        """Remove what an interrupted purge left in the trash of a file that is still held: a second name, or an empty file.

        Another file that has that name by now is not ours, and stays.
        """
        folder, _, held = move.dst.rpartition("/")
        with suppress(OSError), Root(move.root) as root, root.folder(folder) as fd:
            trash, name = trash_of(purge.trash)
            with trash:
                found = trash.lstat(name)
                with suppress(MoveRefused):
                    if found is not None and found.st_size == 0 < move.size and stat.S_ISREG(found.st_mode):
                        unlink_claim_in(trash.files, name)
                    elif found is not None:
                        unlink_second_name_between(fd, held, trash.files, name, move.content)
                os.fsync(trash.files)
                trash.release(name, os.path.join(move.root, move.dst))

    def free_place(self, move: Move) -> str:
        """A free path for it in duplicates/. MoveRefused, RootError, OSError."""
        with Root(move.root) as root:
            if move.root_id and marker_of(root) not in ("", move.root_id):
                raise MoveRefused(f"{root.path} is another root than it was purged from", Refusal.OTHER_ROOT)
            number = 0
            while root.lstat(numbered(move.dst, number)) is not None:
                number += 1
            return numbered(move.dst, number)

    def undo(self, move: Move, purge: Purge, original: str) -> None:
        """Move it from the trash to `move.dst`, never replacing. `original`: its path before the purge.

        MoveRefused, RootError: `locate` tells where it is then.
        """
        try:
            self._undo(move, purge, original)
        except OSError as error:
            raise refusal_of(error) from error

    def _undo(self, move: Move, purge: Purge, original: str) -> None:
        with Root(move.root) as root:
            way, folder = way_in(root), move.dst.rpartition("/")[0]
            try:
                trash, name = trash_of(purge.trash)
            except OSError as error:
                raise MoveRefused(
                    f"the trash of {purge.trash} is not there ({error.strerror})", Refusal.GONE
                ) from None
            with trash:
                before = self._proven(trash, name, move, purge)
                self._mover.make_folder(root, folder)
                with root.folder(folder) as fd:
                    rename_between(trash.files, name, fd, move.dst.rpartition("/")[2], way)
                    test_points.step("taken out of the trash")
                    self._mover.sync(fd)
                self._mover.sync(trash.files)
                there = root.lstat(move.dst)
                if there is None or identity(there) != identity(before):
                    raise MoveRefused(f"{move.dst} was replaced or taken away meanwhile", Refusal.CHANGED)
                trash.release(name, os.path.join(move.root, original))

    def confirm_held(self, move: Move, purge: Purge) -> None:
        """Sync that it lies in duplicates/ again, and write its receipt. MoveRefused, RootError."""
        try:
            with Root(move.root) as root:
                self._mover.sync_folders(root, [move.dst])
                with suppress(OSError):
                    trash, name = trash_of(purge.trash)
                    with trash:
                        trash.release(name, os.path.join(move.root, move.dst))
                self._mover.complete(root, [move])
        except OSError as error:
            raise refusal_of(error) from error

    def _in_trash(self, move: Move, purge: Purge) -> bool:
        try:
            trash, name = trash_of(purge.trash)
        except FileNotFoundError:
            return False
        with trash, suppress(MoveRefused):
            self._proven(trash, name, move, purge)
            return True
        return False

    def _proven(self, trash: Trash, name: str, move: Move, purge: Purge) -> os.stat_result:
        """lstat of the file in the trash, after checking that it is the recorded one. MoveRefused, OSError."""
        found = trash.lstat(name)
        if found is None:
            raise MoveRefused(
                f"{purge.trash} is not there: the trash was emptied, or it was taken out", Refusal.GONE
            )
        if not stat.S_ISREG(found.st_mode) or found.st_size != move.size:
            raise MoveRefused(f"{purge.trash} is not the file that went there", Refusal.OTHER_BYTES)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=trash.files)
        try:
            if content_of(fd) != move.content or identity(os.fstat(fd)) != identity(found):
                raise MoveRefused(f"{purge.trash} is not the file that went there", Refusal.OTHER_BYTES)
        finally:
            os.close(fd)
        return found


class DiscardBatch(Closing):
    """Held files of one root and the files kept for them, open and just proven. Close it to close them."""

    def __init__(self, mover: FileMover, root: Root) -> None:
        self.orders: list[Discard] = []
        self.refused: list[tuple[Discard, MoveRefused]] = []
        self._mover, self._root = mover, root
        self._trash: Trash | None = None
        self._proven: dict[str, ProvenFile] = {}
        self._held: dict[int, tuple[ProvenFile, ProvenFile, Discard]] = {}
        """Move id -> the held file, the file kept for it, and the order."""

    def prove(self, unit: Sequence[Discard]) -> list[Discard]:
        """MoveRefused or OSError when any check says no; nothing of the unit goes then."""
        if self._mover.halted:
            raise MoveRefused(self._mover.halted, Refusal.DISK_FAILED)
        way_in(self._root)  # what can never move there is not even opened
        for order in unit:
            check_discard(self._root, order)
            stands = self._prove(order.stands, order.stands_content, order)
            held = self._prove(order.move.dst, order.move.content, None)
            if identity(held.stat) == identity(stands.stat):
                raise MoveRefused(
                    f"{order.move.dst} and {order.stands} are one and the same file", Refusal.HARD_LINK
                )
            self._held[order.move.id] = held, stands, order
        if self._trash is None:
            self._trash = open_trash(self._root)
        trash = self._trash
        test_points.step("discard proven")
        return [replace(o, trash=trash.place(trash.free_name(o.move.dst.rpartition("/")[2]))) for o in unit]

    def discard(self, rows: Sequence[Purge]) -> list[Purge]:
        """Put the files of these committed intents into the trash.

        The rows come back DONE, ABORTED (it is where it was, with the reason) or, when a file could neither stay in the
        trash nor come back, INTENT: recovery must look.
        """
        ended: list[Purge] = []
        for unit in self._by_unit(rows):
            moves = [(self._held[row.move][2].move, row) for row in unit]
            try:
                _receipt(self._mover, self._root, ReceiptKind.PURGING, moves, must=True)
                test_points.step("discard receipted")
            except OSError as error:
                ended += _aborted(unit, refusal_of(error))
                continue
            ended += self._discard_unit(unit)
        return self._durable(ended)

    def _discard_unit(self, unit: Sequence[Purge]) -> list[Purge]:
        gone: list[Purge] = []
        try:
            for row in unit:
                self._into_trash(row, gone)
        except (MoveRefused, OSError) as error:
            return self._roll_back(unit, gone, refusal_of(error))
        return [replace(row, state=PurgeState.DONE) for row in unit]

    def _into_trash(self, row: Purge, gone: list[Purge]) -> None:
        held, stands, order = self._held[row.move]
        trash, name = self._in(row)
        folder, _, old = order.move.dst.rpartition("/")
        original = os.path.join(self._root.path, order.move.dst)
        trash.reserve(name, original, row.at)
        test_points.step("name reserved")
        try:
            undisturbed(self._root, held, order.move.dst)
            undisturbed(self._root, stands, order.stands)
            test_points.step("checked before discard")
            with self._root.folder(folder) as fd:
                rename_between(fd, old, trash.files, name, way_in(self._root))
        except (MoveRefused, OSError):
            trash.release(name, original)
            raise
        gone.append(row)
        test_points.step("discarded")
        found = trash.lstat(name)
        if found is None or identity(found) != identity(held.stat) or not same_bytes(found, held.stat):
            raise MoveRefused(f"{order.move.dst} was replaced or changed meanwhile", Refusal.CHANGED)
        undisturbed(self._root, stands, order.stands)

    def _roll_back(self, unit: Sequence[Purge], gone: Sequence[Purge], why: MoveRefused) -> list[Purge]:
        try:
            for row in reversed(gone):
                order = self._held[row.move][2]
                trash, name = self._in(row)
                folder, _, old = order.move.dst.rpartition("/")
                with self._root.folder(folder) as fd:
                    rename_between(trash.files, name, fd, old, way_in(self._root))
                test_points.step("discard rolled back")
                trash.release(name, os.path.join(self._root.path, order.move.dst))
        except (MoveRefused, OSError):  # recovery sees the unit as a whole
            return [replace(row, error=str(why)) for row in unit]
        return _aborted(unit, why)

    def _durable(self, rows: Sequence[Purge]) -> list[Purge]:
        """Sync the folders, then write the receipts. A purge that could not be synced is left for recovery."""
        done = [row for row in rows if row.state is PurgeState.DONE]
        moves = [(self._held[row.move][2].move, row) for row in done]
        try:
            if done and self._trash is not None:
                self._mover.sync(self._trash.files)
            self._mover.sync_folders(self._root, [move.dst for move, _ in moves])
        except OSError as error:
            why = str(refusal_of(error))
            return [replace(row, state=PurgeState.INTENT, error=why) if row in done else row for row in rows]
        _receipt(self._mover, self._root, ReceiptKind.PURGED, moves)
        stayed = [self._held[row.move][2].move for row in rows if row.state is PurgeState.ABORTED]
        self._mover.complete(self._root, stayed)
        return list(rows)

    def _in(self, row: Purge) -> tuple[Trash, str]:
        assert self._trash is not None
        return self._trash, os.path.basename(row.trash)

    def _by_unit(self, rows: Sequence[Purge]) -> list[list[Purge]]:
        found: dict[tuple[str, str], list[Purge]] = {}
        for row in rows:
            move = self._held[row.move][2].move
            found.setdefault((move.batch, move.unit), []).append(row)
        return list(found.values())

    def _prove(self, path: str, content: str, order: Discard | None) -> ProvenFile:
        proven = self._proven.get(path)
        if proven is None:
            expected = self._mover.stat(self._root.path, path) if order is None else order.stands_stat
            if expected is None:
                raise MoveRefused(f"{path} is gone", Refusal.GONE)
            proven = self._proven[path] = prove_file(
                self._root, path, expected, content, self._mover.settle_timer, self._mover.sync
            )
        elif proven.content != content:
            raise MoveRefused(f"{path} does not hold the bytes that were recorded", Refusal.OTHER_BYTES)
        return proven

    def close(self) -> None:
        for proven in self._proven.values():
            proven.close()
        self._proven.clear()
        if self._trash is not None:
            self._trash.close()
        self._root.close()


def check_discard(root: Root, order: Discard) -> None:
    """What must be true of an order before its files are opened. Raises MoveRefused."""
    move = order.move
    if move.root_id and marker_of(root) != move.root_id:
        raise MoveRefused(
            f"{root.path} is not the folder or disk it was: mount the right one", Refusal.OTHER_ROOT
        )
    wrong = ""
    if not move.held or not is_held(move.dst):
        wrong = f"{move.dst} does not lie in duplicates/"
    elif is_held(order.stands):
        wrong = f"{order.stands} lies in duplicates/ itself"
    elif not order.stands_content or not move.content:
        wrong = f"{move.dst} or what stands for it has no recorded content"
    elif (not move.primary or move.relation == "exact") and order.stands_content != move.content:
        wrong = f"{move.dst} is not the same bytes as {order.stands}"
    if wrong:
        raise MoveRefused(wrong, Refusal.CONTRADICTION)


def _receipt(
    mover: FileMover, root: Root, kind: ReceiptKind, rows: Iterable[tuple[Move, Purge]], *, must: bool = False
) -> None:
    """A line for each in its duplicates/ folder. `must`: OSError when it cannot be written; else the disk tells."""
    folders: dict[str, list[tuple[Move, Purge]]] = {}
    for move, purge in rows:
        folders.setdefault(duplicates_folder(move.dst), []).append((move, purge))
    for folder, own in folders.items():
        try:
            with mover.watching(), root.folder(folder) as fd:
                receipts.append(fd, [receipts.purge(kind, m, p.trash, mover.clock.now()) for m, p in own])
        except OSError:
            if must:
                raise
        test_points.step(f"{kind} receipted")


def _units(orders: Sequence[Discard]) -> list[list[Discard]]:
    found: dict[tuple[str, str], list[Discard]] = {}
    for order in orders:
        found.setdefault((order.move.batch, order.move.unit), []).append(order)
    return list(found.values())


def _aborted(unit: Sequence[Purge], why: MoveRefused) -> list[Purge]:
    return [replace(row, state=PurgeState.ABORTED, error=str(why)) for row in unit]
