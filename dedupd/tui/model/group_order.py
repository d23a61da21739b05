"""The order in which groups are shown one after the other: that of the list. Must never import Textual or do
I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dedupd.protocol.views import GroupView


class GroupOrder:
    """Keeps its length and order while groups get other ids."""

    def __init__(self, groups: Sequence[GroupView]) -> None:
        self.ids = [group.id for group in groups]
        self._groups = list(groups)
        """The groups beside `ids`, as they were: a group that gets another id still has the same keeper."""

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, id: int) -> int:
        """Place in the order: 1 for the first; 0 when the group is not in it."""
        return self.ids.index(id) + 1 if id in self.ids else 0

    def neighbour(self, id: int, by: int) -> int | None:
        """The id that is `by` places further (back, when negative); None when there is none."""
        at = self.place(id) - 1 + by
        return self.ids[at] if id in self.ids and 0 <= at < len(self.ids) else None

    def follow_renumbered(self, groups: Mapping[int, GroupView]) -> dict[int, int]:
        """Follow groups that have new ids. A decision groups its month again, and the same keeper may then
        have another id, at the same place.

        groups: all groups known now, by id. Returns the new id for each old one.
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
