"""Settings and places: what may be set, how config.toml says it, where dedupd keeps its own things."""

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
