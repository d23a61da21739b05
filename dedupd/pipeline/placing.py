"""What the mover did becomes what the ledger knows: where files lie, which group members moved or came back.

Idempotent: placing a move twice changes nothing, so recovery may repeat it. Must never touch a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dedupd.core.month import month_of
from dedupd.core.photo import FileState
from dedupd.core.records import FileRow
from dedupd.core.relocation import Goal, Move, MoveState

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


def place(ledger: Ledger, moves: Iterable[Move], now: float) -> None:
    """Bring files, groups and months in line with these journal rows."""
    with ledger.transaction():
        for move in moves:
            file = ledger.inventory.file(move.file)
            if file is None:
                continue
            if move.held:
                _held(ledger, move, file)
            elif move.state is MoveState.DONE:
                _back(ledger, move, file, now)
            elif move.state is MoveState.ABORTED and move.goal is Goal.MOVED and move.primary:
                ledger.judgement.set_role(move.group, file.id, "duplicate", f"stays for now: {move.error}")


def _held(ledger: Ledger, move: Move, file: FileRow) -> None:
    if file.path == move.dst and file.state == FileState.HELD:
        return
    ledger.inventory.placed_file(file.id, move.dst, FileState.HELD)
    if move.primary:
        ledger.judgement.set_role(move.group, file.id, "moved")
    elif not file.month:
        ledger.inventory.set_month(file.id, *_own_month(move.src, file))


def _back(ledger: Ledger, move: Move, file: FileRow, now: float) -> None:
    if file.state != FileState.HELD or file.path != move.dst:
        return
    state = FileState.INDEXED if move.primary else FileState.COMPANION
    ledger.inventory.placed_file(file.id, move.restored or move.src, state)
    ledger.inventory.change_month(file.root, file.month, now)
    if not move.primary:
        return
    if move.goal is Goal.UNDONE:
        ledger.judgement.add_verdict("keep", move.content, "", [move.src], now)
        # Nor may its former keeper move beside it now: both lie where their owner wants them.
        ledger.judgement.add_verdict(
            "different", move.keeper_content, move.content, [move.keeper, move.src], now
        )
        ledger.judgement.set_role(move.group, file.id, "stays", "a person put it back")
    else:
        ledger.judgement.remove_member(move.group, file.id)


def _own_month(path: str, file: FileRow) -> tuple[str, str]:
    month, source = month_of(path, None, file.stat.mtime_ns / 1e9)
    return str(month), source
