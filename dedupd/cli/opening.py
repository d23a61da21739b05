"""From command-line arguments to settings and places; shared by all commands."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dedupd.errors import NothingYet

if TYPE_CHECKING:
    from dedupd.config import Places, Settings

_OVERRIDES = ("threshold", "keep_policy", "embedder", "batch_size", "jobs", "gpus", "gpu_memory_fraction")


def opened(arguments: argparse.Namespace) -> tuple[Settings, Places]:
    """Settings (config.toml, then the command line) and places. Raises ConfigError, UsageError."""
    from dedupd.config import load, places

    where = places(arguments.state_dir, arguments.config)
    changes: dict[str, Any] = {
        name: value for name in _OVERRIDES if (value := getattr(arguments, name, None)) is not None
    }
    if (mode := getattr(arguments, "embedding_mode", None)) is not None:
        changes["embedding.mode"] = mode
    roots = getattr(arguments, "roots", None) or ()
    return load(arguments.config, where, roots=roots, offline_ok=True, **changes), where


def opened_for_acting(arguments: argparse.Namespace) -> tuple[Settings, Places]:
    """The same. Without configured folders, those recorded in the state: an undo must not need a config.toml."""
    from dataclasses import replace

    from dedupd.library import LibraryView

    settings, where = opened(arguments)
    if not settings.roots:
        with suppress(NothingYet), closing(LibraryView(settings, where)) as view:
            settings = replace(settings, roots=tuple(Path(root.path) for root in view.roots))
    return settings, where


def own_command(arguments: argparse.Namespace, *words: str) -> list[str]:
    """The words of a command line that runs dedupd with these arguments and the folders given to this
    command."""
    command = [sys.executable, "-m", "dedupd", *words]
    for option, given in (
        ("--config", arguments.config),
        ("--state-dir", arguments.state_dir),
    ):
        if given:
            command += [option, str(Path(given).expanduser().absolute())]
    return command
