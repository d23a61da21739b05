"""Media that dedupd does not decode: video; camera RAW and JPEG XL where the extra that reads them is not installed.

Such files are compared by their bytes alone.

Owns how such a file is recognised: by its first bytes and its name together. Must never open a file, and never take a
document for media (PDF, office files, archives, programs, and SVG, which is drawn and not photographed).
"""

from __future__ import annotations

from dedupd.core.formats import TIFF_HEADS, of_suffix
from dedupd.core.photo import BYTES_ALONE, Traits
from dedupd.core.units import extension, is_video

HEAD = 400
"""First bytes of a file that tell its container."""

_VIDEO = (
    (b"\x1aE\xdf\xa3", "Matroska video"),
    (b"0&\xb2u\x8ef\xcf\x11", "Windows Media video"),
    (b"\0\0\x01\xba", "MPEG video"),
    (b"\0\0\x01\xb3", "MPEG video"),
    (b"FLV\x01", "Flash video"),
    (b"OggS", "Ogg video"),
    (b"\x1f\x07\0", "DV video"),
    (b"\x06\x0e+4", "MXF video"),
)
_STILL_BRANDS = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"mif1",
    b"mif2",
    b"msf1",
    b"avif",
    b"avis",
    b"crx ",
)
"""Brands of still pictures in an MP4 container."""
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_PACKET, _STAMPED_PACKET = 188, 192
"""Bytes of a packet of an MPEG transport stream; camcorders put a time stamp of four bytes before each."""


def kind_of(head: bytes, path: str) -> str:
    """What the file at `path` is, in words, when its name and its first `HEAD` bytes agree; '' when it is no such media."""
    row = of_suffix(extension(path))
    if row is not None and row.unread:
        return row.unread if row.begins(head) or (row.raw and head.startswith(TIFF_HEADS)) else ""
    return _video(head) if is_video(path) else ""


def perhaps(path: str) -> bool:
    """Whether a file of this name can be such media."""
    row = of_suffix(extension(path))
    return is_video(path) or (row is not None and bool(row.heads))


def traits_of(content: str, kind: str) -> Traits:
    """The traits of a file that is not decoded: its content id and kind, and nothing to compare but the bytes."""
    return Traits(
        content=content, recipe=BYTES_ALONE, model="", format=kind, width=0, height=0, phash=0, dhash=0
    )  # fmt: skip


def _video(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return (
            "" if head[8:12] in _STILL_BRANDS else "QuickTime video" if head[8:12] == b"qt  " else "MP4 video"
        )
    if head[4:8] in _OLD_QUICKTIME:
        return "QuickTime video"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI video"
    for start, packet in ((0, _PACKET), (4, _STAMPED_PACKET)):
        if head[start::packet] == b"GGG":
            return "MPEG transport stream"
    return next((kind for magic, kind in _VIDEO if head.startswith(magic)), "")
