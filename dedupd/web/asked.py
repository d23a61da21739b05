"""Which groups of a month a page lists, from the query of its address: class, words, order, place.

Values only. Must never name a path: a root is given by its place in the status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Query

from dedupd.protocol.views import GroupView
from dedupd.reviewing.listing import GroupFilter, Order, listed, tally, waits, waits_for

LARGEST_ID = (1 << 63) - 1
BETTER = "better"
"""Used in the place of a relation: groups of which something in duplicates/ holds more than its keeper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The query of an address."""

    root: int | None = None
    relation: str = ""
    words: str = ""
    order: Order = Order.BYTES
    settled: bool = False
    alike: int | None = None
    """Only groups that wait for the same reasons as this one."""
    offset: int = 0

    @property
    def by_outline(self) -> bool:
        """Whether the outlines of groups are enough to list and sort them, without their members."""
        return not self.words and self.alike is None and self.order is Order.BYTES

    def query(self, **changes: object) -> str:
        """'?relation=copy', with these changes; '' when everything is the default."""
        asked = replace(self, **changes)  # type: ignore[arg-type]
        said = {
            "root": asked.root, "relation": asked.relation, "words": asked.words,
            "order": "" if asked.order is Order.BYTES else str(asked.order),
            "settled": 1 if asked.settled else "", "alike": asked.alike, "offset": asked.offset or "",
        }  # fmt: skip
        text = urlencode(
            {key: value for key, value in said.items() if value not in ("", None)}, errors="replace"
        )
        return f"?{text}" if text else ""

    def listed(
        self, groups: Sequence[GroupView], better: Mapping[int, object], beside: int | None = None
    ) -> list[GroupView]:
        """The groups to list, in order; `beside` too, even when it no longer waits."""
        if self.relation == BETTER:
            return [group for group in groups if group.id in better]
        like = next((group for group in groups if group.id == self.alike), None)
        return listed(
            groups,
            GroupFilter(
                relation=self.relation, text=self.words, order=self.order, settled=self.settled,
                reasons=waits_for(like) if like is not None and waits(like) else None,
            ),
            frozenset() if beside is None else frozenset({beside}),
        )  # fmt: skip

    def tabs(self, groups: Sequence[GroupView], better: Mapping[int, object]) -> dict[str, int]:
        """Class -> its number of groups; '' for all of them."""
        counts = tally(groups, settled=self.settled)
        held = sum(1 for group in groups if group.id in better)
        return {"": sum(counts.values()), **counts} | ({BETTER: held} if held else {})


def asked(
    root: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
    relation: Literal["", "exact", "copy", "burst", "similar", "better"] = "",
    words: Annotated[str, Query(max_length=200)] = "",
    order: Order = Order.BYTES,
    settled: bool = False,
    alike: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
    offset: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
) -> Asked:
    """For FastAPI: the checked query."""
    return Asked(
        root=root, relation=relation, words=words, order=order, settled=settled, alike=alike, offset=offset
    )
