"""The values of a photo at each step: found, read, compared.

Owns their shapes; must never touch a file, a clock or a library.
Paths are relative to their root, with '/' and with undecodable bytes as lone surrogates
(os.fsdecode); absolute paths are built only in adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Content = str
"""A content id: BLAKE3 of the file's bytes, 64 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStat:
    """What lstat says of one regular file."""

    size: int
    mtime_ns: int
    ctime_ns: int
    dev: int
    ino: int
    nlink: int = 1


class FileState(StrEnum):
    """The state of a file in the ledger."""

    SEEN = "seen"
    """Found on disk; not read yet."""
    INDEXED = "indexed"
    """Decoded, fingerprinted and stored."""
    UNDECODED = "undecoded"
    """Media that is not decoded (RAW, JPEG XL, video), read to its end: compared by its bytes alone."""
    SKIPPED = "skipped"
    """Left alone; the reason says why."""
    COMPANION = "companion"
    """A sidecar or paired file: it goes where its photo goes, and is never compared by itself."""
    HELD = "held"
    """Lies in duplicates/, moved there by dedupd."""


BYTES_ALONE = "bytes"
"""The recipe of a content that was read and not decoded: it has no row in the index, and only equal bytes match it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What was measured of one content, except its vector."""

    content: str
    """BLAKE3 of the bytes, 64 hex digits."""
    recipe: str
    """Version of decoding and hashing; with another recipe it is measured again. BYTES_ALONE: it was not decoded."""
    model: str
    """Id of the embedder that made the vector; '' when hashes alone were computed."""
    format: str
    """Recognised by content, not by name: the name of a row of core/formats.py, else the kind from core/media.py."""
    width: int
    """Pixels, after EXIF orientation."""
    height: int
    phash: int
    """imagehash.phash, 64 bits, of the upright picture."""
    dhash: int
    """imagehash.dhash, 64 bits, of the upright picture."""
    captured: float | None = None
    """EXIF DateTimeOriginal (+SubSec) as seconds since 1970-01-01 of the camera's own clock (no zone)."""
    camera: str = ""
    """'make|model|serial' from EXIF; '' when unknown."""
    exposure: float | None = None
    """Exposure from EXIF, in stops: log2(seconds * ISO / 100 / F-number²); None when unknown."""
    software: str = ""
    """EXIF Software: names the editor of an edited file."""
    metadata_fields: int = 0
    """How many EXIF fields the file carries: richer metadata makes a better keeper."""
    has_gps: bool = False
    jpeg_quality: float | None = None
    """Estimated from the quantisation tables, 1-100; None when not a JPEG."""
    subsampling: str = ""
    """Chroma subsampling of a JPEG: '4:4:4', '4:2:2', '4:2:0' or ''."""
    sharpness: float = 0.0
    """Variance of the Laplacian of the small decode, grey units squared."""
    texture: float = 0.0
    """Standard deviation of the 1.2-5 px band of the small decode, grey units; below 1 nothing can be proven."""
    text_like: bool = False
    """Looks like text, a screenshot or a document: compared at higher resolution before anything unattended."""
    simhash: str = ""
    """SimHash of the vector (signs of 128 random projections; Charikar 2002), hex; '' without a vector. Comparable only
    within one model."""

    @property
    def decoded(self) -> bool:
        """Whether its picture was decoded."""
        return self.recipe != BYTES_ALONE


IN_THE_CLOUD = "cloud placeholder"
"""The reason why a file is not opened whose bytes are in the cloud only."""
RAW_UNDECODED = "raw photo, not decoded yet"
NO_PICTURE = "not a picture dedupd reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that could not be decoded; it stays where it is."""

    reason: str
    """One clause for people: 'truncated', RAW_UNDECODED, NO_PICTURE, …"""
    content: str = ""
    """BLAKE3 when the bytes could at least be read, else ''."""
    retry: bool = False
    """True when the file vanished or changed while being read: look again later."""


