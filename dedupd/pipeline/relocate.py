"""Moves duplicates into duplicates/, undoes moves, and ends moves that a crash interrupted.

Owns the order of each move: prove, journal, rename, journal. Must never decide what is a duplicate, and reaches files
only through the mover (adapters/fs/mover.py).
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from dedupd.core.relocation import Goal, Move, MoveOrder, MoveState, Place
from dedupd.errors import MoveRefused, Refusal
from dedupd.ports import Clock, Progress

if TYPE_CHECKING:
    from dedupd.adapters.fs.mover import FileMover, MoveBatch

CHUNK = 48
"""Files open at once: this many moves share two commits and a few fsyncs."""
_TRIES = 8
"""How often a unit gets another name when its chosen name was taken in the meantime."""

_T = TypeVar("_T")


class MoveJournal(Protocol):
    """The journal (adapters/ledger/journal.py: Journal). Writers raise StateError when it cannot be written.

    Whoever keeps more in step with a move (a file's path) wraps `finish` in a transaction of both.
    """

    def intend(self, orders: Sequence[MoveOrder], batch: str, at: float) -> list[Move]:
        """Rows in state INTENT, durable on return."""
        ...

    def reopen(self, moves: Sequence[Move]) -> None:
        """Record a new goal for rows, durable on return."""
        ...

    def finish(self, moves: Sequence[Move]) -> None:
        """Record how rows ended."""
        ...

    def open_moves(self) -> list[Move]:
        """Rows begun and not ended."""
        ...

    def keeps(self, root: str, path: str, file: int) -> list[Move]:
        """Held copies whose keeper is this file."""
        ...


def _silent(phase: str, done: int, total: int) -> None:
    pass


def new_batch() -> str:
    """A name for the moves of one act: `undo --last` undoes all of it."""
    return uuid.uuid4().hex


def relocate(
    orders: Sequence[MoveOrder],
    mover: FileMover,
    journal: MoveJournal,
    clock: Clock,
    on_progress: Progress = _silent,
    batch: str = "",
) -> list[Move]:
    """Move these files into duplicates/, unit by unit, all with one `batch` (a new one when not given).

    Returns one row for each order, in their order: DONE (held now), ABORTED with the reason in `error`
    (the file is where it was; id 0 when a check said no before anything was journaled), or INTENT when the
    disk failed half-way: `recover` will look. Raises RootError and StateError; what was done is journaled.
    """
    batch = batch or new_batch()
    rows: dict[tuple[str, str], Move] = {}
    done = 0
    refused = {(order.root, order.unit): why for order, why in _contradictions(orders, journal)}
    for order in orders:
        if sentence := refused.get((order.root, order.unit)):
            why = MoveRefused(sentence, Refusal.CONTRADICTION)
            rows[order.root, order.src] = _refusal(order, batch, why, clock.now())
    waiting = [order for order in orders if (order.root, order.unit) not in refused]
    for chunk in _chunks(waiting, lambda order: (order.root, order.unit), lambda order: order.root):
        for move in _move_chunk(chunk, mover, journal, clock, batch):
            rows[move.root, move.src] = move
        done += len(chunk)
        on_progress("move", done, len(waiting))
    return [rows[order.root, order.src] for order in orders]


def recover(journal: MoveJournal, mover: FileMover, clock: Clock) -> list[Move]:
    """End every interrupted move, before anything else moves. Idempotent, and may itself be interrupted anywhere.

    A unit that arrived whole, with its keeper in place, is done; any other goes back to where it was. A file
    that is at neither place is ATTENTION, named by its content. Rows of a root that is not there stay open.
    """
    open_rows = journal.open_moves()
    ended: list[Move] = []
    for unit in _units(row for row in open_rows if row.goal is Goal.MOVED):
        ended += _end_unit(unit, mover, journal, clock)
    for goal in (Goal.UNDONE, Goal.RETURNED):
        back = [row for row in open_rows if row.goal is goal and mover.locate(row) is not Place.UNKNOWN]
        ended += undo(back, mover, journal, clock, goal=goal)
    return ended


def undo(
    moves: Sequence[Move],
    mover: FileMover,
    journal: MoveJournal | None,
    clock: Clock,
    on_progress: Progress = _silent,
    goal: Goal = Goal.UNDONE,
) -> list[Move]:
    """Undo these moves: each held file goes back to where it was, with the same path bytes, bytes, mtime, mode and xattrs.

    A taken name becomes a sibling name (`undone_to` says which), a missing folder is made again. `goal`
    RETURNED: dedupd does it by itself (P8). Returns one row for each move, in their order: DONE with
    the new goal, ATTENTION when the file is nowhere, or unchanged with the reason in `error`.
    `journal` None: the ledger is gone, and only receipts are written. Raises RootError and StateError.
    """
    wanted = [move for move in moves if move.held or move.state in (MoveState.INTENT, MoveState.ATTENTION)]
    rows = {_key(move): move for move in moves}
    done = 0
    for chunk in _chunks(wanted, lambda move: (move.root, move.batch, move.unit), lambda move: move.root):
        for row in _undo_chunk(chunk, mover, journal, goal):
            rows[_key(row)] = row
        done += len(chunk)
        on_progress("undo", done, len(wanted))
    return [rows[_key(move)] for move in moves]


def moves_in_receipts(root: str, mover: FileMover) -> list[Move]:
    """The moves that the receipts under `root` tell of and that were not undone, oldest first. Raises RootError."""
    return [move for move in mover.receipts(root) if move.held or move.state is MoveState.INTENT]


def undo_from_receipts(
    root: str,
    mover: FileMover,
    clock: Clock,
    on_progress: Progress = _silent,
    moves: Sequence[Move] | None = None,
) -> list[Move]:
    """Undo what the receipts under `root` tell of (or these `moves` of it), with the ledger gone. RootError.

    By the bytes, whatever the root's marker says by now. The files of a unit come back under one number; where one
    of them cannot, each comes back by itself.
    """
    wanted = moves_in_receipts(root, mover) if moves is None else moves
    ended = undo([replace(move, root_id="") for move in wanted], mover, None, clock, on_progress)
    stuck = [row for row in ended if row.refusal is not None and row.state is not MoveState.ATTENTION]
    alone = undo([replace(row, unit=str(n)) for n, row in enumerate(stuck)], mover, None, clock)
    better = {_key(row): row for row in alone}
    return [better.get(_key(row), row) for row in ended]


def _contradictions(orders: Sequence[MoveOrder], journal: MoveJournal) -> Iterator[tuple[MoveOrder, str]]:
    """Orders that would move a keeper, or leave a copy without one (P7, P5)."""
    sources = Counter((order.root, order.src) for order in orders)
    for order in orders:
        if sources[order.root, order.src] > 1:
            yield order, "it was ordered to move twice"
        elif (order.root, order.keeper) in sources:
            yield order, f"its keeper {order.keeper} is about to move itself"
        elif held := journal.keeps(order.root, order.src, order.file):
            yield order, f"it is the keeper of {len(held)} held copies"


def _refusal(order: MoveOrder, batch: str, why: MoveRefused, at: float) -> Move:
    return order.as_move(batch, at).refused(why, MoveState.ABORTED)


def _move_chunk(
    waiting: Sequence[MoveOrder], mover: FileMover, journal: MoveJournal, clock: Clock, batch: str
) -> list[Move]:
    ended: dict[str, Move] = {}
    for _ in range(_TRIES):
        with mover.prepare_moves(waiting) as hold:
            ended |= {order.src: _refusal(order, batch, why, clock.now()) for order, why in hold.refused}
            rows = _journaled(hold, journal, batch, clock.now()) if hold.orders else []
        ended |= {row.src: row for row in rows}
        collided = {row.unit for row in rows if row.refusal is Refusal.NAME_TAKEN}
        waiting = [order for order in waiting if order.unit in collided]
        if not waiting:
            break
    if not mover.halted:  # what could neither stay nor go back: end it as after a crash
        for unit in _units(row for row in list(ended.values()) if row.state is MoveState.INTENT):
            ended |= {row.src: row for row in _end_unit(unit, mover, journal, clock)}
    return list(ended.values())


def _journaled(hold: MoveBatch, journal: MoveJournal, batch: str, at: float) -> list[Move]:
    rows = hold.move(journal.intend(hold.orders, batch, at))
    journal.finish(rows)
    return rows


def _undo_chunk(
    waiting: Sequence[Move], mover: FileMover, journal: MoveJournal | None, goal: Goal
) -> list[Move]:
    ended: dict[tuple[str, str, int, str], Move] = {}
    for _ in range(_TRIES):
        with mover.prepare_undo(waiting, goal) as hold:
            if journal is not None and hold.moves:
                journal.reopen(hold.moves)
            rows = [*hold.undo(hold.moves), *hold.settled]
            if journal is not None:
                journal.finish(rows)
            ended |= {_key(row): row for row in (*rows, *hold.unmoved)}
        waiting = [row for row in rows if row.refusal is Refusal.NAME_TAKEN]
        if not waiting:
            break
    return list(ended.values())


def _end_unit(unit: Sequence[Move], mover: FileMover, journal: MoveJournal, clock: Clock) -> list[Move]:
    places = [(move, mover.locate(move)) for move in unit]
    if any(place is Place.UNKNOWN for _, place in places):
        return []
    if all(place is Place.DST for _, place in places) and all(mover.keeper_stands(move) for move in unit):
        rows = mover.confirm(unit)
        journal.finish(rows)
        return rows
    back = undo([m for m, place in places if place is Place.DST], mover, journal, clock, goal=Goal.RETURNED)
    rest = [_end_where_it_is(move, place, mover) for move, place in places if place is not Place.DST]
    journal.finish(rest)
    return back + rest


def _end_where_it_is(move: Move, place: Place, mover: FileMover) -> Move:
    if place is Place.NOWHERE:
        lost = f"neither {move.src} nor {move.dst} holds the content {move.content}: look for it by hand"
        return move.refused(MoveRefused(lost, Refusal.GONE), MoveState.ATTENTION)
    if place is Place.BOTH:
        try:
            mover.drop_second_name(move)
        except MoveRefused as why:
            return move.refused(why, MoveState.ATTENTION)
        except OSError as error:
            return move.refused(MoveRefused(str(error), Refusal.FAILED), MoveState.ATTENTION)
    stopped = MoveRefused("the move was interrupted; the file is where it was", Refusal.INTERRUPTED)
    return move.refused(stopped, MoveState.ABORTED)


def _key(move: Move) -> tuple[str, str, int, str]:
    """Its place too: a folder that its owner copied has receipts of the same numbers."""
    return (move.root, move.batch, move.id, move.dst)


def _units(moves: Iterable[Move]) -> list[list[Move]]:
    found: dict[tuple[str, str, str], list[Move]] = {}
    for move in moves:
        found.setdefault((move.root, move.batch, move.unit), []).append(move)
    return list(found.values())


def _chunks(
    rows: Iterable[_T], unit: Callable[[_T], Hashable], root: Callable[[_T], str]
) -> Iterator[list[_T]]:
    """Parts of one root and about CHUNK files; no unit is split."""
    found: dict[Hashable, list[_T]] = {}
    for row in rows:
        found.setdefault(unit(row), []).append(row)
    chunk: list[_T] = []
    for files in found.values():
        if chunk and (len(chunk) + len(files) > CHUNK or root(chunk[0]) != root(files[0])):
            yield chunk
            chunk = []
        chunk += files
    if chunk:
        yield chunk
