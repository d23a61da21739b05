"""Bytes of media with their containers' own first bytes, and a camera RAW that can be developed. No files shipped."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from random import Random
from typing import Any

import numpy as np
from PIL import Image


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _noise(seed: int, size: int) -> bytes:
    return Random(seed).randbytes(size)


def mp4(seed: int = 1, brand: bytes = b"isom", size: int = 20_000) -> bytes:
    """A video as phones write it; `brand` b"qt  " makes it a MOV, b"crx " a CR3."""
    return _box(b"ftyp", brand + b"\0\0\2\0" + brand) + _box(b"mdat", _noise(seed, size)) + _box(b"moov", b"")


def avi(seed: int = 1) -> bytes:
    return b"RIFF" + struct.pack("<I", 4_004) + b"AVI " + _noise(seed, 4_000)


def mts(seed: int = 1, *, stamped: bool = True) -> bytes:
    """A transport stream; camcorders put a time stamp before each packet."""
    packets = (b"G" + _noise(seed + n, 187) for n in range(20))
    return b"".join((b"\0\0\0\0" if stamped else b"") + packet for packet in packets)


def mkv(seed: int = 1) -> bytes:
    return b"\x1aE\xdf\xa3" + _noise(seed, 4_000)


def jxl(seed: int = 1) -> bytes:
    return b"\xff\x0a" + _noise(seed, 4_000)


def raw(seed: int = 1, size: int = 20_000) -> bytes:
    """A camera RAW of the TIFF family (DNG, NEF, CR2, ARW, …)."""
    entry = struct.pack("<HHIHHI", 1, 262, 3, 1, 32803, 0)
    return b"II*\0" + struct.pack("<I", 8) + entry + struct.pack("<I", 0) + _noise(seed, size)


def psd(
    image: Image.Image,
    *,
    layers: bytes = b"",
    resources: tuple[tuple[int, bytes], ...] = (),
    bits: int = 8,
    version: int = 1,
    mode: int | None = None,
    whole: bool = True,
    transparent: bool = False,
) -> bytes:
    """A Photoshop file that shows `image`; `whole` False: saved without a picture of the whole."""
    modes = {"L": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}
    bands = [band.tobytes() for band in image.split()]
    if image.mode == "CMYK":
        bands = [bytes(255 - value for value in band) for band in bands]
    header = struct.pack(
        ">4sH6xHIIHH", b"8BPS", version, len(bands), image.height, image.width, bits,
        modes[image.mode] if mode is None else mode,
    )  # fmt: skip
    said = ((1057, struct.pack(">IB", 1, whole) + bytes(8)), *resources)
    blocks = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) % 2)
        for number, body in said
    )
    # One layer of no size; what lies in it is only to differ.
    block = struct.pack(">h", -1 if transparent else 1) + bytes(34) + layers
    section = struct.pack(">I", len(block)) + block if layers or transparent else b""
    parts = (b"", blocks, section)
    return (
        header
        + b"".join(struct.pack(">I", len(part)) + part for part in parts)
        + struct.pack(">H", 0)
        + b"".join(bands)
    )


_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
_Tags = dict[int, tuple[int, Any]]


def dng(
    image: Image.Image,
    *,
    taken: datetime | None = None,
    camera: tuple[str, str] = ("Maker", "Model 1"),
    preview: Image.Image | None = None,
    orientation: int = 1,
) -> bytes:
    """A camera RAW that LibRaw develops into `image`: 12 bits of an RGGB sensor, uncompressed, as a DNG.

    `preview`: the JPEG that stands in its first directory, as cameras write it. The sensor's data come last.
    """
    light = (np.asarray(image.convert("RGB"), np.float64) / 255) ** 2.2
    sensor = np.empty(light.shape[:2], np.float64)
    for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        sensor[y::2, x::2] = light[y::2, x::2, channel]
    levels = np.rint(sensor * 4095).astype("<u2").tobytes()
    jpeg = io.BytesIO()
    if preview is not None:
        preview.save(jpeg, "JPEG", quality=92)
    stamp = "" if taken is None else taken.strftime("%Y:%m:%d %H:%M:%S")
    about: _Tags = {
        271: (_ASCII, camera[0]), 272: (_ASCII, camera[1]), 274: (_SHORT, [orientation]),
        50706: (_BYTE, [1, 4, 0, 0]), 50708: (_ASCII, camera[1]),
        50721: (_SRATIONAL, _XYZ_TO_SRGB), 50728: (_RATIONAL, (1, 1, 1)), 50778: (_SHORT, [21]),
    }  # fmt: skip
    details: _Tags = {36867: (_ASCII, stamp)} if stamp else {}
    seen: _Tags = {
        254: (_LONG, [0]), 256: (_LONG, [image.width]), 257: (_LONG, [image.height]), 258: (_SHORT, [16]), 259: (_SHORT, [1]),
        262: (_SHORT, [32803]), 277: (_SHORT, [1]), 278: (_LONG, [image.height]), 279: (_LONG, [len(levels)]),
        33421: (_SHORT, [2, 2]), 33422: (_BYTE, [0, 1, 1, 2]), 50714: (_SHORT, [0]), 50717: (_SHORT, [4095]),
    }  # fmt: skip
    small: _Tags = {}
    if preview is not None:
        small = {
            254: (_LONG, [1]), 256: (_LONG, [preview.width]), 257: (_LONG, [preview.height]), 258: (_SHORT, [8, 8, 8]),
            259: (_SHORT, [7]), 262: (_SHORT, [6]), 277: (_SHORT, [3]), 278: (_LONG, [preview.height]),
            279: (_LONG, [len(jpeg.getvalue())]),
        }  # fmt: skip
    at, parts = 8, list[bytes]()
    for place in (0, 1):  # first to learn how long the directories are, then where all of it stands
        first, inner = (small, seen) if small else (seen, {})
        first = first | about
        start = at if place else 8
        jpeg_at = start
        levels_at = jpeg_at + len(jpeg.getvalue())
        first |= {273: (_LONG, [jpeg_at if small else levels_at]), 34665: (_LONG, [0])}
        first |= {330: (_LONG, [0])} if small else {}
        inner = inner | {273: (_LONG, [levels_at])} if inner else {}
        main = _directory(first, 8)
        exif_at, inner_at = 8 + len(main), 8 + len(main) + len(_directory(details, 0))
        first[34665] = (_LONG, [exif_at])
        if small:
            first[330] = (_LONG, [inner_at])
        parts = [
            _directory(first, 8),
            _directory(details, exif_at),
            _directory(inner, inner_at) if inner else b"",
        ]
        at = 8 + sum(map(len, parts))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(parts) + jpeg.getvalue() + levels


def _directory(tags: _Tags, start: int) -> bytes:
    """One TIFF directory that stands at `start`, its long values behind it."""
    entries, behind = b"", b""
    at = start + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        data, count = _value(kind, value)
        if len(data) > 4:
            entries += struct.pack("<HHII", tag, kind, count, at + len(behind))
            behind += data + b"\0" * (len(data) % 2)
        else:
            entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + bytes(4) + behind


def _value(kind: int, value: Any) -> tuple[bytes, int]:
    if kind == _ASCII:
        return value.encode() + b"\0", len(value) + 1
    if kind in (_RATIONAL, _SRATIONAL):
        whole = [part for number in value for part in (round(number * 10_000), 10_000)]
        return struct.pack(f"<{len(whole)}i", *whole), len(value)
    return struct.pack(f"<{len(value)}{'BHI'[(_BYTE, _SHORT, _LONG).index(kind)]}", *value), len(value)


def _full(kind: bytes, body: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags) + body)


def _part(whole: bytes, kind: bytes) -> bytes:
    at = whole.index(kind) - 4
    return whole[at : at + int.from_bytes(whole[at : at + 4], "big")]


def heic_sequence(*frames: Image.Image, still: bool = True) -> bytes:
    """A HEVC image sequence (ISO/IEC 23008-12, 7): a track of these frames, all of one size, each whole by itself.

    `still`: with the first of them as an ordinary picture before it, which is all that most programs show.
    """
    files = list[bytes]()
    for frame in frames:
        file = io.BytesIO()
        frame.save(file, "HEIF", enc_params={"preset": "ultrafast"})
        files.append(file.getvalue())
    width, height = frames[0].size
    samples = [_part(file, b"mdat")[8:] for file in files]
    head = files[0] if still else _box(b"ftyp", b"hevc\0\0\0\0msf1hevciso8")
    count, sizes = len(samples), [len(sample) for sample in samples]
    places = [len(head) + 8 + sum(sizes[:n]) for n in range(count)]
    unity = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    entry = _box(
        b"hvc1",
        struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 72 << 16, 72 << 16, 0, 1, 24, -1)
        + _part(files[0], b"hvcC")
        + _full(b"ccst", struct.pack(">I", 1 << 30)),
    )
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1) + entry)
        + _full(b"stts", struct.pack(">III", 1, count, 100))
        + _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1))
        + _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes))
        + _full(b"stco", struct.pack(f">I{count}I", count, *places)),
    )
    where = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 100 * count, 0x55C40000))
        + _full(b"hdlr", b"\0\0\0\0pict" + bytes(13))
        + _box(b"minf", _full(b"vmhd", bytes(8), flags=1) + where + table),
    )
    track = _full(
        b"tkhd",
        struct.pack(">IIIII16x", 0, 0, 1, 0, 100 * count)
        + unity
        + struct.pack(">II", width << 16, height << 16),
        flags=3,
    )
    whole = _full(
        b"mvhd",
        struct.pack(">IIIIIHH8x", 0, 0, 1000, 100 * count, 1 << 16, 1 << 8, 0)
        + unity
        + struct.pack(">24xI", 2),
    )
    return head + _box(b"mdat", b"".join(samples)) + _box(b"moov", whole + _box(b"trak", track + media))
