"""Large pictures: strip by strip the same pixels as at once, and never more memory than there is room for."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, WebPImagePlugin
from pillow_heif import HeifImageFile

from dedupd.adapters.vision import small
from dedupd.adapters.vision.decode import Picture, Refused, content_of, decode, opened
from dedupd.adapters.vision.decoder_pixels import comes_in_parts
from dedupd.adapters.vision.messages import FileToShrink
from dedupd.adapters.vision.recognise import open_picture
from dedupd.adapters.vision.room import ROOM, SHARED, Room, need_in_parts, need_of, need_of_coefficients
from dedupd.adapters.vision.thumbnails import shrink
from dedupd.ports import EVERY_PIXEL
from tests.support.pictures import picture

SIZE = (323, 241)
"""No multiple of any factor."""


def seen(path: Path, **sides: int) -> Picture:
    with opened(os.fspath(path)) as file:
        return decode(file, os.fspath(path), **sides)


def quick(**how: object) -> dict[str, object]:
    """How a HEIF is saved where its compression does not matter."""
    return {"enc_params": {"preset": "ultrafast"}, **how}


def in_mode(mode: str) -> Image.Image:
    photo = picture(3, SIZE)
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(photo.convert("L"))
        levels = {"I;16": grey.astype(np.uint16) * 257, "I": grey.astype(np.int32) * 5000 - 9}
        return Image.fromarray(levels.get(mode, grey.astype(np.float32) / 255))
    if mode == "RGBA":
        photo.putalpha(photo.convert("L"))
    return photo if mode in ("RGB", "RGBA") else photo.convert(mode)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.png"), ("RGBA", "a.png"), ("P", "a.gif"), ("L", "a.tif"), ("1", "a.png"), ("I;16", "a.png"),
        ("I", "a.tif"), ("F", "a.tif"), ("CMYK", "a.tif"), ("RGB", "a.webp"), ("RGBA", "a.webp"), ("RGB", "a.jpg"),
        ("RGB", "a.heic"), ("RGBA", "a.heic"), ("L", "a.heic"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sides", [{"short_side": 60}, {}])
def test_a_large_picture_has_the_same_pixels_strip_by_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, name: str, sides: dict[str, int]
) -> None:
    in_mode(mode).save(tmp_path / name, **(quick() if name == "a.heic" else {}))
    at_once = seen(tmp_path / name, **sides)
    monkeypatch.setattr(small, "LARGE_PIXELS", 0)
    monkeypatch.setattr(small, "_STRIP_PIXELS", 323 * 50)
    in_strips = seen(tmp_path / name, **sides)
    assert np.array_equal(np.asarray(in_strips.image), np.asarray(at_once.image))
    assert in_strips.holding.transparent == at_once.holding.transparent == (mode == "RGBA")


def test_a_large_webp_is_not_read_as_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1, SIZE).save(tmp_path / "a.webp")
    (tmp_path / "broken.webp").write_bytes((tmp_path / "a.webp").read_bytes()[:-900])
    monkeypatch.setattr(small, "LARGE_PIXELS", 0)
    monkeypatch.setattr(
        WebPImagePlugin.WebPImageFile, "load", lambda self: pytest.fail("three pictures at once")
    )
    assert seen(tmp_path / "a.webp").width == SIZE[0]
    with pytest.raises(Refused):
        seen(tmp_path / "broken.webp")


def test_a_large_heif_is_not_copied_by_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1, SIZE).save(tmp_path / "a.heic", **quick())
    whole = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "broken.heic").write_bytes(whole[:-900])
    monkeypatch.setattr(small, "LARGE_PIXELS", 0)
    monkeypatch.setattr(HeifImageFile, "load", lambda self: pytest.fail("the whole twice"))
    assert seen(tmp_path / "a.heic").image.size == SIZE
    with pytest.raises(Refused, match="damaged or cut short"):
        seen(tmp_path / "broken.heic")


def megabytes(path: Path, pixels: float) -> float:
    """What a picture made like this one would take at so many Mpixel."""
    with opened(os.fspath(path)) as file, open_picture(file, os.fspath(path)) as image:
        large = pixels * 1e6 > small.LARGE_PIXELS
        need = need_in_parts(image) if large and comes_in_parts(image) else need_of(image)
        return (need + need_of_coefficients(image)) / (image.width * image.height) * pixels


@pytest.mark.parametrize(
    ("name", "how", "pixels", "fits"),
    [
        ("a.heic", quick(), 201, True),  # the largest sensor of a telephone
        ("a.heic", quick(chroma=444), 201, False),
        ("a.heic", quick(chroma=422), 140, True),
        ("a.png", {}, 250, True),
        ("a.webp", {}, 131, True),
        ("a.webp", {"save_all": True}, 131, False),
        ("a.jp2", {}, 100, False),
        ("a.jp2", {"tile_size": (64, 64)}, 200, True),
        ("a.avif", {}, 131, False),
        ("a.jpg", {"progressive": True}, 131, True),
        ("a.jpg", {"progressive": True}, 201, False),
        ("a.tif", {}, 250, False),
        ("a.tif", {"tiffinfo": {278: 8}}, 250, True),
    ],
)
def test_what_is_decoded_fits_in_the_room(
    tmp_path: Path, name: str, how: dict[str, object], pixels: float, fits: bool
) -> None:
    frames = [picture(2, SIZE)] if "save_all" in how else []
    picture(1, SIZE).save(tmp_path / name, append_images=frames, **how)
    assert (megabytes(tmp_path / name, pixels) * 1e6 <= ROOM) is fits


def test_the_largest_photo_of_a_phone_leaves_the_process_below_one_and_a_half_gigabytes(
    tmp_path: Path,
) -> None:
    picture(1, SIZE).save(tmp_path / "a.heic", **quick())
    assert megabytes(tmp_path / "a.heic", 201) * 1e6 <= SHARED


@pytest.mark.parametrize(
    ("mode", "chroma", "bits", "measured"),
    [
        ("RGB", 420, 8, 4.9), ("L", None, 8, 2.6), ("RGB", 444, 8, 9.4), ("RGB", 420, 10, 7.9), ("RGB", 422, 10, 13.4),
        ("RGBA", 420, 10, 12.0), ("RGBA", 444, 10, 20.6),
    ],
)  # fmt: skip
def test_a_heif_of_more_colours_or_bits_takes_more(
    mode: str, chroma: int, bits: int, measured: float
) -> None:
    """Bytes per pixel, measured at 16 Mpixel."""
    picture = HeifImageFile.__new__(HeifImageFile)
    picture._mode, picture._size, picture.info = mode, (1000, 1000), {"chroma": chroma, "bit_depth": bits}
    counted = need_in_parts(picture) / 1e6
    assert measured - 0.1 <= counted <= max(5, measured * 1.2)


def test_what_never_fits_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(1, SIZE).save(tmp_path / "a.png")
    monkeypatch.setattr(small, "_room", Room(8 * SIZE[0] * SIZE[1] - 1))
    assert seen(tmp_path / "a.png", short_side=60).image.height >= 60
    with pytest.raises(Refused, match="too large: it does not fit"):
        seen(tmp_path / "a.png")  # every pixel: a result of the same size comes on top


def test_a_progressive_jpeg_takes_its_room_however_small_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(1, SIZE).save(tmp_path / "a.jpg")
    picture(1, SIZE).save(tmp_path / "progressive.jpg", progressive=True)
    monkeypatch.setattr(small, "_room", Room(5 * SIZE[0] * SIZE[1]))
    seen(tmp_path / "a.jpg", short_side=60)
    with pytest.raises(Refused, match="too large"):
        seen(tmp_path / "progressive.jpg", short_side=60)


def test_what_does_not_fit_now_waits_and_goes_before_what_came_later() -> None:
    room, order = Room(10), list[str]()

    def take(name: str, need: int) -> None:
        with room.taken(need):
            order.append(name)

    with room.taken(6):
        waiting = [threading.Thread(target=take, args=args) for args in (("large", 8), ("small", 1))]
        waiting[0].start()
        while not room._turn.locked():
            pass
        waiting[1].start()
        assert order == []
    for thread in waiting:
        thread.join(5)
    assert order == ["large", "small"]


def test_what_takes_much_is_decoded_alone() -> None:
    room, held = Room(10, shared=6), list[int]()

    def take(need: int) -> None:
        with room.taken(need):
            held.append(room._used)

    for first, second in ((1, 8), (8, 1), (3, 4)):
        with room.taken(first):
            other = threading.Thread(target=take, args=(second,))
            other.start()
            while not room._turn.locked():
                pass
        other.join(5)
        assert held.pop() == second
    with room.taken(2):
        take(4)
    assert held == [6]
    with pytest.raises(Refused), room.taken(11):
        pass


def thumbnail(path: Path, side: int) -> Image.Image:
    with opened(os.fspath(path)) as file:
        content = content_of(file)
    made = shrink(FileToShrink(key=1, path=os.fsencode(path), content=content), path.parent, side)
    return Image.open(os.fsdecode(made.path))


def test_every_pixel_is_shown_of_what_cameras_make_and_half_of_what_is_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "a.jpg"):
        picture(1, SIZE).save(tmp_path / name)
        assert thumbnail(tmp_path / name, EVERY_PIXEL).size == SIZE
    monkeypatch.setattr(small, "MOST_PIXELS", SIZE[0] * SIZE[1] - 1)
    for name in ("b.png", "b.jpg"):
        picture(2, SIZE).save(tmp_path / name)
        assert thumbnail(tmp_path / name, EVERY_PIXEL).size == (162, 121)


def test_a_thumbnail_repeats_nothing_of_what_the_file_says(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture(1, SIZE).save(tmp_path / "a.png", icc_profile=profile, dpi=(72, 72))
    picture(1, SIZE).save(tmp_path / "a.jpg", icc_profile=profile, comment=b"mine")
    for name in ("a.png", "a.jpg"):
        for side in (256, 512):
            assert not {"icc_profile", "comment"} & thumbnail(tmp_path / name, side).info.keys()


def test_a_header_that_lies_about_its_tiles_is_believed_for_no_more_than_the_picture(tmp_path: Path) -> None:
    picture(1, SIZE).save(tmp_path / "a.jp2")
    data = bytearray((tmp_path / "a.jp2").read_bytes())
    at = data.find(b"\xff\x4f\xff\x51") + 24
    data[at : at + 8] = struct.pack(">II", 1 << 31, 1 << 31)
    (tmp_path / "a.jp2").write_bytes(data)
    assert megabytes(tmp_path / "a.jp2", 1) == pytest.approx(4 + 4.7 * 3)
