"""A small view of the selected group: its pictures and why they belong together. Must never ask the daemon
for the group."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Grid, Vertical

from dedupd.protocol.views import GroupDetail, PhotoView
from dedupd.reviewing.facts import loss_warning
from dedupd.reviewing.listing import waits
from dedupd.reviewing.words import evidence, fit, holds, name_of, pixels, size, squeeze
from dedupd.tui.model.decisions import DecisionDraft
from dedupd.tui.pictures.picture_cache import PictureCache
from dedupd.tui.widgets.picture_view import PictureView
from dedupd.tui.widgets.spans import Spans, Words

_PANES = 4
_ROOMY = 70
"""Columns from which on evidence is written in whole words."""
_TALL = 24
"""Lines from which on there is room for two rows of pictures."""


class _SmallPane(Vertical):
    """One picture and two lines about it."""

    def __init__(self) -> None:
        super().__init__()
        self.caption, self.picture = Words(classes="caption"), PictureView()

    def compose(self) -> ComposeResult:
        yield self.caption
        yield self.picture

    def tell(self, photo: PhotoView, width: int) -> None:
        role, tone = ("keep", "good") if photo.role == "keeper" else _role(photo)
        name = squeeze(name_of(photo.path), max(6, width - len(role) - 1))
        held = f"  {holds(photo)}" if photo.holds else ""
        facts = fit(f"{size(photo.size)}  {pixels(photo)}{held}", max(8, width))
        self.caption.say([(f"{role} ", tone), (name, "")], [(facts, "dim")])


class GroupPreview(Vertical):
    """The keeper, then as many members as have room."""

    def __init__(self, cache: PictureCache, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._cache = cache
        self._panes = [_SmallPane() for _ in range(_PANES)]
        self._grid, self._why = Grid(*self._panes, id="panes"), Words(id="why")

    def compose(self) -> ComposeResult:
        yield self._grid
        yield self._why

    def on_mount(self) -> None:
        self._show_panes(0)

    def clear(self) -> None:
        """Show no group."""
        self._show_panes(0)
        self._why.say()

    async def show(self, detail: GroupDetail) -> None:
        """Show a group, its pictures as soon as they are there."""
        photos = detail.photos[: _PANES if self.size.height >= _TALL else 2]
        self._show_panes(len(photos))
        width = self.size.width // 2 - 1
        for pane, photo in zip(self._panes, photos, strict=False):
            pane.tell(photo, width)
        self._why.say(*_reasons(detail, self.size.width, room=self.size.height // 3))
        small = await self._cache.thumbnails([photo.file for photo in photos])
        for pane, photo in zip(self._panes, photos, strict=False):
            if photo.file in small:
                await pane.picture.show(small[photo.file], self._cache)
            else:
                pane.picture.say("pictures are off" if self._cache.mode == "off" else "no picture yet")

    def _show_panes(self, count: int) -> None:
        for index, pane in enumerate(self._panes):
            pane.display = index < count


def _role(photo: PhotoView) -> tuple[str, str]:
    return {"duplicate": ("move", "warn"), "review": ("move?", "accent"), "moved": ("moved", "dim")}.get(
        photo.role, (photo.role, "")
    )


def _reasons(detail: GroupDetail, width: int, room: int) -> list[Spans]:
    group = detail.group
    lost = loss_warning(DecisionDraft(detail).losses(), width) if waits(group) else ""
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
