"""The file formats of photos: one row each. Whatever depends on a format is derived from its row.

Owns which formats there are, how their files are named and begin, what reads them and which of two keeps. Must never
open a file. A new format that Pillow reads is one new row here and nothing else; a format with a decoder of its own
is a row here, the module that reads it (as adapters/vision/raw_photo.py, photoshop.py) and its line in
adapters/vision/recognise.py.
"""

from __future__ import annotations

from dataclasses import dataclass

_LAST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row: what dedupd knows of a format before it opens a file."""

    name: str
    """Its name in Pillow, and in `Traits.format`."""
    suffixes: tuple[str, ...]
    """Lower case, without the dot."""
    rank: int = _LAST
    """Of two files that hold the same, the one of the lower rank keeps."""
    raw: bool = False
    """Camera RAW, undeveloped sensor data: the companion of a picture of the same name, never a copy of one."""
    layered: bool = False
    """An editor's document: pictures are saved from its layers, and it is never a copy of one."""
    decoding: float = 0
    """Bytes per pixel that its decoder holds beside Pillow's copy, in the most expensive form that was found at 64 Mpixel. What
    depends on the file, adapters/vision/room.py looks up."""
    lossless: bool = False
    """Every file of this format is lossless. Where it depends on the file, adapters/vision/container.py looks."""
    extra: str = ""
    """The optional extra of dedupd that decodes it; '' when every installation can."""
    library: str = ""
    """The module that this extra brings."""
    unread: str = ""
    """How a file is called that is not decoded, so that only its bytes are compared. Only for formats of which some are not."""
    heads: tuple[bytes, ...] = ()
    """First bytes of its files. Only for formats with a decoder of their own: they are recognised without it."""
    brand: bytes = b""
    """The same at byte 8, behind the 'ftyp' of an ISO media file."""

    @property
    def unknown(self) -> str:
        """How a file is called that its decoder cannot decode: the camera, say, is newer than the library."""
        return f"{self.unread} of a kind that {self.library or 'dedupd'} does not decode"

    @property
    def source(self) -> bool:
        """Whether pictures are made from its files: sensor data to develop, or layers to save as one."""
        return self.raw or self.layered

    @property
    def without_extra(self) -> str:
        """Which extra is missing, one clause for people."""
        return f"{self.unread}: pip install 'dedupd[{self.extra}]' to have it decoded"

    def begins(self, head: bytes) -> bool:
        """Whether the first bytes of a file can only be those of this format."""
        return head.startswith(self.heads) or bool(self.brand and head[4:12] == b"ftyp" + self.brand)


FORMATS = (
    Format(name="JPEG", suffixes=("jpg", "jpeg", "jpe", "jfif"), rank=2),
    Format(name="PNG", suffixes=("png",), rank=3),
    Format(name="WEBP", suffixes=("webp",), decoding=12.1),
    Format(name="TIFF", suffixes=("tif", "tiff"), rank=3),
    Format(name="GIF", suffixes=("gif",), lossless=True),
    Format(name="BMP", suffixes=("bmp",), lossless=True),
    Format(name="AVIF", suffixes=("avif", "avifs"), decoding=12),
    Format(name="HEIF", suffixes=("heic", "heif", "hif", "heics", "heifs"), rank=1, unread="HEIC file"),
    Format(name="JPEG2000", suffixes=("jp2", "j2k", "jpx")),
    Format(
        name="JPEG XL", suffixes=("jxl",), extra="jxl", library="imagecodecs", unread="JPEG XL", decoding=9,
        heads=(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ),
    Format(
        name="deep TIFF", suffixes=("tif", "tiff"), rank=3, extra="tiff", library="imagecodecs",
        unread="TIFF of float, 12-bit, 32-bit or planar 16-bit numbers",
    ),
    Format(
        name="Photoshop", suffixes=("psd", "psb"), rank=0, layered=True, lossless=True, unread="Photoshop file",
        heads=(b"8BPS",),
    ),
    Format(
        name="RAW", rank=0, raw=True, extra="raw", library="rawpy", unread="raw photo", brand=b"crx ", decoding=3,
        suffixes=(
            "3fr", "ari", "arw", "bay", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "k25", "kdc",
            "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "pef", "ptx", "raf", "raw", "rw2", "rwl", "sr2", "srf",
            "srw", "x3f",
        ),
        heads=(
            b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"ARRI",
        ),
    ),
)  # fmt: skip
"""In the order in which Pillow tries them."""

TIFF_HEADS = (b"II*\0", b"MM\0*")
"""First bytes of every TIFF and of most camera RAW: the name or the tags must tell which it is."""


def raw_format() -> Format:
    """The row of camera RAW."""
    return next(row for row in FORMATS if row.raw)


def is_source(name: str) -> bool:
    """Whether pictures are made from files of this `Traits.format`: camera RAW, or an editor's layers."""
    found = named(name)
    return found is not None and found.source


def decodable(kind: str) -> bool:
    """Whether something can decode files of this kind (as `kind_of` names them); False for video."""
    return any(row.unread == kind for row in FORMATS if row.unread)


def why_undecoded(kind: str) -> str:
    """Why only the bytes of such a photo are compared, one clause for people; '' for what is no photo."""
    for row in FORMATS:
        if row.unread and kind in (row.unread, row.unknown):
            said = row.without_extra if kind == row.unread else kind
            return f"compared by its bytes alone ({said})"
    return ""


def is_named_for(kind: str, suffix: str) -> bool:
    """Whether files of this extension are those that are called so when nobody decodes them, or when none can."""
    return any(kind in (row.unread, row.unknown) and suffix in row.suffixes for row in FORMATS if row.unread)


def suffixes(*, raw: bool) -> frozenset[str]:
    """The extensions of camera RAW, or of all other pictures."""
    return frozenset(suffix for row in FORMATS if row.raw is raw for suffix in row.suffixes)


def layered_suffixes() -> frozenset[str]:
    """The extensions of editors' documents."""
    return frozenset(suffix for row in FORMATS if row.layered for suffix in row.suffixes)


def of_suffix(suffix: str) -> Format | None:
    """The format that this file extension belongs to; None when there is none."""
    return next((row for row in FORMATS if suffix in row.suffixes), None)


def named(name: str) -> Format | None:
    """The row of this name, or of an extension written like one ('HEIC', 'DNG')."""
    found = next((row for row in FORMATS if row.name == name), None)
    return found or of_suffix(name.lower())


def rank_of(name: str) -> int:
    """The rank of a format: of two files that hold the same, the one with the lower rank is the keeper."""
    found = named(name) or named(name.upper())
    return _LAST if found is None else found.rank
