"""The options of `scan` that narrow it: their names, and the different things a person may mean by a glob or
a folder.

Must never import more than argparse needs before it is called.
"""

from __future__ import annotations

import argparse
import glob as globs
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import tell
from dedupd.cli.options import parse_size
from dedupd.errors import UsageError

if TYPE_CHECKING:
    from dedupd.core.narrowing import Narrowing


def add_narrowing(group: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]  # no public name
    """Add --cross-folders-only and the like."""
    folders = group.add_mutually_exclusive_group()
    folders.add_argument(
        "--cross-folders-only", dest="folders", action="store_const", const="across", default="any",
        help="only pairs of photos that lie in two folders",
    )  # fmt: skip
    folders.add_argument(
        "--within-folder-only", dest="folders", action="store_const", const="within",
        help="only pairs of photos that lie in one folder",
    )  # fmt: skip
    group.add_argument(
        "--reference", action="append", type=Path, default=[], metavar="DIR",
        help="photos below it never move, and keep against others; a ROOT, or a folder in one (repeatable)",
    )  # fmt: skip
    group.add_argument(
        "--exclude", action="append", type=_glob, default=[], metavar="GLOB",
        help="files and folders that are not opened, kept or moved: '*.gif', Screenshots, 2024/06/* (repeatable)",
    )  # fmt: skip
    group.add_argument(
        "--min-size",
        type=parse_size,
        default=0,
        metavar="N",
        help="not files of fewer bytes: 200000, 200K, 1.5M",
    )


def _glob(text: str) -> str:
    if not text.strip("/"):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no file and no folder: give a glob, such as '*.gif'"
        )
    return os.path.expanduser(text).removeprefix("./").rstrip("/")


def narrowing_of(arguments: argparse.Namespace, roots: Sequence[Path]) -> Narrowing:
    """What this scan counts, from its options."""
    from dedupd.core.narrowing import Narrowing

    exclude = tuple(dict.fromkeys(form for text in arguments.exclude for form in _forms(text, roots)))
    return Narrowing(exclude=exclude, min_size=arguments.min_size, folders=arguments.folders)


def _forms(text: str, roots: Sequence[Path]) -> Iterator[str]:
    """The glob as it is; and, when a file or folder of this name exists in a root, that one: a shell may have
    completed it."""
    yield text
    there = Path(text).resolve() if os.path.lexists(text) else None
    if there is not None and any(root in there.parents for root in roots):
        yield globs.escape(str(there))


def references_of(arguments: argparse.Namespace, roots: Sequence[Path]) -> tuple[Path, ...]:
    """The real paths of the reference folders. Raises UsageError for one that is in no scanned folder."""
    found: list[Path] = []
    for given in arguments.reference:
        folder = given.expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(f"the reference {given} is no folder: check the spelling")
        if not any(root == folder or root in folder.parents for root in roots):
            raise UsageError(
                f"the reference {folder} lies in none of the folders to scan, and a photo moves only beside one that is kept "
                "in the same ROOT: scan the folder that holds both"
            )
        found.append(folder)
    for root in found if len(roots) > 1 else ():
        if root in roots:
            tell(
                f"note: {root} is a ROOT of its own, and a photo moves only beside one that is kept in the same ROOT: "
                "for copies of its photos elsewhere, scan the folder that holds both"
            )
    return tuple(found)
