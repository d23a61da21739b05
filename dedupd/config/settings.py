"""Settings: what can be set, what it means, and its default.

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
    """What happens with each relation without a person. 'move'; 'review': only a person moves it; 'off': not
    even shown."""

    exact: TierAction = "move"
    copy: TierAction = "move"
    burst: TierAction = "move"
    similar: Literal["review", "off"] = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the daemon works. Seconds, unless the name says otherwise."""

    settle_seconds: float = 3.0
    """A file must have been unchanged for this long before it may move."""
    quiet_seconds: float = 5.0
    """A changed month is clustered this long after its last change."""
    interval_minutes: float = 60.0
    """Interval at which all changed months are clustered, even those that keep changing."""
    nightly: str = "03:00"
    """Local time of the nightly pass; '' for none."""
    reconcile_minutes: float = 30.0
    """Interval at which the disk is compared with the ledger, because events can be lost."""
    worker_idle_seconds: float = 20.0
    """The worker ends after this long without work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """When the daemon starts heavy work by itself. Requests of people, and the check of keepers, never wait."""

    hours: str = ""
    """Local time of heavy work, as '22:00-07:00'; '' for always."""
    battery: float = 30.0
    """Per cent: below this charge, on battery, heavy work waits. 0: never."""
    load: float = 0.0
    """Load per core above which heavy work waits. 0: never, because the work has low priority anyway."""
    moves_per_minute: int = 30
    """Files that move without a person in a sync client's folder; 0: no limit."""
    disk_ms: float = 0.0
    """Milliseconds: heavy work waits while a disk takes longer to answer. 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What `dedupd web` listens on, and how much it accepts in uploads."""

    listen: str = "127.0.0.1:8765"
    upload_files: int = 500
    """Pictures in one uploaded set."""
    upload_mb: int = 2048
    """MB (10^6 bytes) in one set."""
    sets_mb: int = 8192
    """MB of all sets together."""
    sets_minutes: float = 60.0
    """Minutes after which a set is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Where photos are embedded. All modes but 'local' open connections to the addresses in `url`, and to no
    others."""

    mode: EmbeddingMode = "local"
    """'remote': by the services only; 'auto': by the services, and on this machine while none answers."""
    url: tuple[str, ...] = ()
    """Addresses of services, tried in this order."""
    token_file: str = ""
    ca_file: str = ""
    """File of certificates (PEM) that are trusted for https; '': those of the system."""
    protocol: EmbeddingProtocol = "dedupd"

    @property
    def told(self) -> str:
        """Where photos are embedded, in words; '' for this machine."""
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
    """'auto', 'hashes', or the name of an embedder in the registry; the library checks the name."""
    batch_size: int = 8
    jobs: int = 0
    """Cores that read photos; 0: as many as suit the machine."""
    gpus: str = "all"
    """How many graphics cards the embedder may use: 'all', or a number as text; '0': none."""
    gpu_memory_fraction: float = 0.9
    """Of each card's memory."""
    gpu_decode: bool = False
    """Cards decode JPEGs too."""
    ignore: tuple[str, ...] = ()
    """Glob patterns relative to a root; matching files and folders are not looked at."""
    ignore_defaults: bool = True
    """Whether folders of other programs, bins and snapshots (core/foreign.py) are skipped too."""
    protected: tuple[Path, ...] = ()
    """Folders from which nothing moves and whose photos are preferred as keepers."""
    allow_shared_roots: bool = False
    """Also move in roots that other users can write to."""
    metadata: Metadata = "sidecar"
    """Where to write what the moved copies know and their keeper does not: in an XMP sidecar beside it, or
    nowhere."""
    source: Path | None = None
    """The file it came from, for messages."""

    def protects(self, path: str) -> bool:
        """True when the file at this absolute path lies in a protected folder."""
        return any(path.startswith(os.path.join(folder, "")) for folder in self.protected)

    def unlike(self, before: Settings) -> list[str]:
        """What differs from `before`, as sentences like 'tiers.burst: move → review'."""
        then, now = dict(_flat(before)), dict(_flat(self))
        return [f"{key}: {then[key]} → {value}" for key, value in now.items() if value != then[key]]

    @property
    def decisive(self) -> str:
        """A text of all settings that decide what is a duplicate, what moves and what stays; equal when they
        decide alike."""
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