class Relation(StrEnum):
    """What two photos are to each other, strongest first."""

    EXACT = "exact"
    COPY = "copy"
    BURST = "burst"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pair proposed by hashes or vectors; nothing is proven yet. a < b."""

    a: str
    b: str
    cosine: float | None
    """Cosine similarity of the vectors; None without vectors of one model."""
    hash_distance: int
    """Hamming distance of the perceptual hashes, best of 8 orientations, bits of 64."""
    unlike: bool = False
    """Their small pictures show that neither is in the other: to align them would find nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one file of a pair holds (P16): from its container, and from aligning it with the other file."""

    depth: int = 8
    """Bits per channel."""
    palette: int = 0
    """Colours of its palette; 0 without one."""
    transparent: bool = False
    """Some of it can be seen through."""
    lossless: bool = False
    """Its coding is lossless."""
    was_jpeg: bool = False
    """It shows JPEG blocks: a lossless file made from a picture that had been a JPEG."""
    further: tuple[str, ...] = ()
    """What the file holds besides its first picture, sorted: '12 frames', '3 pages', 'stereo half', 'gain map', 'depth map' …"""
    further_ids: tuple[str, ...] = ()
    """BLAKE3 of those that are files of their own, sorted."""
    bits: float = 0.0
    """Bits of the file per pixel of its first picture; 0: not known."""
    clip: str = ""
    """BLAKE3 of the film inside the file; '' without one."""
    clip_seconds: float = 0.0
    beyond_srgb: float = 0.0
    """Share of its pixels whose colour (by its ICC profile) is outside sRGB."""
    says: tuple[str, ...] = ()
    """Kinds of metadata it has, sorted: 'caption', 'date', 'keywords', 'place', 'rating'."""
    enlarged: float = 0.0
    """Probability that it is an enlargement, so that its extra pixels show nothing; 0 when it has no extra pixels."""
    blurred: bool = False
    """At the same size it lacks the fine detail that the other one shows."""
    colour: float = 0.0
    """Root mean square of the chroma that its own brightness does not explain, grey units at standard deviation 50."""
    tint: float = 0.0
    """Root mean square of all its chroma, same unit: a sepia print has a tint and no colour."""
    framed: float = 0.0
    """Share of it that is a plain or blurred frame around what the other one shows too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What aligning picture a onto picture b measured (research/models.md 4). Lengths in px of a 400-px side."""

    method: str = "none"
    """'identity' (one of 8 orientations), 'orb' (ORB + RANSAC similarity), 'none' (could not be aligned)."""
    orientation: int = 0
    """0-7: quarter turns of a, +4 when mirrored."""
    inliers: int = 0
    overlap_a: float = 0.0
    """Share of a's area that b shows too."""
    overlap_b: float = 0.0
    ncc: float = 0.0
    """Normalised cross-correlation of the low-passed overlap."""
    mean: float = 99.0
    """Mean residual after the tone map, grey units normalised to std 50."""
    worst: float = 99.0
    """Residual of the worst local block (0.999 quantile), same unit."""
    band_ncc: float = 0.0
    """Correlation of the 1.2-5 px band: fine structure agrees."""
    band_std: float = 0.0
    """Amplitude of that band, grey units: below 1 the pair has no texture to prove anything by."""
    fine_worst: float | None = None
    """100 * (1 - lowest local correlation) at higher resolution; None unless all else speaks for a copy."""
    hues: float = 1.0
    """Correlation of the two pictures' chroma beyond their brightness, -1 to 1; 1 when one of them has none."""
    holds_a: Holding | None = None
    holds_b: Holding | None = None
    """None: measured before this was known, or not at all."""
    extra: dict[str, float] | None = None
    """Further measures by name, for rules that need them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a relation is based on; stored with it, so that a decision can be made again."""

    cosine: float | None = None
    hash_distance: int | None = None
    measures: Measures | None = None
    seconds_apart: float | None = None
    same_camera: bool = False
    confidence: float = 0.0
    """Probability, 0-1, that a careful person would call the two duplicates."""
    model: str = ""
    only_here: tuple[str, ...] = ()
    """For a member of a group: what it holds and its keeper lacks, one clause each."""
    only_in_keeper: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A typed relation between two contents (a <= b; equal for the same bytes)."""

    a: str
    b: str
    relation: Relation
    unattended: bool
    """True: the proof is good enough for a move without a person (the tiers of the settings may still forbid it)."""
    evidence: Evidence
    why: str = ""
    """One clause: what the relation is based on, or what kept it below a bar."""
    graded: bool = False
    """True: only measures of degree keep it below the bar, and reviewed outcomes may lower that bar."""

    def other(self, content: str) -> str:
        """The content at the other end."""
        return self.b if content == self.a else self.a
