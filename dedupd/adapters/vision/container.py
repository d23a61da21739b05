"""What a file holds besides the pixels of its first picture, read from its container.

Owns the parsing of JPEG segments and trailers, the boxes of ISO media files (HEIF, AVIF, MP4) and the headers of PNG,
TIFF, WebP and JPEG 2000. Must never decode a pixel, trust a length, or take a preview for a further picture.
Worker process only.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (HEIF), CIPA DC-007 (MPF), ISO 21496-1 and Ultra HDR (gain maps),
Google's Motion Photo format 1.0, ITU-T T.800 annex A (JPEG 2000).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from blake3 import blake3
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from dedupd.adapters.vision.deep_tiff import DeepTiff
from dedupd.adapters.vision.jpeg_xl import JpegXl
from dedupd.adapters.vision.photoshop import Photoshop
from dedupd.adapters.vision.raw_photo import RawPhoto
from dedupd.core.formats import named
from dedupd.core.photo import Holding

LARGEST = 512 << 20
"""Bytes read of one file, at most: a motion photo has about 20 MB, a scan about 300."""
_FILM = re.compile(rb"\0\0[\0-\x04][\0-\xff]ftyp[ -~]{4}", re.DOTALL)
"""The first box of a film, of any brand."""
_END = re.compile(rb"\xff\xd9")
"""The marker behind a JPEG's picture."""
_MOST_BOXES, _MOST_SEGMENTS, _MOST_PICTURES, _MOST_PAGES = 20_000, 1_000, 64, 200
"""Limits: a real file has some dozens of each; a hostile one must not cost more than its size."""
_HEAD = 1 << 18
"""Bytes in which the words of a header, or the name of a further picture, are found."""
_LEAST_UNKNOWN = 8_000
_UNREADABLE = "a part that cannot be read"

SEQUENCE = "sequence of frames"
_SEQUENCE_BRANDS = (b"hevc", b"hevx", b"msf1")
_GAIN_MAP, _DEPTH_MAP, _STEREO = "gain map", "depth map", "stereo half"
_AUXILIARY = (
    (b"hdrgainmap", _GAIN_MAP),
    (b"gainmap", _GAIN_MAP),
    (b"hdrgm:", _GAIN_MAP),
    (b"iso:std:iso:ts:21496", _GAIN_MAP),
    (b"auxid:2", _DEPTH_MAP),
    (b"depth", _DEPTH_MAP),
    (b"disparity", _DEPTH_MAP),
    (b"matte", "portrait matte"),
)
"""The names of auxiliary pictures; the first that matches counts."""
_ALPHA = (b"auxid:1", b"alpha")
_PREVIEWS, _PANORAMA, _DISPARITY, _ANGLES = 0x010000, 0x020001, 0x020002, 0x020003
_SAMSUNG = (
    (b"DualShot_DepthMap", _DEPTH_MAP),
    (b"DualShot_2", "second lens' picture"),
    (b"SoundShot_000", "sound"),
)
_NEW_SUBFILE, _BITS, _COMPRESSION, _LAYERS = 254, 258, 259, 37724
_JPEG_IN_TIFF = (6, 7, 34892, 50001)
"""TIFF compressions with loss: both JPEGs, lossy DNG, WebP."""


def holding(file: BinaryIO, image: Image.Image) -> Holding:
    """What the opened, not yet decoded `image` of `file` holds. Leaves the position in `file` unchanged.

    A part that cannot be read counts as a further one: a file with it never moves beside one without.
    Transparency is not included: only the pixels show it.
    """
    at = file.tell()
    try:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        bits = round(8 * size / max(1, image.width * image.height), 3)
        return replace(_holding(file, image, min(size, LARGEST)), bits=bits)
    except Exception:  # noqa: BLE001
        # Pillow and struct raise many kinds of errors for a hostile container.
        return Holding(further=(_UNREADABLE,))
    finally:
        file.seek(at)


