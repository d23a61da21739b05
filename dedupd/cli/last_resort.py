"""`dedupd undo --from ROOT`: undo from the receipts alone, when the state is lost or is on another machine.

Owns which of the recorded moves are meant. Must never need a ledger, a configuration or a marker.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.lock import lock_root_alone
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.cli.acting import confirm
from dedupd.cli.console import answer, answer_json, progress_bar, tell
from dedupd.core.month import month_of
from dedupd.core.relocation import Move, MoveState
from dedupd.core.summary import visible
from dedupd.errors import ExitCode, Refusal, RootError, UsageError
from dedupd.pipeline.annotate import withdraw_by_receipts
from dedupd.pipeline.relocate import moves_in_receipts, undo_from_receipts


def undo_from(arguments: argparse.Namespace) -> int:
    """Undo the moves that are meant: paths, --last, --month, or all. Returns exit code 1 when a move could
    not be undone."""
    if sum([bool(arguments.paths), arguments.last, bool(arguments.month), arguments.all]) > 1:
        raise UsageError("say what to put back: paths, --last, --month YYYY-MM or --all")
    root = arguments.from_root.expanduser().resolve()  # a root may be reached by a link
    clock, store = SystemClock(), SidecarFiles()
    mover = FileMover(clock)
    with lock_root_alone(root):
        purged = [move for move in mover.receipts(str(root)) if move.refusal is Refusal.PURGED]
        if purged:
            tell(
                f"note: {len(purged)} file(s) are not here any more, first {visible(purged[0].src)}: {visible(purged[0].error)}"
            )
        told = moves_in_receipts(str(root), mover)
        moves = _meant(told, arguments, root)
        foreign = _made_elsewhere(moves, str(root))
        if not arguments.yes:
            doubt = f" ({foreign} of them were moved in another folder, or under another marker)" * bool(
                foreign
            )
            confirm(f"put back {len(moves)} file(s){doubt} that the receipts under {root} tell of")
        elif foreign:
            tell(
                f"note: {foreign} file(s) were moved in another folder, or under another marker: their bytes decide"
            )
        with progress_bar() as progress:
            ended = undo_from_receipts(str(root), mover, clock, progress, moves)
        whole, keepers = len(moves) == len(told), {move.keeper for move in moves}
        withdraw_by_receipts(str(root), store, mover, lambda move: whole or move.keeper in keepers)
    back = sum(move.state is MoveState.DONE and not move.held for move in ended)
    messages = [
        f"{move.dst} could not be put back: {move.error}"
        for move in ended
        if move.held or move.state is not MoveState.DONE
    ]
    for message in messages:
        tell(f"note: {visible(message)}")
    if arguments.json:
        answer_json({"restored": back, "messages": messages})
    else:
        answer(f"Put {back} file(s) back.")
    return int(ExitCode.OK if back == len(ended) else ExitCode.FAILED)


def _meant(told: Sequence[Move], arguments: argparse.Namespace, root: Path) -> list[Move]:
    """Of all moves in the receipts: those asked for, with the files that belong to the same photo."""
    if arguments.last:
        return [move for move in told if move.batch == told[-1].batch]
    if arguments.month:
        return [move for move in told if _month(move) == arguments.month]
    if not arguments.paths:
        return list(told)
    units: set[tuple[str, str]] = set()
    for path in arguments.paths:
        names = {path, os.path.relpath(_here(path), root)}
        found = {(m.batch, m.unit) for m in told if not names.isdisjoint((m.src, m.dst))}
        if not found:
            raise UsageError(f"{visible(path)} is no file that the receipts under {root} tell of")
        units |= found
    return [move for move in told if (move.batch, move.unit) in units]


def _here(path: str) -> Path:
    at = Path(path).expanduser().absolute()
    return at.parent.resolve() / at.name


def _month(move: Move) -> str:
    """The month, from its folder or its name, else from its date; what its picture says is lost with the
    state."""
    return str(month_of(move.src, None, move.mtime_ns / 1e9, root=move.root)[0])


def _made_elsewhere(moves: Sequence[Move], root: str) -> int:
    try:
        name = LocalDisk().identity(root).uuid
    except RootError:  # what stands in the marker's place says nothing
        name = ""
    return sum(bool(move.root_id) and move.root_id != name for move in moves)
