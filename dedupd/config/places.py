"""Where dedupd keeps its own files: state, config, socket.

Must never create or write anything: it only says where to look.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from dedupd.errors import StateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where dedupd keeps its own things."""

    state: Path
    config: Path
    socket: Path
    named: bool = False
    """A person chose the state folder; then its mode is theirs too and is not changed."""

    @property
    def ledger(self) -> Path:
        """SQLite: what cannot be computed again."""
        return self.state / "ledger.db"

    @property
    def index(self) -> Path:
        """LanceDB: what can be computed again."""
        return self.state / "index"

    @property
    def cache(self) -> Path:
        """Thumbnails and converted models; may be deleted at any time."""
        return self.state / "cache"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def socket_record(self) -> Path:
        """The file that names the daemon's socket, for clients with other environment variables."""
        return self.state / "socket-path"


SOCKET_PATH_LIMIT = 100
"""Bytes of a socket's path, at most. The kernels' limits are 107 (Linux) and 103 (macOS)."""


def places(
    state_dir: Path | None = None,
    config: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    recorded: bool = True,
) -> Places:
    """The places: from these arguments, else from DEDUPD_STATE_DIR and DEDUPD_CONFIG, else the platform's
    folders.

    When a state folder was named, the socket is in it too. Clients use the socket that the daemon recorded; a
    daemon that is about to serve passes `recorded=False`. Raises StateError when there is no safe place for
    the socket.
    """
    env = os.environ if env is None else env
    asked = state_dir or (Path(env["DEDUPD_STATE_DIR"]) if env.get("DEDUPD_STATE_DIR") else None)
    file = config or (Path(env["DEDUPD_CONFIG"]) if env.get("DEDUPD_CONFIG") else None)
    state = absolute(asked or platformdirs.user_state_path("dedupd", appauthor=False))
    file = absolute(file or platformdirs.user_config_path("dedupd", appauthor=False) / "config.toml")
    found = Places(state=state, config=file, socket=state / "dedupd.sock")
    socket = (_recorded_socket(found) if recorded else None) or (
        found.socket if asked else runtime_folder() / "dedupd.sock"
    )
    if len(os.fsencode(socket)) > SOCKET_PATH_LIMIT:
        socket = runtime_folder() / f"{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}.sock"
    return Places(state=state, config=file, socket=socket, named=asked is not None)


def runtime_folder() -> Path:
    """The short private folder of this login; platformdirs checks that nobody else owns it. Raises
    StateError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return platformdirs.user_runtime_path("dedupd", appauthor=False)
    except OSError as error:
        raise StateError(f"there is no private folder for dedupd's socket: {error}") from error


def _recorded_socket(found: Places) -> Path | None:
    try:
        text = os.fsdecode(found.socket_record.read_bytes()).strip()
    except OSError:
        return None
    return Path(text) if text.startswith("/") and len(os.fsencode(text)) <= SOCKET_PATH_LIMIT else None


def absolute(path: Path) -> Path:
    """`path` relative to the working folder or ~, without `..`; symlinks are kept."""
    return Path(os.path.abspath(path.expanduser()))
