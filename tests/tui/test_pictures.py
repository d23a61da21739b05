"""Pictures as pixels: the same place in all of them, and what differs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from dedupd.tui.model.zoom import WHOLE, Box, View
from dedupd.tui.pictures import imaging
from dedupd.tui.pictures.terminal import choose, probe, reading
from dedupd.tui.widgets.picture import Picture as PictureWidget
from tests.fakes.library import draw
from tests.tui.conftest import Reviewing


def far(a: Image.Image, b: Image.Image) -> float:
    """Mean difference, grey units."""
    return float(ImageStat.Stat(ImageChops.difference(a.convert("L"), b.resize(a.size).convert("L"))).mean[0])


def coloured(picture: Image.Image) -> float:
    """Share of pixels that are not grey."""
    red, _, blue = picture.split()
    spread = ImageChops.difference(red, blue).histogram()
    return sum(spread[9:]) / sum(spread)


def test_the_same_bytes_show_no_difference_and_a_changed_spot_glows() -> None:
    keeper, other = draw(3), draw(3)
    calm = imaging.difference(keeper, other)
    ImageDraw.Draw(other).rectangle((200, 100, 240, 140), fill=(255, 255, 255))
    lit = imaging.difference(keeper, other)
    colour = ImageChops.difference(lit.getchannel("R"), lit.getchannel("B"))
    assert ImageChops.difference(calm.getchannel("R"), calm.getchannel("B")).getbbox() is None, (
        "grey where nothing differs"
    )
    left, top, right, bottom = colour.getbbox() or (0, 0, 0, 0)
    assert abs(left - 200) <= 2
    assert abs(top - 100) <= 2
    assert abs(right - 241) <= 2
    assert abs(bottom - 141) <= 2


def test_another_brightness_is_no_difference_and_another_scene_is() -> None:
    keeper = draw(3)
    brighter = keeper.point([min(255, round(v * 0.9 + 20)) for v in range(256)] * 3)
    assert coloured(imaging.difference(keeper, brighter)) < 0.02
    assert coloured(imaging.difference(keeper, draw(8))) > 0.1


def test_what_a_crop_does_not_show_is_dark_and_no_difference() -> None:
    keeper, place = draw(3), Box(left=0.25, top=0.25, width=0.5, height=0.5)
    crop = keeper.crop((96, 64, 288, 192))
    view = View()
    seen = imaging.part(crop, view, place)
    assert coloured(imaging.difference(keeper, seen, view.of(place))) < 0.02
    assert coloured(imaging.difference(keeper, seen)) > 0.3, "without that it would all glow"


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_a_crop_is_found_where_it_was_cut(seed: int) -> None:
    keeper = draw(seed)
    wide, high = keeper.size
    cut = (wide // 10, high // 8, wide * 8 // 10, high * 7 // 8)
    place = imaging.find_place(keeper, keeper.crop(cut).resize((600, 430)))
    assert abs(place.left - cut[0] / wide) < 0.04
    assert abs(place.top - cut[1] / high) < 0.04
    assert abs(place.right - cut[2] / wide) < 0.04
    assert abs(place.bottom - cut[3] / high) < 0.04


def test_a_resized_copy_lies_everywhere() -> None:
    assert imaging.find_place(draw(4), draw(4).resize((200, 133))) == WHOLE


def test_zoom_shows_the_same_place_of_keeper_and_crop() -> None:
    keeper = draw(7)
    wide, high = keeper.size
    place = Box(left=0.1, top=0.1, width=0.8, height=0.8)
    crop = keeper.crop((round(wide * 0.1), round(high * 0.1), round(wide * 0.9), round(high * 0.9)))
    view = View(zoom=2.0, x=0.4, y=0.6)
    right = far(imaging.part(keeper, view), imaging.part(crop, view, place))
    wrong = far(imaging.part(keeper, view), imaging.part(crop, view))
    assert right < 4
    assert wrong > 2 * right, "without its place it shows another spot"


def test_blocks_fill_the_room_and_keep_proportions() -> None:
    rows = imaging.blocks(draw(1), 60, 40)
    widths = {sum(len(segment.text) for segment in row) for row in rows}
    assert widths == {60}
    assert len(rows) == 20  # 3:2, cells twice as high as wide
    assert len(imaging.blocks(draw(1), 200, 10)) == 10


def test_blocks_show_an_edge_within_a_cell() -> None:
    picture = Image.new("RGB", (4, 4), (0, 0, 0))
    picture.paste((252, 252, 252), (0, 0, 1, 4))
    [[left, *_]] = [row[:1] for row in imaging.blocks(picture, 2, 1)]
    assert left.text[0] == "▌"
    assert left.style is not None
    assert left.style.color is not None
    assert left.style.color.get_truecolor() == (252, 252, 252)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0 cut short"])
def test_what_cannot_be_shown_is_none_and_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert imaging.load(path, 512) is None
    assert imaging.load(tmp_path / "gone.jpg", 512) is None


def test_a_picture_is_loaded_upright_and_small(tmp_path: Path) -> None:
    picture, exif = Image.new("RGB", (1600, 800), (200, 30, 30)), Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "x.jpg", exif=exif)
    loaded = imaging.load(tmp_path / "x.jpg", 512)
    assert loaded is not None
    assert loaded.size == (256, 512)


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.41.1)\x1b\\\x1b[?62;c", "kitty"),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.28.0)\x1b\\\x1b[?62;c", "kitty"),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(1.0.0)\x1b\\\x1b[?62;c", "kitty"),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|ghostty 1.1.3\x1b\\\x1b[?62;22c", "kitty"),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[?62;c", "half"),
        (b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.3.1)\x1b\\\x1b[?62;c", "half"),
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", "half"),
        (b"\x1b[?62;4;22c", "sixel"),
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?65;4c", "sixel"),
        (b"\x1b[?1;2c", "half"),
        (b"\x1b[?64;14;40c", "half"),
        (b"", "half"),
        (b"typed ahead", "half"),
    ],
)
def test_the_terminals_answer_decides_how_pictures_are_shown(answer: bytes, mode: str) -> None:
    assert reading(answer) == mode


def test_a_mode_that_was_asked_for_is_not_probed() -> None:
    assert choose("off") == "off"
    assert choose("kitty") == "kitty"


def test_without_a_terminal_the_probe_does_not_wait() -> None:
    assert probe(timeout=5.0) == "half"


async def test_without_textual_image_blocks_are_shown(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "textual_image", None)
    for module in ("textual_image._sixel", "dedupd.tui.pictures.graphics"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    async with reviewing(groups=8, images="kitty") as review:
        await review.open_month()
        await review.until(lambda: any(p.drawn for p in review.app.screen.query(PictureWidget)), "a picture")
        assert review.app.gallery.mode == "half"


async def test_pictures_beside_each_other_are_drawn_in_one_size(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, size=(120, 40), images="half") as review:
        await review.open_group()
        screen = review.app.screen
        panes = [p for p in screen.query(PictureWidget) if p.parent is not None and p.parent.display]
        await review.until(lambda: all(p.drawn for p in panes), "every picture")
        shapes = {len(p.lines) for p in panes}
        assert len(shapes) == 1
