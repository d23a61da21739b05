"""Where the daemon's socket is, left in the state folder for clients whose surroundings differ from its own.

A client over ssh or from cron may have another XDG_RUNTIME_DIR; the state folder is the same. Must never be
called without the state folder's lock.
"""

from __future__ import annotations

import os
import secrets

from dedupd.config import Places
from dedupd.errors import StateError


def record_socket(places: Places) -> None:
    """Write the socket's path, whole or not at all. StateError when the state folder cannot be written."""
    record = places.socket_record
    draft = record.with_name(f".{record.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(os.fsencode(places.socket) + b"\n")
        os.replace(draft, record)
    except OSError as error:
        raise StateError(f"the state folder {places.state} cannot be written: {error.strerror}") from error
