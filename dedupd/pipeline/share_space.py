"""Held copies that are byte for byte the photo kept share its space on the disk, on their owner's word, and stay held.

Owns which may: what a purge would put into the trash, and of that the same bytes alone. Nothing moves and nothing is
recorded: the files are afterwards what they were (adapters/fs/sharing.py says why). Must never act by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from dedupd.core.attention import Trouble
from dedupd.core.purging import Purgeable
from dedupd.errors import MoveRefused, RootError
from dedupd.pipeline.roots import quiet
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Progress


class SpaceSharing(Protocol):
    """What lets files share their space (adapters/fs/sharing.py: BlockSharing)."""

    def problem(self, root: str) -> str:
        """Why no file of this root can; '' when it is to be tried."""
        ...

    def share(self, root: str, keep: str, held: str) -> int:
        """Bytes that are shared now. MoveRefused, RootError."""
        ...


@dataclass(kw_only=True)
class SharedSpace:
    """What came of it."""

    files: int = 0
    bytes: int = 0
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    """Those that have their own space as before."""


def shareable(candidates: Iterable[Purgeable], sharing: SpaceSharing) -> list[Purgeable]:
    """The same, each that may not share its space with the reason."""
    rows = list(candidates)
    problems = {root: sharing.problem(root) for root in {row.move.root for row in rows}}
    return [
        row if row.why_not else replace(row, why_not=_why_not(row) or problems[row.move.root]) for row in rows
    ]


def _why_not(row: Purgeable) -> str:
    same = not row.move.primary or row.move.content == row.move.keeper_content
    return "" if same else "it is not byte for byte the photo kept, so that nothing of it can be shared"


def share_space(
    chosen: Sequence[Purgeable], sharing: SpaceSharing, on_progress: Progress = quiet, stop: Stop = never
) -> SharedSpace:
    """Each held file of these shares its space with what stands for it, if the disk finds both the same at this moment."""
    result = SharedSpace()
    for done, row in enumerate(chosen, 1):
        if stop():
            break
        try:
            result.bytes += sharing.share(row.move.root, row.stands, row.move.dst)
            result.files += 1
        except (MoveRefused, RootError) as error:
            result.troubles.append(Trouble(row.move.dst, f"{row.move.dst} keeps its own space: {error}"))
        on_progress("share", done, len(chosen))
    return result
