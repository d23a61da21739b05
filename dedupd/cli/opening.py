"""From command-line arguments to settings and places; shared by all commands."""

from __future__ import annotations

import argparse
from typing import Any

from dedupd.config import Places, Settings, load, places

_OVERRIDES = ("threshold", "keep_policy", "embedder", "batch_size")


def opened(arguments: argparse.Namespace) -> tuple[Settings, Places]:
    """Settings (config.toml, then the command line) and places. Raises ConfigError, UsageError."""
    where = places(arguments.state_dir, arguments.config)
    changes: dict[str, Any] = {
        name: value for name in _OVERRIDES if (value := getattr(arguments, name, None)) is not None
    }
    roots = getattr(arguments, "roots", None) or ()
    return load(arguments.config, where, roots=roots, offline_ok=True, **changes), where


def overridden(arguments: argparse.Namespace) -> list[str]:
    """Options that differ from the configuration: a running daemon cannot honour them."""
    return [f"--{name.replace('_', '-')}" for name in _OVERRIDES if getattr(arguments, name, None) is not None]
