"""The one module that moves a user's file, and the only user of renaming.py for photos.

Owns the move protocol (open and prove, receipt, rename without replacing, check again, sync, receipt) and its
inverse, the undo. Must never overwrite, truncate, edit, copy or delete a photo, and never leave a root: whatever
cannot be proven safe at this moment is refused, and the file stays where it is.

    with mover.prepare_moves(orders) as batch:                # root, identity, lease, settle, hashes, fsync
        moves = journal.intend(batch.orders, batch_id, at)    # durable before anything moves
        journal.finish(batch.move(moves))                     # receipt, rename, check again, fsync, receipt
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from dedupd.adapters.fs import receipts, test_points
from dedupd.adapters.fs.marker import marker_of
from dedupd.adapters.fs.move_checks import (
    ProvenFile,
    SettleTimer,
    check_order,
    claimed,
    content_at,
    inode_at,
    one_file,
    prove_file,
    same_root,
    undisturbed,
)
from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.adapters.fs.probing import abilities, forget, in_the_cloud
from dedupd.adapters.fs.receipts import ReceiptKind
from dedupd.adapters.fs.renaming import rename, unlink_claim, unlink_second_name
from dedupd.adapters.fs.safe_paths import Root, content_of, identity
from dedupd.adapters.fs.system_errors import refusal_of
from dedupd.closing import Closing
from dedupd.core.abilities import Way
from dedupd.core.photo import FileStat
from dedupd.core.records import SidecarRow
from dedupd.core.relocation import (
    Goal,
    Move,
    MoveOrder,
    MoveState,
    Place,
    duplicates_folder,
    numbered,
)
from dedupd.errors import MoveRefused, Refusal, RootError
from dedupd.ports import Clock

_T = TypeVar("_T")


class FileMover:
    """Moves duplicates into duplicates/ and undoes such moves. For one thread; each call is about one root."""

    def __init__(self, clock: Clock, settle_seconds: float = 3.0) -> None:
        self.clock = clock
        self.halted = ""
        """Why nothing moves any more in this process: set by the first input/output error of an fsync; '' before."""
        self.settle_timer = SettleTimer(clock, settle_seconds)

    def prepare_moves(self, orders: Sequence[MoveOrder]) -> MoveBatch:
        """Open and prove every file of these orders (all of one root) and its keeper.

        The batch's `orders` may move, and their `dst` is a free name; `refused` says why the others stay.
        Raises RootError when the root is not there. Use the batch as a context manager.
        """
        with _closing_on_error(MoveBatch(self, Root(orders[0].root))) as batch:
            for unit in _by(orders, lambda order: order.unit):
                try:
                    batch.orders += batch.prove(unit)
                except (MoveRefused, OSError) as error:
                    batch.refused += [(order, refusal_of(error)) for order in unit]
        return batch

    def prepare_undo(self, moves: Sequence[Move], goal: Goal) -> MoveBatch:
        """Find the files that these moves (all of one root) put into duplicates/, to undo the moves.

        The batch's `moves` have `goal`, state INTENT and a free name in `undone_to`: journal them before `undo`.
        `settled` are back already (DONE) or nowhere to be found (ATTENTION); `unmoved` could not be checked
        and are as before. Raises RootError when the root is not there.
        """
        with _closing_on_error(MoveBatch(self, Root(moves[0].root))) as batch:
            for unit in _by(moves, lambda move: move.unit):
                try:
                    batch.find_held(unit, goal)
                except (MoveRefused, OSError) as error:
                    batch.unmoved += [move.refused(refusal_of(error)) for move in unit]
        return batch

    def locate(self, move: Move) -> Place:
        """Where the file of an interrupted move lies now; UNKNOWN when its root cannot be looked at (P9)."""
        with suppress(RootError, MoveRefused, OSError), Root(move.root) as root:
            if not same_root(root, move):
                return Place.UNKNOWN
            at_src, at_dst = inode_at(root, move.src, move), inode_at(root, move.dst, move)
            twice = one_file(root, move.src, move.dst) or claimed(root, move.dst, move)
            if twice and content_at(root, move.src, move):
                return Place.BOTH
            if at_src or (not at_dst and content_at(root, move.src, move)):
                return Place.SRC
            return Place.DST if content_at(root, move.dst, move, trust=False) else Place.NOWHERE
        return Place.UNKNOWN

    def keeper_stands(self, move: Move) -> bool:
        """True when the keeper of this move is in its place with the bytes that were recorded."""
        with suppress(RootError, OSError), Root(move.root) as root:
            found = root.lstat(move.keeper)
            if (
                found is not None
                and stat.S_ISREG(found.st_mode)
                and not in_the_cloud(root, move.keeper, found)
            ):
                with root.opened(move.keeper) as fd:
                    return content_of(fd) == move.keeper_content
        return False

    def confirm(self, moves: Sequence[Move]) -> list[Move]:
        """Sync renames that a crash left unconfirmed, and write their receipts.

        The rows come back DONE, or as they were with the reason in `error`.
        """
        with Root(moves[0].root) as root:
            try:
                for move in moves:
                    if claimed(root, move.src, move):  # an undo was under way when the power failed
                        unlink_claim(root, move.src)
                self.sync_folders(root, [path for move in moves for path in (move.src, move.dst)])
            except OSError as error:
                return [move.refused(refusal_of(error)) for move in moves]
            done = [replace(move, state=MoveState.DONE, error="", refusal=None) for move in moves]
            self.complete(root, done)
            return done

    def drop_second_name(self, move: Move) -> None:
        """Remove the second name, or the empty file that claimed it, which an interrupted move left in duplicates/.

        MoveRefused when the two names are not one file that holds the recorded bytes.
        """
        with Root(move.root) as root:
            if claimed(root, move.dst, move):
                unlink_claim(root, move.dst)
            else:
                unlink_second_name(root, keep=move.undone_to or move.src, drop=move.dst, content=move.content)
            self.sync_folders(root, [move.dst])

    def set_sidecar_aside(self, root: str, row: SidecarRow, folder: str) -> str:
        """Move a sidecar into the duplicates/ `folder` if it is byte for byte the one in the receipts. Returns its new path; '':
        it stays. For a lost ledger: a receipt alone is not enough reason to delete a sidecar. OSError, RootError.
        """
        data = row.text.encode("utf-8", "surrogatepass")
        with Root(root) as top:
            before = top.lstat(row.path)
            if before is None or before.st_nlink != 1 or before.st_size != len(data) or not data:
                return ""
            if not stat.S_ISREG(before.st_mode) or in_the_cloud(top, row.path, before):
                return ""
            with top.opened(row.path) as fd:
                if os.pread(fd, len(data) + 1, 0) != data or identity(os.fstat(fd)) != identity(before):
                    return ""
            name, number = f"{folder}/{row.path.rpartition('/')[2]}", 0
            while top.lstat(numbered(name, number)) is not None:
                number += 1
            rename(top, row.path, numbered(name, number), way_in(top))
            self.sync_folders(top, [row.path, name])
            with suppress(OSError), top.folder(folder) as fd:
                receipts.append(fd, [receipts.sidecar(ReceiptKind.SIDECAR_REMOVED, row, folder)])
            return numbered(name, number)

    def receipts(self, root: str) -> list[Move]:
        """Every move that the receipts under `root` tell of, oldest first; INTENT without a completion."""
        with Root(root) as opened:
            return receipts.read(opened)

    def stat(self, root: str, path: str) -> FileStat | None:
        """lstat of the regular file at `path`; None for anything else. RootError without the root."""
        with suppress(OSError), Root(root) as opened:
            found = opened.lstat(path)
            if found is not None and stat.S_ISREG(found.st_mode):
                return FileStat(
                    size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns,
                    dev=found.st_dev, ino=found.st_ino, nlink=found.st_nlink,
                )  # fmt: skip
        return None

    def sync(self, fd: int) -> None:
        """fsync. An input/output error halts this mover for good: a second fsync would report success wrongly."""
        with self.watching():
            os.fsync(fd)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Halt this mover at an input/output error in the block; the error is raised again."""
        try:
            yield
        except OSError as error:
            if error.errno == errno.EIO:
                self.halted = (
                    f"the disk failed to write ({error.strerror}): check the disk, then start dedupd again"
                )
            raise

    def sync_folders(self, root: Root, paths: Iterable[str]) -> None:
        """fsync the folder of each path, once. A folder that was removed in the meantime needs none."""
        for folder in sorted({path.rpartition("/")[0] for path in paths}):
            with suppress(FileNotFoundError), root.folder(folder) as fd:
                self.sync(fd)
            test_points.step("folder synced")

    def make_folder(self, root: Root, path: str) -> None:
        """Make `path` and what is missing above it, each with its parent's mode and synced into it."""
        above = ""
        for name in path.split("/") if path else []:
            below = f"{above}/{name}" if above else name
            with root.folder(above) as fd:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=fd)
                    with root.folder(below) as made:
                        _like_its_parent(made, fd)
                    test_points.step("folder made")
                    self.sync(fd)
            above = below
        with root.folder(path):
            pass

    def complete(self, root: Root, moves: Sequence[Move]) -> None:
        """Append completion receipts. If one cannot be written, the disk itself shows how the move ended."""
        for own in _by(moves, lambda move: duplicates_folder(move.dst)):
            with suppress(OSError), self.watching(), root.folder(duplicates_folder(own[0].dst)) as fd:
                receipts.append(fd, [receipts.completion(move, self.clock.now()) for move in own])
            test_points.step("completion receipted")


