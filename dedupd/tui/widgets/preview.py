"""The selected group in small: its pictures and why they belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Grid, Vertical

from dedupd.protocol.messages import GroupDetail, GroupView, PhotoView
from dedupd.tui.widgets.picture import Picture
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.words import evidence, fit, name_of, pixels, size, squeeze

if TYPE_CHECKING:
    from dedupd.tui.app import ReviewApp

_PANES = 4


class Preview(Vertical):
    """Keeper first, then as many members as there is room for."""

    def compose(self) -> ComposeResult:
        with Grid(id="panes"):
            for index in range(_PANES):
                with Vertical(classes="pane", id=f"pane{index}"):
                    yield Words(classes="caption")
                    yield Picture()
        yield Words(id="why")

    def on_mount(self) -> None:
        self._panes(0)

    @property
    def review(self) -> ReviewApp:
        return cast("ReviewApp", self.app)

    async def show(self, group: GroupView | None) -> None:
        """Fetches what it needs; a newer call replaces an older one."""
        if group is None:
            self._panes(0)
            self.query_one("#why", Words).say()
            return
        detail = await self.review.follower.detail(group.id)
        if detail is None:
            return
        room = _PANES if self.size.height >= 24 else 2
        photos = detail.photos[:room]
        self._panes(len(photos))
        self._captions(detail, photos)
        self.query_one("#why", Words).say(*_why(detail, self.size.width, room=self.size.height // 3))
        await self._pictures(photos)

    def _panes(self, count: int) -> None:
        for index in range(_PANES):
            self.query_one(f"#pane{index}").display = index < count
        grid = self.query_one("#panes", Grid)
        grid.styles.grid_size_columns = 2 if count > 1 else 1
        grid.set_class(count == 0, "empty")

    def _captions(self, detail: GroupDetail, photos: list[PhotoView]) -> None:
        for index, photo in enumerate(photos):
            width = self.query_one(f"#pane{index}").size.width or self.size.width // 2
            role, tone = ("keep", "good") if photo.role == "keeper" else _role(photo)
            name = squeeze(name_of(photo.path), max(6, width - 6))
            self.query_one(f"#pane{index} .caption", Words).say(
                [(f"{role} ", tone), (name, "")], [(fit(f"{size(photo.size)} {pixels(photo)}", max(8, width)), "dim")]
            )

    async def _pictures(self, photos: list[PhotoView]) -> None:
        gallery = self.review.gallery
        small = await gallery.thumbnails([photo.file for photo in photos])
        for index, photo in enumerate(photos):
            pane = self.query_one(f"#pane{index} Picture", Picture)
            if photo.file in small:
                await pane.show(small[photo.file], await gallery.widget_class())
            else:
                pane.say("pictures are off" if gallery.mode == "off" else "no picture yet")


def _role(photo: PhotoView) -> tuple[str, str]:
    return {"duplicate": ("move", "warn"), "review": ("move?", "accent"), "moved": ("moved", "dim")}.get(
        photo.role, (photo.role, "")
    )


def _why(detail: GroupDetail, width: int, room: int) -> list[Spans]:
    group = detail.group
    lines: list[Spans] = []
    if group.reasons:
        lines.append([("keeper: ", "good"), ("; ".join(group.reasons), "")])
    for path in (*group.duplicates, *group.review):
        said = evidence(group.evidence.get(path))
        lines.append([(f"{squeeze(name_of(path), max(8, width // 3))}: ", "strong"), (" · ".join(said), "dim")])
        if group.why.get(path):
            lines.append([("  " + group.why[path], "accent")])
        if len(lines) >= max(2, room):
            break
    if len(detail.photos) > _PANES:
        lines.append([(f"Enter shows all {len(detail.photos)} pictures", "dim")])
    return lines
