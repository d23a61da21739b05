"""An undo as a person asks for it, on the command line or in a reviewer: which moves it means, and what goes with it.

Must never touch a file. Each move is undone by pipeline/relocate.py and adapters/fs/mover.py, a purge by pipeline/purge.py.
"""

from __future__ import annotations

from dedupd.pipeline.movement import Moved, Movement
from dedupd.pipeline.purge import Purging
from dedupd.pipeline.roots import quiet
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Progress
from dedupd.protocol.requests import Undo


def undo(
    request: Undo, movement: Movement, purging: Purging, on_progress: Progress = quiet, stop: Stop = never
) -> Moved:
    """Undo the moves that the request means. Named files that lie in the trash come back from it first."""
    said = purging.undo(request.moves)
    moves = movement.held(
        month=request.month, last=request.last, everything=request.all, group=request.group,
        ids=request.moves or None, batches=request.batches, changed=request.held_changed,
    )  # fmt: skip
    undone = movement.undo(moves, on_progress=on_progress, stop=stop)
    undone.said += said
    if request.all or (not moves and (request.last or request.month)):
        undone.said += purging.still_in_trash()
    return undone
