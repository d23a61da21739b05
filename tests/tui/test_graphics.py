"""Real pixels: what a terminal that speaks Sixel or Kitty's protocol is told, and what it shows then."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from rich.color import ColorTriplet
from textual.drivers.headless_driver import HeadlessDriver

from dedupd.tui.screens.groups import GroupsScreen
from dedupd.tui.screens.help import Help
from dedupd.tui.widgets.picture import Picture
from tests.tui.conftest import Review, Reviewing

PLACEHOLDER = "\U0010eeee"
CELL = (10, 20)
"""Pixels of a cell when the terminal does not say."""
MESSAGE = re.compile(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\")


@dataclass
class Kitty:
    """As much of its protocol as the reviewer speaks."""

    pictures: dict[int, Image.Image] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    _sending: tuple[int, str] = (0, "")

    def read(self, written: str) -> None:
        for keys, payload in MESSAGE.findall(written):
            said = dict(pair.split("=") for pair in keys.split(","))
            assert said["q"] == "2", "an answer would be read as keys"
            assert len(payload) <= 4096
            if said.get("a") == "d":
                assert said["d"] == "I", "else the terminal keeps the picture in memory"
                del self.pictures[int(said["i"])]
                self.deleted.append(int(said["i"]))
                continue
            if "i" in said:
                assert (said["a"], said["U"], said["f"]) == ("T", "1", "100")
                self.sizes[int(said["i"])] = int(said["c"]), int(said["r"])
                self._sending = int(said["i"]), ""
            id, sent = self._sending[0], self._sending[1] + payload
            self._sending = id, sent
            if said["m"] == "0":
                self.pictures[id] = Image.open(io.BytesIO(base64.b64decode(sent))).convert("RGB")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that was written beside the frames."""
    said: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda self, data: said.append(data))
    return said


def placed(review: Review) -> dict[int, list[str]]:
    """By the picture that its colour names: the placeholders of each row, top down."""
    rows: dict[int, list[str]] = defaultdict(list)
    for strip in review.app.screen._compositor.render_strips():
        for segment in strip:
            if PLACEHOLDER in segment.text:
                assert segment.style is not None
                assert segment.style.color is not None
                red, green, blue = segment.style.color.triplet or ColorTriplet(0, 0, 0)
                rows[red << 16 | green << 8 | blue].append(segment.text)
    return rows


def sixels(review: Review) -> list[Image.Image]:
    """What lies upon the frame that is shown."""
    text = "".join(
        segment.text for strip in review.app.screen._compositor.render_strips() for segment in strip
    )
    return [_decoded(found) for found in re.findall(r"\x1bP[^q]*q(.*?)\x1b\\", text, re.DOTALL)]


def _decoded(sixel: str) -> Image.Image:
    raster = re.match(r'"1;1;(\d+);(\d+)', sixel)
    assert raster
    shown = Image.new("RGB", (int(raster[1]), int(raster[2])), (255, 0, 255))
    colours: dict[str, tuple[int, ...]] = {}
    colour: tuple[int, ...] = ()
    x = top = 0
    for token in re.finditer(
        r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~])|([$-])", sixel[raster.end() :]
    ):
        if token[1]:
            if token[2]:
                colours[token[1]] = tuple(round(int(token[i]) * 2.55) for i in (2, 3, 4))
            colour = colours[token[1]]
        elif token[7]:
            x, top = 0, top + 6 * (token[7] == "-")
        else:
            end = x + int(token[5] or 1)
            for bit in range(6):
                if ord(token[6]) - 63 >> bit & 1:
                    shown.paste(colour, (x, top + bit, end, top + bit + 1))
            x = end
    return shown


def far(shown: Image.Image, picture: Image.Image) -> float:
    """Mean difference, grey units."""
    same = picture.resize(shown.size, Image.Resampling.BICUBIC)
    return max(ImageStat.Stat(ImageChops.difference(shown, same)).mean)


def on_screen(review: Review) -> list[Picture]:
    return [p for p in review.app.screen.query(Picture) if p.drawn and p.region]


async def opened(review: Review) -> list[Picture]:
    """A month's first group beside the list, its pictures drawn."""
    await review.open_month()
    await review.until(lambda: len(on_screen(review)) >= 2, "pictures")
    await review.calm()
    return on_screen(review)


