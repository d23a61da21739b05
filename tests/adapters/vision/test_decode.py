"""Which files become pictures, upright and whole, and which are refused and why."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ExifTags import Base

from dedupd.adapters.vision import decode as decode_module
from dedupd.adapters.vision import small
from dedupd.adapters.vision.decode import Refused, area_resize, content_of, decode, opened
from dedupd.core.photo import FileStat


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """A picture without symmetry: a gradient with one bright corner."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = np.where((x < width // 4) & (y < height // 4), 255, 40)
    return Image.fromarray(np.dstack([red, green, blue]).astype(np.uint8))


def seen(path: Path, **sides: int) -> decode_module.Picture:
    with opened(os.fspath(path)) as file:
        return decode(file, os.fspath(path), **sides)


def difference(image: Image.Image, other: Image.Image) -> float:
    one, two = (np.asarray(each.resize((32, 32)), np.float32) for each in (image, other))
    return float(np.abs(one - two).mean())


def refusal(path: Path, stat: FileStat | None = None) -> Refused:
    with pytest.raises(Refused) as caught, opened(os.fspath(path), stat) as file:
        decode(file, os.fspath(path))
    return caught.value


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.jpg", "JPEG"),
        ("a.png", "PNG"),
        ("a.webp", "WEBP"),
        ("a.tif", "TIFF"),
        ("a.gif", "GIF"),
        ("a.bmp", "BMP"),
        ("a.avif", "AVIF"),
        ("a.heic", "HEIF"),
        ("a.jp2", "JPEG2000"),
    ],
)
def test_every_photo_format_is_read(tmp_path: Path, name: str, format_: str) -> None:
    scene().save(tmp_path / name)
    picture = seen(tmp_path / name)
    assert (picture.format, picture.width, picture.height) == (format_, 640, 480)
    assert difference(picture.image, scene()) < 12


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png", "JPEG")
    assert seen(tmp_path / "a.png").format == "JPEG"


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif", "a.tif"])
def test_of_several_frames_the_first_is_seen_and_the_others_are_not_forgotten(
    tmp_path: Path, name: str
) -> None:
    scene().save(tmp_path / name)
    assert not seen(tmp_path / name).several
    scene().save(tmp_path / name, save_all=True, append_images=[Image.new("RGB", (640, 480), "red")])
    picture = seen(tmp_path / name)
    assert picture.several
    assert difference(picture.image, scene()) < 12


def test_a_jpeg_with_a_second_picture_inside_is_a_jpeg(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[scene(64, 48)])
    picture = seen(tmp_path / "a.jpg", short_side=100)
    assert (picture.format, picture.several) == ("JPEG", False)
    assert min(picture.image.size) < 200


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_upright(tmp_path: Path, orientation: int) -> None:
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = scene() if turned is None else scene().transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif)
    picture = seen(tmp_path / "a.jpg", short_side=120)
    assert (picture.width, picture.height) == (640, 480)
    assert difference(picture.image, scene()) < 6


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_small_decode_keeps_the_side_asked_for(tmp_path: Path, name: str) -> None:
    scene(2000, 1500).save(tmp_path / name)
    picture = seen(tmp_path / name, short_side=320)
    assert (picture.width, picture.height) == (2000, 1500)
    assert 320 <= min(picture.image.size) < 640
    assert difference(picture.image, scene(2000, 1500)) < 4


@pytest.mark.parametrize(
    ("mode", "name"),
    [("1", "a.png"), ("L", "a.jpg"), ("P", "a.png"), ("CMYK", "a.jpg"), ("RGBA", "a.png"), ("LA", "a.png")],
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, name: str) -> None:
    scene().convert(mode).save(tmp_path / name)
    picture = seen(tmp_path / name)
    assert picture.image.mode == "RGB"
    grey = scene().convert("L").convert("RGB")
    assert min(difference(picture.image, scene()), difference(picture.image, grey)) < 40


def test_lab_is_seen_in_its_colours(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    assert difference(seen(tmp_path / "a.tif").image, scene()) < 4
    small = seen(tmp_path / "a.tif", short_side=120).image
    assert small.size == (160, 120)
    assert difference(small, scene()) < 8


def test_sixteen_bits_keep_their_tones(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256), (64, 1)).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        grey = np.asarray(seen(tmp_path / name).image)[0, :, 0]
        assert np.abs(grey.astype(int) - np.arange(256)).max() <= 1


def test_transparency_shows_neutral_grey(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert seen(tmp_path / "a.png").image.getpixel((5, 5)) == small.GREY


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic", "a.tif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(
        whole, {".jpg": "JPEG", ".tif": "TIFF", ".heic": "HEIF"}.get(name[1:], name[2:])
    )
    (tmp_path / name).write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * share)])
    refused = refusal(tmp_path / name)
    assert not refused.retry


def test_broken_metadata_does_not_make_a_photo_unreadable(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert seen(tmp_path / "a.jpg").width == 640


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
        ("a.nef", b"MM\0*"),
        ("renamed.jpg", b"FUJIFILMCCD-RAW 0201"),
    ],
)
def test_raw_photos_are_left_alone_for_now(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head + bytes(64))
    assert "raw photo" in refusal(tmp_path / name).reason


