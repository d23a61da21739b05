"""Changes single keys of config.toml at a person's request; comments, order and everything else stay as they
are.

Must never write what `load` would refuse, nor anything but that one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dedupd.config.file import check, text_of
from dedupd.drafts import write_whole
from dedupd.errors import ConfigError


def change(path: Path, changes: Mapping[str, str | float]) -> None:
    """Set values by key: 'keep_policy' or 'tiers.burst' -> value. Creates the file when there is none. Raises
    ConfigError."""
    # Imported here: 20 ms that only a change needs.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    check(changes, path)
    path = path.expanduser().resolve()  # a link into somebody's dotfiles stays one
    try:
        document = tomlkit.parse(text_of(path) if path.exists() else "")
        for name, value in changes.items():
            table, _, key = name.rpartition(".")
            place = document.setdefault(table, tomlkit.table()) if table else document
            place[key] = value
        _replace(path, tomlkit.dumps(document))
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed ({error.strerror or error})") from None
    except (TOMLKitError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path} cannot be changed, it is no TOML that dedupd can read: {error}") from None


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_whole(path, text.encode("utf-8"), mode)
