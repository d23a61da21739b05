"""One camera, two shots, and in one place something else: another digit, another move."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from dedupd.adapters.vision import islands
from dedupd.bench.gallery import scene
from tests.support.compare import compare
from tests.support.pictures import save

Painter = Callable[[ImageDraw.ImageDraw, int], None]
PAPER, INK = (236, 235, 228), (28, 28, 34)


def plate(draw: ImageDraw.ImageDraw, n: int) -> None:
    draw.rectangle((700, 700, 900, 750), fill=PAPER)
    draw.text((714, 708), ("AB 1238", "AB 7238")[n], INK, font_size=34)


def board(draw: ImageDraw.ImageDraw, n: int) -> None:
    for square in range(64):
        row, column = divmod(square, 8)
        x, y = 400 + 60 * column, 300 + 60 * row
        draw.rectangle((x, y, x + 59, y + 59), fill=((208, 172, 128), (128, 84, 52))[(row + column) % 2])
        if square in {3, 12, 21, 40, (50, 43)[n]}:
            draw.ellipse((x + 12, y + 12, x + 47, y + 47), fill=(245, 243, 238))


def shot(paint: Painter, n: int, *, by_hand: bool, walks: bool, take: int) -> Image.Image:
    """The grain is another in each take; by hand it is turned a little and shifted; meanwhile somebody walks."""
    photo = scene(4, (1700, 1275), frame=take if walks else 0)
    paint(ImageDraw.Draw(photo), n)
    if by_hand:
        photo = photo.rotate(0.4 * take, Image.Resampling.BICUBIC, translate=(7 * take, -5 * take))
    pixels = np.asarray(photo.crop((40, 40, photo.width - 40, photo.height - 40)), np.float32)
    grain = np.random.default_rng(take).normal(0, 2, pixels.shape)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def moves(folder: Path, pictures: list[Image.Image], seconds: float = 0.6) -> bool:
    first = datetime(2024, 6, 1, 12, 0, 3)
    paths = [
        save(
            folder / f"{n}.jpg", photo, taken=first + n * timedelta(seconds=seconds), camera=("Maker", "One")
        )
        for n, photo in enumerate(pictures)
    ]
    return compare(paths[0], paths[1], 0.97).edge.unattended


@pytest.mark.parametrize("walks", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("paint", [plate, board])
def test_something_else_in_one_place_does_not_move(
    paint: Painter, by_hand: bool, walks: bool, tmp_path: Path
) -> None:
    changed = [shot(paint, n, by_hand=by_hand, walks=walks, take=n) for n in range(2)]
    assert not moves(tmp_path, changed)
    same = [shot(paint, 0, by_hand=by_hand, walks=walks, take=n) for n in range(2)]
    assert moves(tmp_path, same), "the same thing twice is one"


def laid(*lights: tuple[int, int]) -> np.ndarray:
    """A dark wall of some texture, and small lights."""
    wall = np.asarray(scene(7, (900, 700)).convert("L"), np.float32) * 0.3
    for x, y in lights:
        wall[y - 2 : y + 3, x - 2 : x + 3] = 230
    return wall.astype(np.uint8)


EVERYWHERE = np.ones((700, 900), bool)


def test_what_moved_by_some_pixels_is_no_island() -> None:
    assert islands.island(laid((300, 300)), laid((304, 302)), EVERYWHERE) == 0
    assert islands.island(laid((300, 300)), laid(), EVERYWHERE) > 0.3, "the same light, switched off"


def test_what_lies_outside_of_what_both_show_is_none() -> None:
    shown = EVERYWHERE.copy()
    shown[:, :400] = False
    assert islands.island(laid((300, 300)), laid(), shown) == 0


def shaken(picture: np.ndarray, by: float) -> np.ndarray:
    way = np.array([[1, 0, by], [0, 1, by / 2]])
    return cv2.warpAffine(
        picture, way, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def gravel(*spots: tuple[int, int]) -> np.ndarray:
    """So fine that half a pixel makes a difference, and spots of something finer."""
    ground = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, (700, 900)), (0, 0), 2)
    ground *= 15 / ground.std()
    for x, y in spots:
        ground[y - 6 : y + 7, x - 6 : x + 7] = np.random.default_rng(9).uniform(-120, 120, (13, 13))
    return np.clip(ground + 120, 0, 255).astype(np.uint8)


SHAKEN = gravel(), shaken(gravel((300, 300), (640, 512)), 0.5)


@pytest.mark.parametrize(("rows", "strip"), [(64, 64), (300, 32), (5000, 5000)])
def test_rows_compared_at_a_time_make_no_difference(
    rows: int, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = SHAKEN
    usual, at_rest = islands.island(one, other, EVERYWHERE), islands._Still(other).alike_at_rest(one)
    monkeypatch.setattr(islands, "_ROWS", rows)
    monkeypatch.setattr(islands, "_STRIP", strip)
    assert np.array_equal(islands._Still(other).alike_at_rest(one), at_rest)
    assert islands.island(one, other, EVERYWHERE) == usual > 0.1


def test_a_hand_that_shook_is_followed_around_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is found as if the whole was followed, and less where nothing is."""

    def everywhere(wanted: np.ndarray) -> list[slice]:
        return [slice(0, 2 * len(wanted))]

    def nowhere(_: np.ndarray) -> list[slice]:
        return []

    usual = islands.island(*SHAKEN, EVERYWHERE)
    monkeypatch.setattr(islands, "_runs", everywhere)
    assert islands.island(*SHAKEN, EVERYWHERE) == usual > 0.1
    monkeypatch.setattr(islands, "_runs", nowhere)
    assert islands.island(*SHAKEN, EVERYWHERE) == 0, "half a pixel off, all around it differs too"


