"""What photos say of themselves: each fact from each place it may stand in, and nothing from broken ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import IFDRational

from dedupd.adapters.fs.disk import file_stat
from dedupd.adapters.vision.messages import FileToRead
from dedupd.adapters.vision.metadata import describe
from dedupd.core.descriptions import Description, Location
from dedupd.core.xmp import to_xmp

EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
XMP = Description(captured="2024-06-15T12:30:01", rating=5, keywords=("sea",), caption="From XMP")


def said(path: Path) -> Description:
    return describe(FileToRead(key=7, path=os.fsencode(path), stat=file_stat(os.lstat(path)))).said


def photo(path: Path, exif: Image.Exif | None = None, **how: Any) -> Path:
    Image.new("RGB", (32, 24), "teal").save(path, exif=exif or Image.Exif(), **how)
    return path


def described_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "On the beach"
    exif[0x4746] = 4
    exif[0x9C9E] = "Oma;Ostsee\0".encode("utf-16-le")
    details, gps = exif.get_ifd(EXIF), exif.get_ifd(GPS)
    details[ExifTags.Base.DateTimeOriginal] = "2024:06:15 12:30:01"
    details[ExifTags.Base.SubsecTimeOriginal] = "25"
    details[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    gps.update({
        1: "S", 2: (IFDRational(52), IFDRational(30), IFDRational(3600, 100)),
        3: "W", 4: (IFDRational(13), IFDRational(30), IFDRational(0)), 5: b"\0", 6: IFDRational(345, 10),
    })  # fmt: skip
    return exif


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_exif(tmp_path: Path, name: str) -> None:
    found = said(photo(tmp_path / name, described_exif()))
    assert found.captured == "2024-06-15T12:30:01.25+02:00"
    assert found.place == Location(latitude=-52.51, longitude=-13.5, altitude=34.5)
    assert (found.rating, found.caption) == (4, "On the beach")
    assert found.keywords == ("Oma", "Ostsee")


def test_a_tiff_and_its_first_directory(tmp_path: Path) -> None:
    found = said(photo(tmp_path / "a.tif", described_exif()))
    assert (found.rating, found.caption, found.keywords) == (4, "On the beach", ("Oma", "Ostsee"))


def test_what_every_camera_writes_is_no_caption(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "OLYMPUS DIGITAL CAMERA         "
    assert not said(photo(tmp_path / "a.jpg", exif))


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png"])
def test_xmp_inside_a_photo_is_believed_first(tmp_path: Path, name: str) -> None:
    how: dict[str, Any] = {"xmp": to_xmp(XMP).encode()}
    if name.endswith("png"):
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", to_xmp(XMP))
        how = {"pnginfo": text}
    found = said(photo(tmp_path / name, described_exif(), **how))
    assert (found.rating, found.caption, found.captured) == (5, "From XMP", "2024-06-15T12:30:01")
    assert found.keywords == ("sea", "Oma", "Ostsee")
    assert found.place is not None


def test_a_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_text(to_xmp(XMP))
    assert said(path) == XMP


def test_iptc(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    fields = [
        (1, 90, b"\x1b%G"), (2, 25, "Großeltern".encode()), (2, 25, b"Ostsee"), (2, 120, b"Am Strand"),
        (2, 55, b"20240615"), (2, 60, b"123001+0200"),
    ]  # fmt: skip
    record = b"".join(b"\x1c" + bytes((a, b)) + struct.pack(">H", len(v)) + v for a, b, v in fields)
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    segment = b"Photoshop 3.0\0" + block
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    found = said(path)
    assert found.keywords == ("Großeltern", "Ostsee") and found.caption == "Am Strand"
    assert found.captured == "2024-06-15T12:30:01+02:00"


def test_a_clock_never_set_and_nothing_at_all_say_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF)[ExifTags.Base.DateTimeOriginal] = "0000:00:00 00:00:00"
    exif.get_ifd(GPS).update({1: "N", 2: (IFDRational(0, 0),) * 3, 3: "E", 4: (IFDRational(0, 0),) * 3})
    assert not said(photo(tmp_path / "a.jpg", exif))
    assert not said(photo(tmp_path / "b.jpg"))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe1\xff\xff" + b"Exif\0\0" * 9, b"II*\0" + b"\xff" * 64]
)
def test_a_broken_file_says_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert not said(path)


def test_a_file_swapped_meanwhile_and_a_link_say_nothing(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", described_exif())
    stat = file_stat(os.lstat(path))
    other = photo(tmp_path / "b.jpg", described_exif())
    os.replace(other, path)
    assert not describe(FileToRead(key=1, path=os.fsencode(path), stat=stat)).said
    link = tmp_path / "link.jpg"
    link.symlink_to(path)
    assert not describe(FileToRead(key=1, path=os.fsencode(link), stat=file_stat(os.stat(path)))).said


@pytest.mark.parametrize(("behind", "decoded"), [(False, 0), (True, 1)])
def test_a_png_is_decoded_only_for_words_behind_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bool, decoded: int
) -> None:
    """As Pillow decodes all of it to look there: a quarter of a second for each photo of 12 Mpixel."""
    loaded, really = list[bool](), PngImageFile.load

    def counted(image: PngImageFile) -> Any:
        loaded.append(True)
        return really(image)

    path = photo(tmp_path / "a.png", described_exif() if behind else None)
    if behind:
        whole = path.read_bytes()
        at, end = whole.index(b"eXIf") - 4, whole.index(b"IDAT") - 4
        last = whole.index(b"IEND") - 4
        path.write_bytes(whole[:at] + whole[end:last] + whole[at:end] + whole[last:])
    monkeypatch.setattr(PngImageFile, "load", counted)
    assert said(path).caption == ("On the beach" if behind else "")
    assert min(1, len(loaded)) == decoded
