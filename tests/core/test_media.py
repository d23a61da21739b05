"""Which files are media that nobody decodes: name and first bytes must agree, and no document ever is one."""

from __future__ import annotations

import pytest

from dedupd.core.media import HEAD, kind_of, perhaps, traits_of
from tests.support.media import avi, jxl, mkv, mp4, mts, raw


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.mp4", mp4(), "MP4 video"),
        ("a.MOV", mp4(brand=b"qt  "), "QuickTime video"),
        ("a.mov", b"\0\0\0\x08wide" + b"\0\0\0\x20mdat", "QuickTime video"),
        ("a.m4v", mp4(brand=b"M4V "), "MP4 video"),
        ("a.3gp", mp4(brand=b"3gp4"), "MP4 video"),
        ("a.insv", mp4(brand=b"avc1"), "MP4 video"),
        ("PXL_20230501_090000000.MP", mp4(), "MP4 video"),
        ("PXL_20230501_090000000.MP~2", mp4(), "MP4 video"),
        ("MVIMG_20180101_120000", mp4(), "MP4 video"),
        ("a.avi", avi(), "AVI video"),
        ("a.mts", mts(), "MPEG transport stream"),
        ("a.m2ts", mts(), "MPEG transport stream"),
        ("a.ts", mts(stamped=False), "MPEG transport stream"),
        ("a.mkv", mkv(), "Matroska video"),
        ("a.webm", mkv(), "Matroska video"),
        ("a.mpg", b"\0\0\x01\xba" + bytes(99), "MPEG video"),
        ("a.wmv", b"0&\xb2u\x8ef\xcf\x11" + bytes(99), "Windows Media video"),
        ("a.jxl", jxl(), "JPEG XL"),
        ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(9), "JPEG XL"),
        ("a.dng", raw(), "raw photo"),
        ("a.NEF", b"MM\0*" + bytes(99), "raw photo"),
        ("a.cr3", mp4(brand=b"crx "), "raw photo"),
        ("a.RAF", b"FUJIFILMCCD-RAW 0201", "raw photo"),
        ("a.orf", b"IIRO" + bytes(99), "raw photo"),
        ("a.rw2", b"IIU\0" + bytes(99), "raw photo"),
        ("a.x3f", b"FOVb" + bytes(99), "raw photo"),
    ],
)
def test_name_and_bytes_agree(name: str, data: bytes, kind: str) -> None:
    assert kind_of(data[:HEAD], name) == kind
    assert perhaps(name)


PDF, ZIP, EXE, PSD = b"%PDF-1.7\n", b"PK\3\4" + bytes(40), b"MZ" + bytes(60), b"8BPS\0\1" + bytes(40)


@pytest.mark.parametrize(
    "data", [PDF, ZIP, EXE, PSD, b"plain words", b"<svg xmlns=", b"", b"\xff\xd8\xff\xe0"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.dng", "a.jxl", "a.mkv", "a.ts", "MVIMG_20180101_120000"])
def test_a_document_named_like_media_is_none(name: str, data: bytes) -> None:
    assert kind_of(data, name) == ""


@pytest.mark.parametrize("data", [mp4(), raw(), jxl(), mkv(), avi(), mts(), PDF, ZIP, EXE, PSD])
@pytest.mark.parametrize(
    "name", ["a.jpg", "a.pdf", "a.docx", "a.zip", "a.txt", "a.exe", "a.eps", "a.svg", "a", "a.tif"]
)
def test_media_named_like_something_else_is_none(name: str, data: bytes) -> None:
    assert kind_of(data, name) == ""
    assert not perhaps(name)


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif", b"crx "])
def test_a_picture_in_the_container_of_a_video_is_no_video(brand: bytes) -> None:
    assert kind_of(mp4(brand=brand), "a.mp4") == ""


def test_its_bytes_are_all_that_is_known() -> None:
    seen = traits_of("content", "MP4 video")
    assert not seen.decoded and (seen.width, seen.texture, seen.captured, seen.camera) == (0, 0.0, None, "")