def test_a_dng_is_raw_though_its_preview_would_decode(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.tif", tiffinfo={50706: b"\1\4\0\0"})
    assert "raw photo" in refusal(tmp_path / "a.tif").reason


@pytest.mark.parametrize("head", [b"%PDF-1.7", b"\0\0\0\x18ftypmp42", b"<svg/>", b"P6 1 1 255 abc"])
def test_other_kinds_of_file_are_not_handed_to_any_decoder(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(head + bytes(64))
    assert refusal(tmp_path / "a.jpg").reason == "not a picture dedupd reads"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert refusal(tmp_path / "a.jpg").reason == "empty file"


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    row = zlib.compress(bytes(2501) * 20000, 9)
    data = b"IDAT" + row
    chunk = struct.pack(">I", len(row)) + data + struct.pack(">I", zlib.crc32(data))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    (tmp_path / "a.png").write_bytes(png_header(20000, 20000) + chunk + end)
    with warnings.catch_warnings():
        # Another thread may be inside such a block while this one decodes.
        warnings.simplefilter("ignore")
        assert refusal(tmp_path / "a.png").reason.startswith("too large")


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert refusal(tmp_path / "link.jpg").reason == "not a regular file"


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert refusal(tmp_path / "a.jpg").reason == "not a regular file"


@pytest.mark.parametrize("field", ["size", "mtime_ns", "dev", "ino"])
def test_a_file_other_than_expected_is_refused(tmp_path: Path, field: str) -> None:
    scene().save(tmp_path / "a.jpg")
    found = os.lstat(tmp_path / "a.jpg")
    known = {
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
        "dev": found.st_dev,
        "ino": found.st_ino,
    }
    seen(tmp_path / "a.jpg")
    refused = refusal(tmp_path / "a.jpg", FileStat(**(known | {field: known[field] + 1})))
    assert refused.retry


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    scene().save(path)
    reading = opened(os.fspath(path))
    decode(reading.__enter__(), os.fspath(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(Refused) as caught:
        reading.__exit__(None, None, None)
    assert caught.value.retry


def test_where_no_file_has_blocks_a_file_without_them_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").touch()
    os.truncate(tmp_path / "a.jpg", 100)
    monkeypatch.setattr(decode_module, "BLOCKLESS", {tmp_path.stat().st_dev})
    with opened(str(tmp_path / "a.jpg")) as file:
        assert file.read() == bytes(100)


def test_a_cloud_placeholder_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(1 << 20)
    refused = refusal(tmp_path / "a.jpg")
    assert (refused.reason, refused.retry) == ("cloud placeholder", True)


def test_reading_a_long_film_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that says nothing for a minute is taken for hung."""
    (tmp_path / "film.mp4").write_bytes(bytes(3 << 20))
    monkeypatch.setattr(decode_module, "_SIGN_OF_LIFE", 1)
    signs: list[str] = []
    with opened(os.fspath(tmp_path / "film.mp4")) as file:
        content_of(file, lambda: signs.append("alive"))
        assert file.tell() == 0
    assert len(signs) == 3


@pytest.mark.parametrize("suffix", ["fff", "gpr", "ptx", "k25", "dng"])
def test_the_preview_in_a_raw_is_not_taken_for_the_photo(tmp_path: Path, suffix: str) -> None:
    """Many RAWs are TIFFs whose first picture is a small preview."""
    photo(64, 48).save(tmp_path / f"a.{suffix}", format="TIFF")
    assert refusal(tmp_path / f"a.{suffix}").reason.startswith("raw photo")


def for_proof(path: Path) -> NDArray[np.uint8]:
    """Decoded and scaled as proof.py does it for a long side of 400 px."""
    with opened(os.fspath(path)) as file:
        return area_resize(np.asarray(decode(file, os.fspath(path), long_side=800).image), 400)


def test_proof_pictures_agree_across_resolutions(tmp_path: Path) -> None:
    photo(1600, 1200).save(tmp_path / "large.jpg", quality=95)
    photo(1600, 1200).resize((800, 600), Image.Resampling.LANCZOS).save(tmp_path / "small.jpg", quality=95)
    large, small = (for_proof(tmp_path / name) for name in ("large.jpg", "small.jpg"))
    assert large.shape == small.shape == (300, 400, 3)
    assert np.abs(large.astype(int) - small.astype(int)).mean() < 2


def test_proof_pictures_are_never_scaled_up(tmp_path: Path) -> None:
    scene(120, 90).save(tmp_path / "a.png")
    assert for_proof(tmp_path / "a.png").shape == (90, 120, 3)


def photo(width: int, height: int) -> Image.Image:
    coarse: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "grey.jpg", "cmyk.jpg", "turned.jpg"])
@pytest.mark.parametrize("long_side", [0, 400])
def test_grey_levels_alone_are_those_of_the_colours(tmp_path: Path, name: str, long_side: int) -> None:
    image, exif = photo(900, 1200), Image.Exif()
    mode = {"grey.jpg": "L", "cmyk.jpg": "CMYK"}.get(name, "RGB")
    exif[0x0112] = 6 if name == "turned.jpg" else 1
    image.convert(mode).save(tmp_path / name, quality=95, exif=exif)
    with opened(os.fspath(tmp_path / name)) as file:
        colours = decode(file, os.fspath(tmp_path / name), long_side=long_side)
        grey = decode(file, os.fspath(tmp_path / name), long_side=long_side, grey=True)
    assert grey.image.size == colours.image.size
    assert (grey.width, grey.height) == (colours.width, colours.height)
    assert grey.image.mode == ("L" if name.endswith("jpg") and mode != "CMYK" else "RGB")
    wanted, found = (np.asarray(image.convert("L"), np.int16) for image in (colours.image, grey.image))
    assert np.abs(wanted - found).max() <= 12
    assert np.abs(wanted - found).mean() < 1


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_line_of_pixels_is_decoded_for_a_comparison(tmp_path: Path, size: tuple[int, int]) -> None:
    """Half of one pixel is none: it was called damaged, and no pair of it could be compared."""
    photo(*size).save(tmp_path / "a.jpg", quality=90)
    with opened(os.fspath(tmp_path / "a.jpg")) as file:
        seen = decode(file, os.fspath(tmp_path / "a.jpg"), long_side=2400, enough=2000)
    assert (seen.width, seen.height) == size
