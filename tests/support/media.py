"""Bytes of media that dedupd does not decode, with their containers' own first bytes. No files shipped."""

from __future__ import annotations

import struct
from random import Random


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
