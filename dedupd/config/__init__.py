"""Settings and places: what can be set, how config.toml is read, where dedupd keeps its own files."""

from __future__ import annotations

from dedupd.config.file import example_config, load
from dedupd.config.places import Places, places
from dedupd.config.settings import (
    PROXIES,
    Embedding,
    KeepPolicy,
    Pacing,
    Schedule,
    Settings,
    TierAction,
    Tiers,
    Web,
    authority,
)

__all__ = [
    "PROXIES",
    "Embedding",
    "KeepPolicy",
    "Pacing",
    "Places",
    "Schedule",
    "Settings",
    "TierAction",
    "Tiers",
    "Web",
    "authority",
    "example_config",
    "load",
    "places",
]