async def test_kitty_is_sent_each_picture_and_told_where_it_lies(
    reviewing: Reviewing, written: list[str]
) -> None:
    kitty = Kitty()
    async with reviewing(groups=4, images="kitty", size=(120, 40)) as review:
        widgets = await opened(review)
        kitty.read("".join(written))
        shown = placed(review)
        assert len(shown) == len(widgets)
        for id, widget in zip(shown, widgets, strict=True):
            columns, rows = kitty.sizes[id]
            assert len(shown[id]) == rows <= widget.size.height
            assert {row.count(PLACEHOLDER) for row in shown[id]} == {columns}
            assert columns <= widget.size.width
            marks = {row[at : at + 2] for row in shown[id] for at in range(1, len(row), 3)}
            assert len(marks) == columns * rows, "every cell names its row and column"
            assert widget.pixels is not None
            assert far(kitty.pictures[id], widget.pixels) < 3
            ratio = kitty.pictures[id].width / kitty.pictures[id].height
            assert ratio == pytest.approx(widget.pixels.width / widget.pixels.height, rel=0.03)


async def test_kitty_keeps_no_picture_that_is_not_shown(reviewing: Reviewing, written: list[str]) -> None:
    kitty = Kitty()

    def left() -> set[int]:
        kitty.read("".join(written))
        written.clear()
        return set(kitty.pictures)

    async with reviewing(groups=4, images="kitty", size=(120, 40)) as review:
        await opened(review)
        beside = left()
        await review.press("enter")
        await review.shown()
        await review.until(lambda: len(on_screen(review)) >= 2, "the comparison")
        await review.calm()
        assert left() > beside
        await review.pilot.resize_terminal(160, 45)
        await review.until(lambda: set(placed(review)) < left(), "what is shown was sent")
        await review.until(lambda: len(left()) == len(placed(review)) + len(beside), "nothing else is kept")
        await review.press("escape")
        await review.until(lambda: isinstance(review.app.screen, GroupsScreen), "back")
        await review.until(lambda: set(placed(review)) == left(), "the comparison's are gone")
    assert not left(), "nothing stays in the terminal"


async def test_two_pictures_at_once_wait_for_what_draws_them(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "dedupd.tui.pictures.graphics", raising=False)
    async with reviewing(groups=4, images="sixel") as review:
        picture, draw = Image.new("RGB", (30, 20), (200, 30, 30)), review.app.gallery.draw
        for drawing in await asyncio.gather(*(draw(picture, 3, 1) for _ in range(4))):
            assert drawing.over


async def test_sixels_are_the_pictures_and_fit(reviewing: Reviewing) -> None:
    async with reviewing(groups=4, images="sixel", size=(120, 40)) as review:
        widgets = await opened(review)
        shown = sixels(review)
        assert len(shown) == len(widgets)
        for picture, widget in zip(shown, widgets, strict=True):
            assert widget.pixels is not None
            room = widget.size.width * CELL[0], widget.size.height * CELL[1]
            assert picture.width <= room[0]
            assert picture.height <= room[1]
            assert picture.width == room[0] or picture.height == room[1], "as large as fits"
            assert far(picture, widget.pixels) < 8, "but for its palette"


@pytest.mark.parametrize("images", ["kitty", "sixel"])
async def test_no_picture_lies_over_a_dialog(reviewing: Reviewing, images: str) -> None:
    async with reviewing(groups=4, images=images, size=(120, 40)) as review:
        widgets = await opened(review)
        await review.press("question_mark")
        await review.until(lambda: isinstance(review.app.screen, Help), "help")
        await review.calm()
        assert not placed(review)
        assert not sixels(review)
        await review.press("escape")
        await review.until(
            lambda: len(placed(review)) + len(sixels(review)) == len(widgets), "the pictures are back"
        )


async def test_no_sixel_lies_over_a_notice(reviewing: Reviewing) -> None:
    async with reviewing(groups=4, images="sixel", size=(80, 24)) as review:
        review.app._disable_notifications = False  # as in life
        await opened(review)
        before = len(sixels(review))
        review.app.notify("line\n" * 12, timeout=600)
        await review.until(lambda: len(sixels(review)) < before, "pictures make room")
        review.app.clear_notifications()
        await review.until(lambda: len(sixels(review)) == before, "they are back")


async def test_no_sixel_leaves_its_widget_when_the_window_shrinks(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new ones take a while; what the old ones drew beyond their widget nothing would erase."""
    async with reviewing(groups=4, images="sixel", size=(160, 45)) as review:
        await opened(review)
        ready, draw = asyncio.Event(), review.app.gallery.draw

        async def later(*args: Any) -> Any:
            await ready.wait()
            return await draw(*args)

        monkeypatch.setattr(review.app.gallery, "draw", later)
        await review.pilot.resize_terminal(80, 24)
        await review.calm()
        assert not sixels(review)
        ready.set()
        await review.until(lambda: sixels(review), "the new ones")
