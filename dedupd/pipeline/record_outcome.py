"""Records how moves ended: where files lie now, which group members moved or were undone.

Idempotent: recording a move twice changes nothing, so recovery may repeat it. Must never touch a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dedupd.core.month import month_of
from dedupd.core.photo import FileState
from dedupd.core.records import FileRow
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.errors import Refusal
from dedupd.ports import Clock

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_CONTRADICTIONS = (Refusal.CHANGED, Refusal.OTHER_BYTES, Refusal.GONE)
"""Refusals which say that the disk contradicts the ledger."""


class RecordingJournal:
    """The move journal for pipeline.relocate: how a move ended and where its file lies now are one commit."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self.intend = ledger.journal.intend
        self.reopen = ledger.journal.reopen
        self.open_moves = ledger.journal.open_moves
        self.keeps = ledger.journal.keeps

    def finish(self, moves: Sequence[Move]) -> None:
        """Record how rows ended and what that means. Raises StateError."""
        with self._ledger.transaction():
            self._ledger.journal.finish(moves)
            record_outcome(self._ledger, moves, self._clock.now())


def record_outcome(ledger: Ledger, moves: Iterable[Move], now: float) -> None:
    """Bring files, groups and months in line with these journal rows."""
    with ledger.transaction():
        for move in moves:
            file = ledger.files.get(move.file)
            if file is not None and move.state is MoveState.DONE and move.group:
                ledger.sidecars.owe(file.root, move.group)
            if file is None:
                if move.state is MoveState.DONE and move.goal is Goal.UNDONE and move.primary:
                    record_undo_verdict(ledger, move, now)
            elif move.held:
                _record_held(ledger, move, file)
            elif move.state is MoveState.DONE:
                _record_undone(ledger, move, file, now)
            elif move.state is MoveState.ABORTED and move.goal is Goal.MOVED and move.primary:
                _record_refused(ledger, move, file, now)
            if file is not None and move.refusal in _CONTRADICTIONS:
                _doubt_both(ledger, move, file, now)


def _doubt_both(ledger: Ledger, move: Move, file: FileRow, now: float) -> None:
    """The file or its keeper has other bytes than recorded: both are to be read again, to find out which."""
    keeper = ledger.files.at(file.root, move.keeper)
    ledger.rereading.doubt([f.id for f in (file, keeper) if f is not None], now)


def record_undo_verdict(ledger: Ledger, move: Move, now: float) -> None:
    """A person undid this move: it never moves again, nor does its former keeper beside it (P11).

    The 'keep' is recorded after the 'different': that is how lessons recognise the verdict of an undo.
    """
    ledger.verdicts.add("different", move.keeper_content, move.content, [move.keeper, move.src], now)
    ledger.verdicts.add("keep", move.content, "", [move.src], now)


def _record_refused(ledger: Ledger, move: Move, file: FileRow, now: float) -> None:
    ledger.groups.set_role(move.group, file.id, "duplicate", f"stays for now: {move.error}")
    group = ledger.groups.get(move.group)
    if group is not None and move.refusal not in (None, Refusal.INTERRUPTED):
        ledger.refusals.put(file.id, group.keeper, move.refusal, move.error, now)


def _record_held(ledger: Ledger, move: Move, file: FileRow) -> None:
    if file.path == move.dst and file.state == FileState.HELD:
        return
    ledger.files.placed(file.id, move.dst, FileState.HELD)
    if move.primary:
        ledger.groups.set_role(move.group, file.id, "moved")
        ledger.refusals.forget(file.id)
    elif not file.month:
        ledger.files.set_month(file.id, *_own_month(move, file))


def _record_undone(ledger: Ledger, move: Move, file: FileRow, now: float) -> None:
    if file.state != FileState.HELD or file.path != move.dst:
        return
    state = _state(ledger, file) if move.primary else FileState.COMPANION
    ledger.files.placed(file.id, move.undone_to or move.src, state)
    ledger.months.mark_changed(file.root, file.month, now)
    if not move.primary:
        return
    ledger.pairs.forget_compared([file.content] if file.content else [])
    if move.goal is Goal.UNDONE:
        record_undo_verdict(ledger, move, now)
        ledger.groups.set_role(move.group, file.id, "stays", "a person put it back")
    else:
        ledger.groups.remove_member(move.group, file.id)


def _state(ledger: Ledger, file: FileRow) -> FileState:
    seen = ledger.contents.traits([file.content] if file.content else [])
    undecoded = any(not traits.decoded for traits in seen.values())
    return FileState.UNDECODED if undecoded else FileState.INDEXED


def _own_month(move: Move, file: FileRow) -> tuple[str, str]:
    month, source = month_of(move.src, None, file.stat.mtime_ns / 1e9, root=move.root)
    return str(month), source
