"""The groups that are gone through one after the other, in the order of their list. Must never import Textual or do I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dedupd.protocol.views import GroupView


class GroupOrder:
    """Keeps its length and order while groups get other ids."""

    def __init__(self, groups: Sequence[GroupView]) -> None:
        self.ids = [group.id for group in groups]
        self._groups = list(groups)
        """Beside `ids`, as they were: a group that gets another id has the same keeper."""

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, id: int) -> int:
        """1 for the first; 0 when it is not among them."""
        return self.ids.index(id) + 1 if id in self.ids else 0

    def neighbour(self, id: int, by: int) -> int | None:
        """The id that is `by` places further (back, when negative); None when there is none."""
        at = self.place(id) - 1 + by
        return self.ids[at] if id in self.ids and 0 <= at < len(self.ids) else None

    def follow_renumbered(self, groups: Mapping[int, GroupView]) -> dict[int, int]:
        """A decision groups its month again: the same keeper may have another id now, at the same place here.

        groups: all that are known now, by id. Returns the new id for each old one.
        """
        gone = {(g.root, g.month, g.keep): at for at, g in enumerate(self._groups) if g.id not in groups}
        renumbered: dict[int, int] = {}
        for group in groups.values() if gone else ():
            at = gone.get((group.root, group.month, group.keep))
            if at is None or group.id in self.ids:
                continue
            renumbered[self.ids[at]] = group.id
            self.ids[at], self._groups[at] = group.id, group
        return renumbered
