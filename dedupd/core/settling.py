"""Names of files that are no photos yet: hidden, half written, or still in the cloud.

Must never look at a file: its name alone decides. Whether a file is still being written is checked at the move
(adapters/fs/move_checks.py).
"""

from __future__ import annotations

_HALF_WRITTEN = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".opdownload",
    ".filepart",
    ".aria2",
    ".tmp",
    ".temp",
    "~",
)


_PLACEHOLDERS = (".icloud", ".nextcloud", ".owncloud", ".cloud")
"""Placeholder files of iCloud, Nextcloud, ownCloud and odrive; opening one may download the file."""


def passed_over(name: str) -> str:
    """Why a file or folder of this name is not looked at, as one clause; '' when it may be a photo."""
    lower = name.lower()
    if lower.endswith(_PLACEHOLDERS):
        return "still in the cloud"
    if lower.startswith("."):
        return "hidden"
    if lower.startswith("~") or lower.endswith(_HALF_WRITTEN):
        return "temporary"
    return ""