def _holding(file: BinaryIO, image: Image.Image, size: int) -> Holding:
    """Reads no more of the file, which has `size` bytes, than its format needs: a scan of 300 MB says everything in its tags."""
    # By its size: Python makes room for as much as is asked for.
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _jpeg(file.read(size))
    if image.format in {"HEIF", "AVIF"}:
        return _heif(file.read(size))
    if image.format == "TIFF":
        return _tiff(image)
    head = file.read(_HEAD)
    frames = _frames(image)
    if image.format == "PNG":
        depth = head[24] if len(head) > 25 else 8
        return Holding(depth=depth, palette=_palette(image), lossless=True, further=frames)
    if image.format == "WEBP":
        return Holding(lossless=_webp_lossless(head), further=frames)
    if image.format == "JPEG2000":
        return _jpeg2000(head, frames)
    if isinstance(image, RawPhoto):
        return Holding(depth=image.depth(), lossless=True)
    if isinstance(image, Photoshop):
        further = (("layers",), (image.layers_id,)) if image.layers_id else ((), ())
        return Holding(palette=_palette(image), lossless=True, further=further[0], further_ids=further[1])
    if isinstance(image, DeepTiff):
        return Holding(
            depth=image.layout.bits, lossless=True, further=("further pages",) if image.is_animated else ()
        )
    if isinstance(image, JpegXl):
        return _jpeg_xl(image)
    row = named(str(image.format))
    return Holding(palette=_palette(image), lossless=row is not None and row.lossless, further=frames)


def _frames(image: Image.Image) -> tuple[str, ...]:
    try:
        count = int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001
        # What follows the first frame is broken: nobody can see it.
        count = 1
    return (f"{count} frames",) if count > 1 else ()


