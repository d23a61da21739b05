"""Ports: what the pipeline needs from outside, one Protocol per facility, each with an in-memory fake in tests/.

Must never import a library. Every port says what it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dedupd.core.abilities import Abilities
from dedupd.core.adoption import Adoption
from dedupd.core.descriptions import Description
from dedupd.core.foreign import Foreign, Scope
from dedupd.core.photo import Candidate, FileStat, Measures, Traits, Unreadable
from dedupd.core.relations import Prospect


class Clock(Protocol):
    """Time. A port, so that tests can set it."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch. For records only: it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards. For every duration and every wait."""
        ...

    def since_boot(self) -> float:
        """Seconds since the machine started, time in sleep included."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRequest:
    """One file the worker shall look at."""

    key: int
    """The ledger's file id; comes back with the answer."""
    path: str
    """Absolute path, surrogateescape."""
    stat: FileStat
    """As the ledger saw it; a file that differs when opened comes back as Unreadable(retry=True)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """The worker's answer to one FileRequest."""

    key: int
    result: Traits | Unreadable
    decoded: bool = True
    """False when the content was already in the index, so nothing was decoded or embedded again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRequest:
    """One candidate pair to align, with a living path for each content."""

    a: str
    b: str
    path_a: str
    path_b: str
    may: Prospect = field(default_factory=Prospect)
    """What may come of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the alignment of a pair measured; measures is None when a file could not be read."""

    a: str
    b: str
    measures: Measures | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionStatus:
    """What sees, for status and for the ledger's record of the choice."""

    model: str
    """Embedder id ('lite0-gem/1', 'open_clip:ViT-B-32/laion2b_s34b_b79k', …); '' = hashes alone."""
    recipe: str
    calibrated: bool
    """False: no shipped or own thresholds for this embedder; its cosine only proposes."""
    note: str = ""
    """For people: why hashes alone, which engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One part of an answer to `Vision.propose`, of a size that fits into the daemon."""

    fresh: list[str]
    """The contents whose candidates these are; none where a long search only came further, so that others have their turn."""
    pairs: list[Candidate]
    cut: list[str]
    """Contents of which only the most alike pairs are here: `Vision.candidates` tells all of them."""


EVERY_PIXEL = 65_500
"""The side of a picture that is not made smaller: no JPEG has more. Of more than 110 Mpixel every second one is shown."""


class Vision(Protocol):
    """The vision worker: a process that decodes, embeds, owns the index and proposes. It may crash without
    harm to the caller.

    Every method that says nothing else starts the worker when it is not running, and raises VisionError (one sentence) when it
    cannot be made to work. A file that crashes or hangs it is found, retried once and answered as Unreadable.
    """

    @property
    def sees_here(self) -> str:
        """Why photos were last embedded here although services elsewhere were named, one sentence; '' when that is not so."""
        ...

    def extras(self) -> str:
        """Which libraries of extras are installed now, with their versions: when it changes, more photos may be decoded.

        Told without a worker, so that a pass which finds nothing new starts none. One that was started with others is let
        go: it looked for them then.
        """
        ...

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        """Decode, hash and embed each file; the index holds the rows durably before an answer is given."""
        ...

    def propose(
        self,
        fresh: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
        sizes: Sequence[int] = (),
    ) -> Iterator[Proposal]:
        """Pairs of each `fresh` content with every content of `among` (None: the whole index).

        `sizes`: of how many contents each month has that stands in `among`, one after another; a pair is of one of them then.
        Small months are so searched at once. No content is in two of them, and each fresh one is in one.


        Within `among`: perceptual hash within the candidate radius in any of 8 orientations, or
        cosine at least the model's candidate bar (`bar`, when it has its own; `min_cosine`, if lower). No top-k. Unknown contents are ignored.
        Left out is what can be no copy by its small picture and no burst by its clock; from the cosine `spared` on the
        nearest of these are told as `unlike`.
        In parts; other requests may be made between them.
        """
        ...

    def candidates(
        self,
        contents: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
    ) -> Iterator[list[Candidate]]:
        """The same, but all pairs, however many, in parts; for a few contents. Hours may lie between two of them."""
        ...

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        """Align each pair and measure what is left between them."""
        ...

    def copies(self, requests: Sequence[FileRequest]) -> Iterator[list[float]]:
        """Cosines of generated copies of each file with it; empty for one that cannot be read. Hashes alone: nothing."""
        ...

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """The cosine of each pair of contents, in order; None where the index lacks one, or has no vectors."""
        ...

    def missing(self, contents: Sequence[str]) -> list[str]:
        """Those of `contents` that the index does not hold under the current recipe and model."""
        ...

    def status(self) -> VisionStatus:
        """Which embedder and recipe are in force. Starts the worker only where the embedder's name does not tell."""
        ...

    def thumbnails(self, requests: Sequence[tuple[str, str]], side: int = 512) -> dict[str, Path]:
        """(path, content) -> content: its picture of at most `side` px in the cache, for each that could be read.

        256 px: WebP; 512, 1280, 2560 and EVERY_PIXEL: JPEG.
        """
        ...

    def load(self) -> None:
        """Load the embedder now, to know whether it can be had. Raises VisionError when it cannot."""
        ...

    def tidy(self, keep: Sequence[str]) -> None:
        """Remove what the index holds for other models than this one and `keep`, or for an older recipe."""
        ...

    def forget(self, gone: Callable[[Sequence[str]], Sequence[str]]) -> int:
        """Remove the rows of contents that are no photo's any more; `gone` picks them out of some. Returns how many."""
        ...

    def describe(self, requests: Sequence[FileRequest]) -> dict[int, Description]:
        """Key -> what the photo (EXIF, IPTC, XMP) or XMP sidecar says of itself; empty for what cannot be read."""
        ...

    def adopt(self, place: str, on_progress: Callable[[int, int], None] = ...) -> Adoption:
        """Take the rows that `dedupd backfill` left at this address into the index, where they are not held yet.

        On disk when it returns; repeated, it takes what is left. `on_progress(done, total)` counts rows. Raises DedupdError:
        no such place, or rows of another model or recipe alone.
        """
        ...

    def trust(self, devices: Iterable[int]) -> None:
        """Files on these devices, and no others, are here though they have no blocks."""
        ...

    def rest(self) -> None:
        """Let the worker leave now; the next call starts another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One directory entry of a walk."""

    path: str
    """Relative to the root, '/' between parts, surrogateescape."""
    stat: FileStat


