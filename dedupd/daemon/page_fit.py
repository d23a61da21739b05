"""What fits into one message: a page of large items gets fewer items, and what is left out is counted.

Must never send a part of something as if it were all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from dedupd.protocol.codec import size
from dedupd.protocol.limits import MAX_LINE
from dedupd.protocol.views import GroupDetail, GroupView

T = TypeVar("T")
ROOM = MAX_LINE * 9 // 10
"""Bytes of a list in one message; the rest is for what stands around it."""


def fitting(items: Sequence[Any], room: int = ROOM) -> int:
    """How many of these items fit; at least one."""
    taken = 0
    for count, item in enumerate(items):
        taken += size(item) + 1
        if taken > room and count:
            return count
    return len(items)


def page(items: Sequence[T], offset: int) -> tuple[list[T], int | None]:
    """As many items as fit from `offset` on, and the offset of the next page; None after the last."""
    begin = max(0, offset)
    rest = items[begin:]
    count = fitting(rest)
    return list(rest[:count]), begin + count if count < len(rest) else None


def told(sentences: Sequence[str]) -> list[str]:
    """As many of these sentences as fit beside many ids, followed by how many more there are."""
    count = fitting(sentences, ROOM // 4)
    left = len(sentences) - count
    return [*sentences[:count], *([f"and {left} more"] if left else [])]


def shortened(view: GroupView, room: int = ROOM) -> GroupView:
    """A group with as many of its members as fit; how many are left out is said."""
    members = [*view.duplicates, *view.review]
    count, shown = len(members), view
    while count and (taken := size(shown)) > room:
        count = min(count - 1, count * room // taken)
        shown = _with(view, members[:count])
    return shown


def _with(view: GroupView, members: Sequence[str]) -> GroupView:
    kept = {view.keep, *members}
    facts: dict[str, Any] = {
        name: {path: said for path, said in getattr(view, name).items() if path in kept}
        for name in ("moved_to", "evidence", "why", "sizes", "files")
    }
    duplicates = [path for path in view.duplicates if path in kept]
    review = [path for path in view.review if path in kept]
    left_out = len(view.duplicates) + len(view.review) - len(duplicates) - len(review)
    return msgspec.structs.replace(view, duplicates=duplicates, review=review, left_out=left_out, **facts)


def shortened_detail(detail: GroupDetail) -> GroupDetail:
    """The same for a group with its pictures."""
    room, shown = ROOM, detail
    while size(shown) > ROOM and room:
        room = room * 3 // 4
        group = shortened(detail.group, room)
        kept = {group.keep, *group.duplicates, *group.review}
        shown = GroupDetail(group=group, photos=[p for p in detail.photos if p.path in kept])
    return shown
