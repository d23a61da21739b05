"""The groups of the ledger, narrowed to what one scan counts.

Must never change a group, a pair or a month: what is left out here stays as it was for the next scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dedupd.core.narrowing import Narrowing
from dedupd.core.records import FileRow, GroupRow, MemberRow, ProposedRow, RootRow
from dedupd.pipeline.move_orders import Companions
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


class Narrowed:
    """What one scan counts of a library."""

    def __init__(self, ledger: Ledger, disk: Disk, narrowing: Narrowing) -> None:
        self._ledger, self._disk, self._narrowing = ledger, disk, narrowing
        self._companions: dict[int, Companions] = {}

    def looks_at(self, file: FileRow, root: str) -> bool:
        """Whether this file below `root` may be opened."""
        return self._narrowing.looks_at(root, file.path, file.stat.size)

    def groups(self, root: RootRow, groups: Iterable[GroupRow]) -> list[GroupRow]:
        """Groups of this root whose keeper counts, each with the members that count; without any, it is left out."""
        groups = list(groups)
        if self._narrowing.everything:
            return groups
        files = self._ledger.files.by_ids(
            id for g in groups for id in (g.keeper, *(m.file for m in g.members))
        )
        narrowed = (replace(g, members=self._members(root, g, files)) for g in groups)
        return [g for g in narrowed if g.members]

    def proposed(self, root: RootRow, groups: Sequence[ProposedRow]) -> list[ProposedRow]:
        """The same of what would move unattended."""
        if self._narrowing.everything:
            return list(groups)
        files = self._ledger.files.by_ids(id for g in groups for id in (g.keeper, *g.files))
        narrowed = (g._replace(files=tuple(self._those(root, g, files))) for g in groups)
        return [g for g in narrowed if g.files]

    def _those(self, root: RootRow, group: ProposedRow, files: Mapping[int, FileRow]) -> Iterator[int]:
        keeper = self._keeper(root, group.keeper, files)
        for id in group.files:
            if keeper is not None and id in files and self._counts(root, keeper, files[id]):
                yield id

    def _members(self, root: RootRow, group: GroupRow, files: Mapping[int, FileRow]) -> tuple[MemberRow, ...]:
        keeper = self._keeper(root, group.keeper, files)
        if keeper is None:
            return ()
        moved = any(m.role == "moved" for m in group.members)
        moves = self._ledger.journal.moves(group=group.id, held=True) if moved else []
        before = {move.file: move.src for move in moves}
        return tuple(
            member
            for member in group.members
            if (file := files.get(member.file)) is not None
            and self._counts(root, keeper, replace(file, path=before.get(file.id, file.path)))
        )

    def _keeper(self, root: RootRow, id: int, files: Mapping[int, FileRow]) -> FileRow | None:
        """The keeper of a group, if it may be opened."""
        keeper = files.get(id)
        return keeper if keeper is not None and self.looks_at(keeper, root.path) else None

    def _counts(self, root: RootRow, keeper: FileRow, file: FileRow) -> bool:
        return (
            self.looks_at(file, root.path)
            and self._narrowing.counts(keeper.path, file.path)
            and not self._parts(root, keeper.path, file.path)
        )

    def _parts(self, root: RootRow, keeper: str, path: str) -> bool:
        """Whether it would leave behind, or be compared by, a companion that is excluded: they move together (P10)."""
        if not self._narrowing.exclude:
            return False
        beside = self._beside(root, path)
        return any(
            self._narrowing.excludes(root.path, companion)
            for companion in (*beside, *(self._beside(root, keeper) if beside else ()))
        )

    def _beside(self, root: RootRow, path: str) -> Sequence[str]:
        if root.id not in self._companions:
            self._companions[root.id] = Companions(self._ledger, self._disk, root)
        return self._companions[root.id].unit(path).companions
