"""The values of a photo at each step of its way: found, looked at, compared.

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
    """Where a file stands in the ledger."""

    SEEN = "seen"
    """Found on disk; its bytes have not been looked at yet."""
    INDEXED = "indexed"
    """Decoded, fingerprinted and stored."""
    UNDECODED = "undecoded"
    """Media that nobody decodes (RAW, JPEG XL, video), read to its end: matched by its bytes alone."""
    SKIPPED = "skipped"
    """Left alone; the reason says why."""
    COMPANION = "companion"
    """A sidecar or paired file: shares the fate of its photo, never compared by itself."""
    HELD = "held"
    """Lies in duplicates/, moved there by dedupd."""


BYTES_ALONE = "bytes"
"""The recipe of a content that was read and not decoded: no index holds it, and nothing is like it but its own bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What was measured of one distinct content; everything but its vector."""

    content: str
    """BLAKE3 of the bytes, 64 hex digits."""
    recipe: str
    """Version of decode and hash; another recipe means: measure again. BYTES_ALONE: it was not decoded."""
    model: str
    """Id of the embedder that made the vector; '' when hashes alone were computed."""
    format: str
    """By content, not by name: the name of a row of core.formats; else what core.media calls it."""
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
    """What the camera let in, from EXIF, in stops: log2(seconds * ISO / 100 / F-number²); None when unknown."""
    software: str = ""
    """EXIF Software: editors give themselves away here."""
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
    """Signs of 128 random projections of the vector (SimHash, Charikar 2002), hex; '' without a vector. Of one model."""

    @property
    def decoded(self) -> bool:
        """Whether its picture was seen."""
        return self.recipe != BYTES_ALONE


IN_THE_CLOUD = "cloud placeholder"
"""Why a file whose bytes are elsewhere is not opened."""
RAW_UNDECODED = "raw photo, not decoded yet"
NO_PICTURE = "not a picture dedupd reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file the worker could not turn into a picture; it stays where it is."""

    reason: str
    """One clause for people: 'truncated', RAW_UNDECODED, NO_PICTURE, …"""
    content: str = ""
    """BLAKE3 when the bytes could at least be read, else ''."""
    retry: bool = False
    """True when the file vanished or changed while being read: look again later."""


class Relation(StrEnum):
    """How two photos belong together, strongest first."""

    EXACT = "exact"
    COPY = "copy"
    BURST = "burst"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pair that hashes or vectors propose; nothing is proven yet. a < b."""

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
    """What one file of a pair holds: what its container says, and what laying it over the other one shows (P16)."""

    depth: int = 8
    """Bits a channel."""
    palette: int = 0
    """Colours of its palette; 0 without one."""
    transparent: bool = False
    """Some of it can be seen through."""
    lossless: bool = False
    """Kept bit for bit since it was saved."""
    was_jpeg: bool = False
    """The blocks of a JPEG show in it: saved without loss, of a picture that had lost already."""
    further: tuple[str, ...] = ()
    """What is behind its first picture, sorted: '12 frames', '3 pages', 'stereo half', 'gain map', 'depth map' …"""
    further_ids: tuple[str, ...] = ()
    """BLAKE3 of those that are files of their own, sorted."""
    bits: float = 0.0
    """Bits of the file a pixel of its first picture; 0: not known."""
    clip: str = ""
    """BLAKE3 of the film inside the file; '' without one."""
    clip_seconds: float = 0.0
    beyond_srgb: float = 0.0
    """Share of it in colours of its own ICC profile that sRGB cannot show."""
    says: tuple[str, ...] = ()
    """What it says of itself, sorted: 'caption', 'date', 'keywords', 'place', 'rating'."""
    enlarged: float = 0.0
    """Probability that its pixels beyond those of the other one were made up; 0 when it has no more of them."""
    blurred: bool = False
    """At the same size, it has lost the fine detail that the other one shows."""
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
    """Everything a typed relation rests on; stored with the edge, so decisions can be replayed."""

    cosine: float | None = None
    hash_distance: int | None = None
    measures: Measures | None = None
    seconds_apart: float | None = None
    same_camera: bool = False
    confidence: float = 0.0
    """Probability, 0-1, that a careful person would call the two duplicates."""
    model: str = ""
    only_here: tuple[str, ...] = ()
    """Of a group's member: what it holds and its keeper lacks, one clause each."""
    only_in_keeper: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A typed relation between two contents (a <= b; equal for the same bytes)."""

    a: str
    b: str
    relation: Relation
    unattended: bool
    """True: the proof clears the bar for a move without a person (tiers may still say otherwise)."""
    evidence: Evidence
    why: str = ""
    """One clause: what it rests on, or what kept it below the bar."""
    graded: bool = False
    """True: only measures of degree keep it below the bar, which reviewed outcomes may settle."""

    def other(self, content: str) -> str:
        """The content at the other end."""
        return self.b if content == self.a else self.a
