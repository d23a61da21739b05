"""Which libraries of extras are installed, asked of their metadata.

Must import none of them, and stay light: the daemon asks before each pass, and starts no worker for it.
"""

from __future__ import annotations

from functools import cache
from importlib import invalidate_caches
from importlib.util import find_spec

from dedupd.core.formats import FORMATS


def installed_extras() -> str:
    """The installed libraries of extras, with their versions, now: when this text changes, more files may be
    decoded."""
    invalidate_caches()  # or a folder that changed within the same second looks as before
    found = {row.library: _version(row.library) for row in FORMATS if row.library}
    return " ".join(f"{library}/{at}" for library, at in sorted(found.items()) if at)


@cache
def installed(library: str) -> bool:
    """Whether the library is installed; what comes later is another process's."""
    return bool(_version(library))


def _version(library: str) -> str:
    """'' when it is not installed."""
    if find_spec(library) is None:
        return ""
    # Its import is a twentieth of a scan that finds nothing new.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(library)
    except PackageNotFoundError:
        return ""
