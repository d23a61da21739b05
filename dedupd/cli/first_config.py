"""Writes the first config.toml, for `dedupd init` and `dedupd service install`. Must never replace one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dedupd.cli.console import tell
from dedupd.config import example_config
from dedupd.errors import StateError, UsageError


def write_config(file: Path, roots: Sequence[Path]) -> None:
    """Write a new, documented config.toml with these roots. Raises UsageError when there is one already."""
    text = example_config([Path(os.path.abspath(root.expanduser())) for root in roots])
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"there is a {file} already: put the folders into its `roots`, and name none here"
        ) from error
    except (OSError, UnicodeEncodeError) as error:
        raise StateError(f"{file} cannot be written: {error}") from error
    tell(f"Wrote {file}.")