def _palette(image: Image.Image) -> int:
    if image.mode not in {"P", "PA"} or image.palette is None:
        return 0
    return max(1, len(image.palette.getdata()[1]) // len(image.palette.mode))


# -- JPEG ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Jpeg:
    """The segments before the picture, and where the picture ends."""

    xmp: bytes = b""
    applications: bytes = b""
    """The first bytes of every application segment; the name of a gain map is among them."""
    mpf: tuple[int, bytes] | None = None
    """(offset of its TIFF header in the file, the bytes from there)."""
    depth: int = 8
    end: int = 0


def _jpeg(whole: bytes) -> Holding:
    found = _segments(whole)
    clip, seconds = _film_in(whole, found.end)
    behind, ids = set(_named(whole, found.end)), list[str]()
    try:
        for kind, part in _further_pictures(whole, found):
            behind.add(kind)
            ids.append(part)
    except Exception:  # noqa: BLE001
        # The index is broken; the film was found and is not.
        behind.add(_UNREADABLE)
    if not clip and not ids and (size := _unknown_behind(whole, found.end)):
        behind.add(f"{size} kB of something")
    if b"hdrgm:Version" in found.xmp and not behind & {_GAIN_MAP}:
        # A copy without its gain map may still have the words: only a second picture is a gain map.
        behind |= {_GAIN_MAP} if whole.find(b"\xff\xd8\xff", found.end) >= 0 else set()
    if b"GDepth:Data" in found.xmp or b"GDepth:Data" in found.applications:
        behind.add(_DEPTH_MAP)
    if b"GImage:Data" in found.xmp or b"GImage:Data" in found.applications:
        behind.add("picture before its effect")
    return Holding(
        depth=found.depth, further=tuple(sorted(behind)), further_ids=tuple(sorted(ids)), clip=clip,
        clip_seconds=seconds,
    )  # fmt: skip


def _unknown_behind(whole: bytes, end: int) -> int:
    """kB after the picture that are no padding, no trailer with a phone's own words and no preview; 0 when
    there are none."""
    rest = len(whole) - end
    if rest < _LEAST_UNKNOWN or whole.startswith(b"\xff\xd8\xff", end) or b"SEFT" in whole[-64:]:
        return 0
    return rest // 1000 if any(whole[end : end + 65536]) else 0


def _segments(whole: bytes) -> _Jpeg:
    found, at = _Jpeg(end=len(whole)), 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(whole) or whole[at] != 0xFF:
            break
        marker = whole[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(whole[at + 2 : at + 4], "big")
        body = whole[at + 4 : at + 2 + length]
        if marker == 0xDA:
            end = _END.search(whole, at)  # in less than half the time of `find`
            found.end = end.end() if end else len(whole)
            break
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and body:
            found.depth = body[0]
        elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/"):
            found.xmp += body
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            found.mpf = (at + 8, body[4:])
        if 0xE0 <= marker <= 0xEF:
            found.applications += body[:128]
        at += 2 + length
    return found


def _further_pictures(whole: bytes, found: _Jpeg) -> Iterator[tuple[str, str]]:
    """(kind, BLAKE3) of the pictures that the MPF index lists after the first, without previews of it."""
    if found.mpf is None:
        return
    base, body = found.mpf
    directory = TiffImagePlugin.ImageFileDirectory_v2(body[:8])
    stream = io.BytesIO(body)
    stream.seek(directory.next)
    directory.load(stream)
    entries = bytes(directory.get(0xB002, b""))
    order = "<" if body[:2] == b"II" else ">"
    seen = {0}
    for at in range(16, min(len(entries) - 15, 16 * _MOST_PICTURES), 16):
        attributes, size, offset = struct.unpack_from(order + "III", entries, at)
        start = base + offset
        if offset in seen or not size or not whole.startswith(b"\xff\xd8", start):
            continue  # named, and cut off by whoever copied the first picture
        seen.add(offset)
        kind = attributes & 0xFFFFFF
        if kind & 0xFF0000 == _PREVIEWS:
            continue
        part = whole[start : start + size]
        yield _kind_of(kind, _segments(part[:_HEAD])), blake3(part).hexdigest()


def _kind_of(kind: int, picture: _Jpeg) -> str:
    if kind in {_DISPARITY, _ANGLES}:
        return _STEREO if kind == _DISPARITY else "further angle"
    if kind == _PANORAMA:
        return "part of a panorama"
    return _auxiliary(picture.xmp + picture.applications) or "further picture"


def _auxiliary(words: bytes) -> str:
    lower = words.lower()
    return next((kind for word, kind in _AUXILIARY if word in lower), "")


def _named(whole: bytes, end: int) -> Iterator[str]:
    """What Samsung's trailer names."""
    if end < len(whole) and b"SEFT" in whole[-64:]:
        yield from (kind for word, kind in _SAMSUNG if whole.find(word, end) >= 0)


# -- films ---------------------------------------------------------------------------------------


def _film_in(whole: bytes, start: int) -> tuple[str, float]:
    """(BLAKE3, seconds) of the film that begins after `start`; ('', 0) without one.

    Found by its bytes, not by what XMP says: copies keep the XMP and lose the film.
    """
    match = _FILM.search(whole, start)
    if match is None:
        return "", 0.0
    begin, end = match.start(), match.start()
    seconds = 0.0
    for box in _boxes(whole, begin, len(whole)):
        if not box.kind.isalnum() and box.kind.strip() not in {b"free", b"skip"}:
            break
        end = box.end
        if box.kind == b"moov":
            seconds = _seconds(whole, box)
    return (blake3(whole[begin:end]).hexdigest(), seconds) if end > begin + 64 else ("", 0.0)


def _seconds(whole: bytes, moov: _Box) -> float:
    for box in _boxes(whole, moov.body, moov.end):
        if box.kind == b"mvhd":
            long = whole[box.body] == 1
            scale, length = struct.unpack_from(
                ">IQ" if long else ">II", whole, box.body + (20 if long else 12)
            )
            return round(length / scale, 1) if scale else 0.0
    return 0.0


# -- boxes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    body: int
    end: int


def _boxes(whole: bytes, start: int, end: int) -> Iterator[_Box]:
    """The boxes one after another from `start`, up to the first whose length makes no sense."""
    at = start
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", whole, at)
        body = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", whole, body)
            body += 8
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            return
        yield _Box(kind, body, at + size)
        at += size


@dataclass(slots=True)
class _Items:
    """What the boxes of a HEIF file say about its items."""

    kinds: dict[int, bytes] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    auxiliary: list[bytes] = field(default_factory=list)
    depth: int = 0
    previews: set[int] = field(default_factory=set)
    derived: set[int] = field(default_factory=set)
    """Items that are parts (tiles) of another one, describe it or replace it."""
    sequence: bool = False
    clip: tuple[str, float] = ("", 0.0)


def _heif(whole: bytes) -> Holding:
    items = _Items()
    for box in _own_boxes(whole):
        if box.kind == b"meta":
            _read_meta(whole, box, items)
        elif box.kind == b"moov":
            items.sequence = True
        elif box.kind == b"mpvd":
            items.clip = _film_in(whole, box.body)
    pictures = [urn for urn in items.auxiliary if not any(word in urn for word in _ALPHA)]
    further = {_auxiliary(urn) or "auxiliary picture" for urn in pictures}
    if b"tmap" in items.kinds.values():
        further.add(_GAIN_MAP)
    shown = [
        item for item, kind in items.kinds.items()
        if kind in {b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"jpeg", b"unci"}
        and item not in items.hidden | items.previews | items.derived
    ]  # fmt: skip
    if len(shown) > 1:
        further.add(f"{len(shown)} pictures")
    if items.sequence:
        further.add(SEQUENCE)
    clip = items.clip if items.clip[0] else _film_in(whole, _end_of_boxes(whole))
    return Holding(depth=items.depth or 8, further=tuple(sorted(further)), clip=clip[0], clip_seconds=clip[1])


def is_sequence_alone(file: BinaryIO) -> bool:
    """Whether `file` is a HEIF of frames without a still picture. Leaves the position in `file` at its start."""
    head = file.read(12)
    whole = head + file.read(LARGEST) if head[4:8] == b"ftyp" and head[8:] in _SEQUENCE_BRANDS else b""
    file.seek(0)
    kinds = {box.kind for box in _own_boxes(whole)}
    return b"moov" in kinds and b"meta" not in kinds


def _own_boxes(whole: bytes) -> Iterator[_Box]:
    """The boxes of the file itself: a film that a phone appended begins with a 'ftyp' of its own."""
    for number, box in enumerate(_boxes(whole, 0, len(whole))):
        if number and box.kind == b"ftyp":
            return
        yield box


def _end_of_boxes(whole: bytes) -> int:
    """The end of the picture's own boxes; a phone appends its data there."""
    ends = [box.end for box in _own_boxes(whole) if box.kind in {b"ftyp", b"meta", b"mdat", b"free"}]
    return max(ends, default=len(whole))


def _read_meta(whole: bytes, meta: _Box, items: _Items) -> None:
    for box in _boxes(whole, meta.body + 4, meta.end):
        if box.kind == b"iinf":
            version = whole[box.body]
            for entry in _boxes(whole, box.body + (6 if version == 0 else 8), box.end):
                if entry.kind == b"infe":
                    _read_item(whole, entry, items)
        elif box.kind == b"iprp":
            for container in _boxes(whole, box.body, box.end):
                if container.kind == b"ipco":
                    _read_properties(whole, container, items)
        elif box.kind == b"iref":
            _read_references(whole, box, items)


def _read_item(whole: bytes, entry: _Box, items: _Items) -> None:
    version, flags = whole[entry.body], int.from_bytes(whole[entry.body + 1 : entry.body + 4], "big")
    if version < 2:
        return
    wide = version >= 3
    number = int.from_bytes(whole[entry.body + 4 : entry.body + (8 if wide else 6)], "big")
    at = entry.body + (10 if wide else 8)
    items.kinds[number] = whole[at : at + 4]
    if flags & 1:
        items.hidden.add(number)


def _read_properties(whole: bytes, container: _Box, items: _Items) -> None:
    for box in _boxes(whole, container.body, container.end):
        if box.kind == b"auxC":
            items.auxiliary.append(whole[box.body + 4 : box.end].split(b"\0")[0].lower())
        elif box.kind == b"pixi" and box.end > box.body + 5:
            items.depth = max(items.depth, *whole[box.body + 5 : box.end][: whole[box.body + 4]])
        elif box.kind == b"hvcC" and box.end > box.body + 18:
            items.depth = max(items.depth, (whole[box.body + 17] & 7) + 8)
        elif box.kind == b"av1C" and box.end > box.body + 2:
            high, twelve = whole[box.body + 2] & 0x40, whole[box.body + 2] & 0x20
            items.depth = max(items.depth, 12 if high and twelve else 10 if high else 8)


def _read_references(whole: bytes, iref: _Box, items: _Items) -> None:
    width = 2 if whole[iref.body] == 0 else 4
    for box in _boxes(whole, iref.body + 4, iref.end):
        source = int.from_bytes(whole[box.body : box.body + width], "big")
        at = box.body + width
        count = int.from_bytes(whole[at : at + 2], "big")
        targets = [
            int.from_bytes(whole[at + 2 + n * width : at + 2 + (n + 1) * width], "big")
            for n in range(min(count, (box.end - at - 2) // width))
        ]
        if box.kind == b"thmb":
            items.previews.add(source)
        elif box.kind in {b"auxl", b"cdsc"}:
            items.derived.add(source)
        elif box.kind == b"dimg":
            items.derived.update(targets)


# -- the rest ------------------------------------------------------------------------------------


def _tiff(image: Image.Image) -> Holding:
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (8,))
    depth = max(bits) if isinstance(bits, tuple) else int(bits)
    compression = tags.get(_COMPRESSION, 1)
    further = set(_pages(image))
    if len(tags.get(_LAYERS, b"")) > 64:
        further.add("layers")
    return Holding(
        depth=depth, palette=_palette(image), lossless=compression not in _JPEG_IN_TIFF,
        further=tuple(sorted(further)),
    )  # fmt: skip


def _pages(image: Image.Image) -> tuple[str, ...]:
    """Number of pages that are not a smaller version of the first."""
    count = 0
    with suppress(EOFError, OSError, ValueError, SyntaxError):
        for number in range(_MOST_PAGES):
            image.seek(number)
            tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
            count += not int(tags.get(_NEW_SUBFILE, 0)) & 1
    image.seek(0)
    more = "or more " if count >= _MOST_PAGES else ""
    return (f"{count} {more}pages",) if count > 1 else ()


def _webp_lossless(whole: bytes) -> bool:
    """Whether its (first) picture is a VP8L chunk."""
    at = 12
    while at + 8 <= len(whole):
        kind, size = whole[at : at + 4], int.from_bytes(whole[at + 4 : at + 8], "little")
        if kind in {b"VP8L", b"VP8 "}:
            return kind == b"VP8L"
        # A frame of an animation: its own chunks begin 16 bytes after its start.
        at += 24 if kind == b"ANMF" else 8 + size + size % 2
    return False


def _jpeg_xl(image: JpegXl) -> Holding:
    """A JPEG XL made from a JPEG without loss holds what that JPEG holds."""
    said = image.header
    lossless = not said.coded_with_loss and not image.from_jpeg
    return Holding(depth=said.depth, lossless=lossless, further=("further frames",) if said.moving else ())


def _jpeg2000(whole: bytes, frames: tuple[str, ...]) -> Holding:
    size, coding = whole.find(b"\xff\x4f\xff\x51"), whole.find(b"\xff\x52")
    depth = (whole[size + 42] & 0x7F) + 1 if size >= 0 and size + 42 < len(whole) else 8
    # 1: the reversible 5-3 wavelet.
    lossless = coding >= 0 and coding + 13 < len(whole) and whole[coding + 13] == 1
    return Holding(depth=depth, lossless=lossless, further=frames)
