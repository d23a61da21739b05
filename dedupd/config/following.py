"""Watches config.toml while a daemon runs: reports a change once the file has stayed the same since.

Must never read a file that is being written: an editor's empty draft would be taken for the defaults.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dedupd.config.settings import Settings
from dedupd.errors import ConfigError

LEFT_ALONE_SECONDS = 0.5
Stamp = tuple[int, ...]


class ConfigFile:
    """The file that `read` reads. It counts as changed at first: the settings read before may be older."""

    def __init__(self, path: Path, read: Callable[[], Settings]) -> None:
        self._path, self._read = path, read
        self._seen, self._since = _stamp(path), time.monotonic()
        self._followed: Stamp | None = ()
        self._was_there = self._seen is not None

    @property
    def pending(self) -> bool:
        """True while there is a change that was not reported yet."""
        return _stamp(self._path) != self._followed

    def changed(self) -> Settings | None:
        """The new settings, once after each change; otherwise None. Raises ConfigError, once after each
        change."""
        now = _stamp(self._path)
        if now != self._seen:
            self._seen, self._since = now, time.monotonic()
        if now == self._followed or time.monotonic() - self._since < LEFT_ALONE_SECONDS:
            return None
        self._followed = now
        if now is None and self._was_there:
            raise ConfigError(f"{self._path} is gone: its defaults hold after a restart")
        self._was_there = now is not None
        return self._read()


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