@pytest.mark.parametrize(("by", "at_least"), [(0.9, 0.1), (5, 0)])
def test_flow_that_errs_hides_nothing_unless_all_moves(
    by: float, at_least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flow(x: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.full((*x.shape, 2), by / 2**0.5, np.float32)

    monkeypatch.setattr(islands, "_flow", flow)
    found = islands.island(gravel(), gravel((300, 300)), EVERYWHERE)
    assert found > at_least if at_least else found == 0


def test_around_a_place_in_a_coarser_plane_is_what_lies_there() -> None:
    unlike = np.zeros((200, 300), np.uint8)
    for top, left, height, width in ((0, 0, 3, 5), (90, 140, 20, 9), (195, 290, 5, 10), (40, 200, 1, 60)):
        unlike[top : top + height, left : left + width] = 1
    where = np.random.default_rng(3).random((120, 175)) < 0.5
    places = islands._Places(unlike)
    counts, sizes = places.around(where)
    for (left, top, width, height), count, size in zip(places.boxes.tolist(), counts, sizes, strict=True):
        rows = slice(max(top - 7, 0) * 120 // 200, min(top + height + 7, 200) * 120 // 200)
        columns = slice(max(left - 7, 0) * 175 // 300, min(left + width + 7, 300) * 175 // 300)
        assert (count, size) == (where[rows, columns].sum(), where[rows, columns].size)
    assert len(counts) == 4


def test_nothing_is_followed_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_flow(*_: object) -> None:
        raise AssertionError("most shots of a camera that stands still need none")

    monkeypatch.setattr(islands, "_flow", no_flow)
    assert islands.island(laid((300, 300)), laid((300, 300)), EVERYWHERE) == 0
    with pytest.raises(AssertionError):
        islands.island(laid((300, 300)), laid(), EVERYWHERE)


@pytest.mark.parametrize("size", [(100, 2400), (63, 590), (16, 200), (1, 300), (40, 2400)])
def test_a_narrow_picture_does_not_end_the_process(size: tuple[int, int]) -> None:
    """OpenCV's flow read beyond it: two shots of a panorama ended the process that looks at photos, again and again."""
    asked = (
        "import numpy as np; from dedupd.adapters.vision import islands; "
        f"x = np.random.default_rng(1).integers(0, 255, {size}, np.uint8); "
        "print(islands.island(x, x.copy(), np.ones(x.shape, bool)))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0.0\n"), done.stderr[-300:]
