"""The selected group in small: its pictures and why they belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Grid, Vertical

from dedupd.protocol.messages import GroupDetail, GroupView, PhotoView
from dedupd.tui.model.decisions import Draft
from dedupd.tui.model.facts import out_of_sight
from dedupd.tui.model.state import waits
from dedupd.tui.model.words import evidence, fit, holds, name_of, pixels, size, squeeze
from dedupd.tui.widgets.picture import Picture
from dedupd.tui.widgets.spans import Spans, Words

if TYPE_CHECKING:
    from dedupd.tui.app import ReviewApp

_PANES = 4
_ROOMY = 70
"""Columns from which on evidence is told in whole words."""
_TALL = 24
"""Lines from which on there is room for two rows of pictures."""


class _Small(Vertical):
    """One picture and two lines about it."""

    def __init__(self) -> None:
        super().__init__()
        self.caption, self.picture = Words(classes="caption"), Picture()

    def compose(self) -> ComposeResult:
        yield self.caption
        yield self.picture

    def tell(self, photo: PhotoView, width: int) -> None:
        role, tone = ("keep", "good") if photo.role == "keeper" else _role(photo)
        name = squeeze(name_of(photo.path), max(6, width - len(role) - 1))
        worn = f"  {holds(photo)}" if photo.holds else ""
        facts = fit(f"{size(photo.size)}  {pixels(photo)}{worn}", max(8, width))
        self.caption.say([(f"{role} ", tone), (name, "")], [(facts, "dim")])


class Preview(Vertical):
    """Keeper first, then as many members as there is room for."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panes = [_Small() for _ in range(_PANES)]
        self._grid, self._why = Grid(*self._panes, id="panes"), Words(id="why")

    def compose(self) -> ComposeResult:
        yield self._grid
        yield self._why

    def on_mount(self) -> None:
        self._open(0)

    async def show(self, group: GroupView | None) -> None:
        """Fetches what it needs; a newer call replaces an older one."""
        review = cast("ReviewApp", self.app)
        if group is None:
            self._open(0)
            self._why.say()
            return
        detail = await review.follower.detail(group.id)
        if detail is None:
            return
        photos = detail.photos[: _PANES if self.size.height >= _TALL else 2]
        self._open(len(photos))
        width = self.size.width // 2 - 1
        for pane, photo in zip(self._panes, photos, strict=False):
            pane.tell(photo, width)
        self._why.say(*_reasons(detail, self.size.width, room=self.size.height // 3))
        small = await review.gallery.thumbnails([photo.file for photo in photos])
        for pane, photo in zip(self._panes, photos, strict=False):
            if photo.file in small:
                await pane.picture.show(small[photo.file], review.gallery)
            else:
                pane.picture.say("pictures are off" if review.gallery.mode == "off" else "no picture yet")

    def _open(self, count: int) -> None:
        for index, pane in enumerate(self._panes):
            pane.display = index < count


def _role(photo: PhotoView) -> tuple[str, str]:
    return {"duplicate": ("move", "warn"), "review": ("move?", "accent"), "moved": ("moved", "dim")}.get(
        photo.role, (photo.role, "")
    )


def _reasons(detail: GroupDetail, width: int, room: int) -> list[Spans]:
    group = detail.group
    lost = out_of_sight(Draft(detail).losses(), width) if waits(group) else ""
    lines: list[Spans] = [[(lost, "warn")]] if lost else []
    if group.reasons:
        lines.append([("keeper: ", "good"), ("; ".join(group.reasons), "")])
    for path in (*group.duplicates, *group.review):
        said = evidence(group.evidence.get(path), brief=width < _ROOMY)
        lines.append(
            [(f"{squeeze(name_of(path), max(8, width // 3))}: ", "strong"), (" · ".join(said), "dim")]
        )
        if group.why.get(path):
            lines.append([("  " + group.why[path], "accent")])
        if len(lines) >= max(2, room):
            break
    if group.left_out:
        lines.append([(f"{group.left_out} more pictures are too many to show here", "warn")])
    if len(detail.photos) > _PANES:
        lines.append([(f"Enter shows all {len(detail.photos)} pictures", "dim")])
    return lines