@dataclass(slots=True, kw_only=True)
class _Item:
    file: ProvenFile
    keeper: ProvenFile


class MoveBatch(Closing):
    """The files of one batch, open and just proven. Close it to close them."""

    def __init__(self, mover: FileMover, root: Root) -> None:
        self.orders: list[MoveOrder] = []
        self.refused: list[tuple[MoveOrder, MoveRefused]] = []
        self.moves: list[Move] = []
        self.settled: list[Move] = []
        self.unmoved: list[Move] = []
        self._mover, self._root = mover, root
        self._items: dict[str, _Item] = {}
        self._proven: dict[str, ProvenFile] = {}
        self._claimed: set[str] = set()
        self._folders: set[str] = set()
        self._renamed: list[tuple[str, str]] = []
        self._before: dict[tuple[str, int, str], Move] = {}

    @cached_property
    def _way(self) -> Way:
        return way_in(self._root)

    # ---- move

    def prove(self, unit: Sequence[MoveOrder]) -> list[MoveOrder]:
        """Open and prove the files of one unit and their keeper; MoveRefused or OSError when any check says no."""
        if self._mover.halted:
            raise MoveRefused(self._mover.halted, Refusal.DISK_FAILED)
        _ = self._way  # what can never move there is not even opened
        for order in unit:
            check_order(self._root, order)
            keeper = self._prove_file(order.keeper, order.keeper_stat, order.keeper_content)
            file = self._prove_file(order.src, order.stat, order.content)
            if identity(file.stat) == identity(keeper.stat):
                raise MoveRefused(
                    f"{order.src} and its keeper {order.keeper} are one and the same file", Refusal.HARD_LINK
                )
            self._items[order.src] = _Item(file=file, keeper=keeper)
        test_points.step("proven")
        names = self._free_names(
            [order.dst for order in unit], _stem([order.src for order in unit if order.primary])
        )
        return [replace(order, dst=dst) for order, dst in zip(unit, names, strict=True)]

    def move(self, moves: Sequence[Move]) -> list[Move]:
        """Move the files of these committed intents.

        The rows come back DONE, ABORTED (nothing moved, with the reason) or, when a file could neither stay moved
        nor be moved back, INTENT: recovery must look.
        """
        unannounced = self._announce(moves)
        rows: list[Move] = []
        for unit in _by(moves, lambda move: move.unit):
            said_no = next((unannounced[m.dst] for m in unit if m.dst in unannounced), None)
            rows += _aborted(unit, said_no) if said_no else self._move_unit(unit)
        try:
            self._mover.sync_folders(self._root, [path for pair in self._renamed for path in pair])
        except OSError as error:
            unsure = {src for src, _ in self._renamed}
            why = refusal_of(error)
            rows = [m.refused(why, MoveState.INTENT) if m.src in unsure else m for m in rows]
        ended = [m for m in rows if m.dst not in unannounced and m.state is not MoveState.INTENT]
        self._mover.complete(self._root, ended)
        return rows

    def _announce(self, moves: Sequence[Move]) -> dict[str, MoveRefused]:
        """Make the folders and fsync the receipts of intent; says for each `dst` why that failed."""
        failed: dict[str, MoveRefused] = {}
        for own in _by(moves, lambda move: duplicates_folder(move.dst)):
            try:
                for move in own:
                    self._make_folder(move.dst.rpartition("/")[0])
                with self._mover.watching(), self._root.folder(duplicates_folder(own[0].dst)) as fd:
                    receipts.append(fd, [receipts.intent(move) for move in own])
                test_points.step("intent receipted")
            except OSError as error:
                failed |= {move.dst: refusal_of(error) for move in own}
        return failed

    def _move_unit(self, unit: Sequence[Move]) -> list[Move]:
        moved: list[Move] = []
        try:
            for move in unit:
                item = self._items[move.src]
                undisturbed(self._root, item.file, move.src)
                undisturbed(self._root, item.keeper, move.keeper)
                test_points.step("checked before rename")
                self._rename(move.src, move.dst)
                moved.append(move)
                self._renamed.append((move.src, move.dst))
                test_points.step("renamed")
                undisturbed(self._root, item.file, move.dst)
                undisturbed(self._root, item.keeper, move.keeper)
        except (MoveRefused, OSError) as error:
            return self._roll_back(unit, moved, refusal_of(error))
        return [replace(move, state=MoveState.DONE) for move in unit]

    def _roll_back(self, unit: Sequence[Move], moved: Sequence[Move], why: MoveRefused) -> list[Move]:
        try:
            for move in reversed(moved):
                self._rename(move.dst, move.src)
                test_points.step("rolled back")
        except OSError:  # recovery sees the unit as a whole, and knows to use a sibling name
            return [move.refused(why) for move in unit]
        return _aborted(unit, why)

    # ---- undo

    def find_held(self, unit: Sequence[Move], goal: Goal) -> None:
        """Sort the files of one unit into `moves` (to undo) and `settled`."""
        held: list[Move] = []
        settled: list[Move] = []
        if self._mover.halted:
            raise MoveRefused(self._mover.halted, Refusal.DISK_FAILED)
        for move in unit:
            if move.root_id and marker_of(self._root) not in ("", move.root_id):
                raise MoveRefused(
                    f"{self._root.path} is another root than the one the file was moved in",
                    Refusal.OTHER_ROOT,
                )
            target = move.undone_to or move.src
            if content_at(self._root, move.dst, move):
                if move.state is MoveState.INTENT and claimed(self._root, target, move):
                    unlink_claim(self._root, target)
                if one_file(self._root, target, move.dst):
                    unlink_second_name(self._root, keep=target, drop=move.dst, content=move.content)
                else:
                    held.append(move)
                    self._before[move.batch, move.id, move.dst] = move
                    continue
            if content_at(self._root, target, move):
                done = replace(move, goal=goal, state=MoveState.DONE, undone_to=target)
                settled.append(replace(done, error="", refusal=None))
            elif move.root_id and marker_of(self._root) != move.root_id:
                # The empty place where its disk was mounted: nothing is lost, and nothing may be written of it (P9).
                raise MoveRefused(
                    f"{self._root.path} is not the folder or disk it was: mount the right one",
                    Refusal.OTHER_ROOT,
                )
            else:
                lost = MoveRefused(
                    f"neither {move.dst} nor {target} holds the content {move.content}: look for it by hand",
                    Refusal.GONE,
                )
                settled.append(replace(move.refused(lost, MoveState.ATTENTION), goal=goal))
        names = self._free_names([move.src for move in held], _stem([m.src for m in unit if m.primary]))
        self.moves += [
            replace(move, goal=goal, state=MoveState.INTENT, undone_to=name, error="", refusal=None)
            for move, name in zip(held, names, strict=True)
        ]
        self.settled += settled

    def undo(self, moves: Sequence[Move]) -> list[Move]:
        """Undo the moves of these committed rows; they come back DONE, or as before with the reason."""
        rows = [self._undo_one(move) for move in moves]
        back = [row for row in (*self.settled, *rows) if row.state is MoveState.DONE and row.undone_to]
        try:
            self._mover.sync_folders(self._root, [path for row in back for path in (row.dst, row.undone_to)])
        except OSError as error:
            return [move.refused(refusal_of(error)) for move in moves]
        self._mover.complete(self._root, back)
        return rows

    def _undo_one(self, move: Move) -> Move:
        try:
            if not content_at(self._root, move.dst, move):
                raise MoveRefused(f"{move.dst} was changed or taken away meanwhile", Refusal.CHANGED)
            self._make_folder(move.undone_to.rpartition("/")[0])
            self._rename(move.dst, move.undone_to)
            test_points.step("undone")
        except (MoveRefused, OSError) as error:
            return self._before[move.batch, move.id, move.dst].refused(refusal_of(error))
        return replace(move, state=MoveState.DONE)

    # ---- both directions

    def _rename(self, src: str, dst: str) -> None:
        try:
            rename(self._root, src, dst, self._way)
        except OSError as error:
            if error.errno in _UNKNOWN:
                forget(self._root)
            raise

    def _prove_file(self, path: str, expected: FileStat, content: str) -> ProvenFile:
        proven = self._proven.get(path)
        if proven is None:
            proven = self._proven[path] = prove_file(
                self._root, path, expected, content, self._mover.settle_timer, self._mover.sync
            )
        elif proven.content != content:
            raise MoveRefused(f"{path} does not hold the bytes that were recorded", Refusal.OTHER_BYTES)
        return proven

    def _free_names(self, paths: Sequence[str], stem: str) -> list[str]:
        """The first number under which all these names are free; the files of a unit share one number."""
        number = 0
        while True:
            names = [numbered(path, number, stem) for path in paths]
            if all(name not in self._claimed and self._root.lstat(name) is None for name in names):
                self._claimed.update(names)
                return names
            number += 1

    def _make_folder(self, path: str) -> None:
        if path not in self._folders:
            self._mover.make_folder(self._root, path)
            self._folders.add(path)  # anything else in its place has raised by now

    def close(self) -> None:
        """Close every file, and the root."""
        for proven in self._proven.values():
            proven.close()
        self._proven.clear()
        self._root.close()


def way_in(root: Root) -> Way:
    """How files move in this root. MoveRefused when its file system has no safe way."""
    found = abilities(root)
    if found.way is None:
        raise MoveRefused(found.problem, Refusal.UNABLE)
    return found.way


def _like_its_parent(made: int, parent: int) -> None:
    give_to_owner(made, parent)
    mode = stat.S_IMODE(os.fstat(parent).st_mode)
    if stat.S_IMODE(os.fstat(made).st_mode) != mode:
        with suppress(OSError):  # FAT and its like know no modes
            os.fchmod(made, mode)


@contextmanager
def _closing_on_error(batch: MoveBatch) -> Generator[MoveBatch]:
    try:
        yield batch
    except BaseException:
        batch.close()
        raise


def _aborted(moves: Sequence[Move], why: MoveRefused) -> list[Move]:
    return [move.refused(why, MoveState.ABORTED) for move in moves]


def _stem(primaries: Sequence[str]) -> str:
    name = primaries[0].rpartition("/")[2] if primaries else ""
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _by(rows: Sequence[_T], key: Callable[[_T], str]) -> list[list[_T]]:
    groups: dict[str, list[_T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)
"""Errors of a system call that the file system does not have."""
