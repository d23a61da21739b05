"""Settings: what may be set, what it means, and its default.

Owns every option's name and meaning; must never read a file.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

TierAction = Literal["move", "review", "off"]
Metadata = Literal["sidecar", "off"]
EmbeddingMode = Literal["local", "remote", "auto"]
EmbeddingProtocol = Literal["dedupd", "kserve-http", "kserve-grpc"]
KeepPolicy = Literal["best", "oldest", "newest", "largest", "smallest", "lexi"]

PROXIES = "DEDUPD_PROXIES"
"""Variable that names a folder of sockets, one for each address of embedding.url: the only way out of a service without a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """What happens unattended with each relation. 'review': only a person moves it; 'off': not even shown."""

    exact: TierAction = "move"
    copy: TierAction = "move"
    burst: TierAction = "move"
    similar: Literal["review", "off"] = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the daemon looks and acts. Seconds unless the name says otherwise."""

    settle_seconds: float = 3.0
    """A file must have been unchanged this long before it may move."""
    quiet_seconds: float = 5.0
    """A changed month is clustered this long after its last change."""
    interval_minutes: float = 60.0
    """Every so often all changed months are clustered, whatever was missed."""
    nightly: str = "03:00"
    """Local time of the nightly pass; '' for none."""
    reconcile_minutes: float = 30.0
    """How often the disk is compared with the ledger: the truth behind the events."""
    worker_idle_seconds: float = 20.0
    """The worker leaves after this long without work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """When the daemon works of its own accord. What is asked of it, and what looks after keepers, never waits."""

    hours: str = ""
    """Local time in which it does heavy work, as '22:00-07:00'; '' for always."""
    battery: float = 30.0
    """Per cent: on battery below it, it waits. 0: never."""
    load: float = 0.0
    """Load a core above which it waits; 0: never, for its work is of low priority anyway."""
    moves_per_minute: int = 30
    """Files that move by themselves in a sync client's folder; 0: as fast as they can."""
    disk_ms: float = 0.0
    """It waits while a disk takes longer to answer; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What `dedupd web` listens on, and how much it takes in that is none of the library's."""

    listen: str = "127.0.0.1:8765"
    upload_files: int = 500
    """Pictures in one set."""
    upload_mb: int = 2048
    """MB (of 10^6 bytes) of one set."""
    sets_mb: int = 8192
    """MB of all sets together."""
    sets_minutes: float = 60.0
    """A set is forgotten after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Where photos are embedded. All but 'local' opens connections to the addresses in `url`, and to nothing else."""

    mode: EmbeddingMode = "local"
    """'remote': by the services alone; 'auto': by them, and here while none answers."""
    url: tuple[str, ...] = ()
    """Services, asked in turn."""
    token_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that are trusted for https; '': those of the system."""
    protocol: EmbeddingProtocol = "dedupd"

    @property
    def told(self) -> str:
        """For people: where it sees; '' for here."""
        return "" if self.mode == "local" else f"{self.mode}, {', '.join(self.url)}"


def authority(url: str) -> str:
    """HOST:PORT of a service's address, as systemd's proxy is told it: an IPv6 address stands without brackets."""
    at = urlsplit(url)
    return f"{at.hostname or ''}:{at.port or (443 if at.scheme == 'https' else 80)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One library's settings, merged: defaults < config.toml < command line."""

    roots: tuple[Path, ...] = ()
    tiers: Tiers = field(default_factory=Tiers)
    schedule: Schedule = field(default_factory=Schedule)
    speed: Pacing = field(default_factory=Pacing)
    web: Web = field(default_factory=Web)
    embedding: Embedding = field(default_factory=Embedding)
    keep_policy: KeepPolicy = "best"
    threshold: float | None = None
    """Cosine above which pairs go to review; None: the embedder's own. Never widens what moves."""
    embedder: str = "auto"
    """'auto', 'hashes', or what an embedder of the registry answers to: only the library knows those."""
    batch_size: int = 8
    jobs: int = 0
    """Threads that read photos; 0: as many as suit the machine."""
    gpus: str = "all"
    """How many graphics cards the embedder may use: 'all', or a number as text; '0': none."""
    gpu_memory_fraction: float = 1.0
    """Of each card's memory."""
    ignore: tuple[str, ...] = ()
    """Glob patterns relative to a root; matching files and folders are not looked at."""
    ignore_defaults: bool = True
    """Whether folders of other programs, bins and snapshots (core/foreign.py) are left alone too."""
    protected: tuple[Path, ...] = ()
    """Folders never moved from and preferred as keeper."""
    allow_shared_roots: bool = False
    """Move in roots that other users can write to."""
    metadata: Metadata = "sidecar"
    """Where what moved copies know and their keeper does not is written: an XMP sidecar beside it, or nowhere."""
    source: Path | None = None
    """The file it came from, for messages."""

    def protects(self, path: str) -> bool:
        """True when the file at this absolute path lies in a protected folder."""
        return any(path.startswith(os.path.join(folder, "")) for folder in self.protected)

    def unlike(self, before: Settings) -> list[str]:
        """What differs from `before`, as 'tiers.burst: move → review'."""
        then, now = dict(_flat(before)), dict(_flat(self))
        return [f"{key}: {then[key]} → {value}" for key, value in now.items() if value != then[key]]

    @property
    def decisive(self) -> str:
        """Equal for settings that decide alike what is a duplicate, what moves and what stays."""
        by_hand = (self.keep_policy, self.threshold, self.embedder, self.allow_shared_roots, self.metadata)
        places = (self.ignore, self.ignore_defaults, [str(folder) for folder in self.protected])
        return repr((*by_hand, self.tiers, *places))


def _flat(settings: Settings) -> Iterator[tuple[str, str]]:
    for key, value in asdict(settings).items():
        if isinstance(value, dict):
            yield from (
                (f"{key}.{name}", str(inner)) for name, inner in cast("dict[str, object]", value).items()
            )
        elif key != "source":
            yield (
                key,
                ", ".join(map(str, cast("tuple[object, ...]", value)))
                if isinstance(value, tuple)
                else str(value),
            )