Progress = Callable[[str, int, int], None]
"""progress(phase, done, total); total 0 = unknown. Called often: the receiver throttles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootIdentity:
    """What distinguishes a root from an empty mount point or another disk."""

    uuid: str
    """From `.dedupd-root.json`; '' when there is none."""
    dev: int


class Reading(Protocol):
    """A file that is read to its end in parts; it is closed in between, so that its disk can be unmounted."""

    stat: FileStat | None
    """lstat of the file when the reading began."""

    def go_on(self, limit: int) -> int:
        """Read on, at most `limit` bytes. Returns how many; 0 at the end. Raises OSError, also when the file changed."""
        ...

    @property
    def content(self) -> str:
        """BLAKE3 of what was read, 64 hex digits."""
        ...


class Disk(Protocol):
    """Reads the roots; never changes a photo. Paths are relative to the root, with '/' between parts."""

    def identity(self, root: str) -> RootIdentity:
        """Raises RootError (one sentence) when the root is missing, no folder, or not readable."""
        ...

    def mark(self, root: str, known: str = "") -> str:
        """Write `.dedupd-root.json` with a new UUID (or the `known` one) and return it; one that is there is never replaced.

        Returns '' when the root cannot be written.
        """
        ...

    def walk(
        self,
        root: str,
        under: str,
        scope: Scope,
        on_problem: Callable[[str, str], None],
        on_foreign: Callable[[str, Foreign], None] = ...,
    ) -> Iterator[tuple[str, list[FoundFile]]]:
        """Each folder in and below `under` with the regular files in it; no symlink followed, no other device entered.

        A folder is listed only when the iterator comes to it, so that what it yields is fresh.
        Skips duplicates/, duplicates_summary/, dot-files, half-written names and what `scope` leaves out.
        Calls on_problem(folder, sentence) for a folder that cannot be read, and on_foreign(folder, kind) for one that is no
        library: a bin, another program's folder (core/foreign.py).
        """
        ...

    def list_folder(
        self,
        root: str,
        folder: str,
        scope: Scope,
        on_problem: Callable[[str, str], None],
        on_foreign: Callable[[str, Foreign], None] = ...,
    ) -> Iterator[FoundFile]:
        """The files of one folder, not below it. Nothing for a folder that is gone, or whose name is spelled otherwise."""
        ...

    def names(
        self, root: str, folder: str, scope: Scope, on_problem: Callable[[str, str], None]
    ) -> list[str]:
        """The paths of the same files, at a tenth of the time: without asking about each."""
        ...

    def foreign(self, root: str, folder: str, scope: Scope) -> Foreign | None:
        """The kind of folder that closes this one (itself or one above it) to the library; None when it is open."""
        ...

    def stat(self, root: str, path: str) -> FileStat | None:
        """lstat of a regular file; None when there is none or it cannot be looked at."""
        ...

    def gone(self, root: str, path: str) -> bool:
        """True when there is certainly no regular file at `path`; False when it only cannot be read or is hidden by a mount (P9)."""
        ...

    def held(self, root: str) -> Iterator[list[FoundFile]]:
        """Folder by folder, every file below a duplicates/ folder of the root."""
        ...

    def shared(self, root: str) -> bool:
        """True when other users can write in this root."""
        ...

    def abilities(self, root: str) -> Abilities:
        """What the file system can do. Tried out in the root the first time, so never call it in a dry run. RootError."""
        ...

    def local(self, root: str, path: str) -> bool:
        """False for a file whose bytes are in the cloud only: opening it would download it."""
        ...

    def content(self, root: str, path: str) -> str:
        """BLAKE3 of the file's bytes, 64 hex digits. Raises OSError."""
        ...

    def reading(self, root: str, path: str) -> Reading:
        """Reads the file in parts, from the disk itself and not from the system's cache."""
        ...
