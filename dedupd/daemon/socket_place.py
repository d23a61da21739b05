"""Records the path of the daemon's socket in the state folder, for clients with other environment variables.

A client over ssh or from cron may have another XDG_RUNTIME_DIR; the state folder is the same. Must never be
called without the state folder's lock.
"""

from __future__ import annotations

import os

from dedupd.config import Places
from dedupd.drafts import write_whole
from dedupd.errors import StateError


def record_socket(places: Places) -> None:
    """Write the socket's path; the old file stays when writing fails. Raises StateError when the state folder
    cannot be written."""
    try:
        write_whole(places.socket_record, os.fsencode(places.socket) + b"\n")
    except OSError as error:
        raise StateError(f"the state folder {places.state} cannot be written: {error.strerror}") from error
