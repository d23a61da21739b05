"""Photoshop files as pictures that Pillow opens: the picture of the whole that lies in them, never their layers.

Owns which of them have such a picture that is shown right: 8 bits of grey, RGB, CMYK, a palette or a duotone. Must never
put layers together, nor show the blank picture of a file that was saved without one. Worker process only.

Source: Adobe Photoshop File Formats Specification (2019): file header, image resources 1057 to 1060, layer section.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import struct
from typing import IO, ClassVar

from blake3 import blake3
from PIL.PsdImagePlugin import PsdImageFile

from dedupd.adapters.vision.refused import NobodyReads
from dedupd.core.formats import named

FORMAT = "Photoshop"
_HEADER = struct.Struct(">4sH6xHIIHH")
_GREY, _INDEXED, _RGB, _CMYK, _DUOTONE = 1, 2, 3, 4, 8
_SHOWN = {_GREY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1}
"""The colour modes that are shown right, and the channels of each. Pillow takes Lab and multichannel for other colours."""
_VERSION, _EXIF, _XMP = 1057, 1058, 1060
_PLAIN, _PACKED = 0, 1
_BLOCK = 1 << 20


class Photoshop(PsdImageFile):
    """One such file, opened."""

    format: ClassVar[str] = FORMAT  # type: ignore[misc]
    layers_id: str
    """BLAKE3 of its layers and masks, 64 hex digits; '' for a flat file."""

    def _open(self) -> None:
        assert self.fp is not None
        channels, at, end, transparent = _look(self.fp)
        self.layers_id = _id_of(self.fp, at, end)
        self.fp.seek(0)
        super()._open()
        resources = {number: body for number, _, body in self.resources}
        version = resources.get(_VERSION, b"")
        if len(version) > 4 and not version[4]:
            raise _nobody_reads()
        # The fourth channel is transparency only when the layers say so; else somebody stored a selection in it.
        if self._mode == "RGBA" and not transparent:
            self._mode, self.tile = "RGB", self.tile[:channels]
        for number, name in ((_EXIF, "exif"), (_XMP, "xmp")):
            if number in resources:
                self.info[name] = resources[number]

    @property
    def n_frames(self) -> int:
        """1: layers are no frames."""
        return 1

    @property
    def is_animated(self) -> bool:
        """False: layers are no frames."""
        return False


def _look(file: IO[bytes]) -> tuple[int, int, int, bool]:
    """Channels of the picture, where the layers lie, and whether its first further channel is its transparency.

    Raises NobodyReads for what is not shown right, SyntaxError for what is no such file.
    """
    magic, version, _, _, _, bits, mode = _HEADER.unpack(file.read(_HEADER.size))
    if magic != b"8BPS":
        raise SyntaxError("no Photoshop file")
    if version != 1 or bits != 8 or mode not in _SHOWN:
        raise _nobody_reads()
    for _ in ("palette", "resources"):
        file.seek(_length(file), 1)
    layers = _length(file)
    at = file.tell()
    count = struct.unpack(">4xh", file.read(6))[0] if layers >= 6 else 0
    file.seek(at + layers)
    (compression,) = struct.unpack(">H", file.read(2))
    if compression not in (_PLAIN, _PACKED):
        raise _nobody_reads()
    return _SHOWN[mode], at, at + layers, count < 0


def _length(file: IO[bytes]) -> int:
    (length,) = struct.unpack(">I", file.read(4))
    return int(length)


def _id_of(file: IO[bytes], at: int, end: int) -> str:
    if at == end:
        return ""
    file.seek(at)
    hasher = blake3()
    while at < end and (block := file.read(min(_BLOCK, end - at))):
        hasher.update(block)
        at += len(block)
    return hasher.hexdigest()


def _nobody_reads() -> NobodyReads:
    row = named(FORMAT)
    assert row is not None
    return NobodyReads(row.unknown, row.unknown)
