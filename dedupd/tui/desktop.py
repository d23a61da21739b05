"""Opens a file in the desktop's own viewer. Must never wait for it, nor run the file itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def open_file(path: str) -> str:
    """Returns '' when a viewer was started, else why not, in one sentence."""
    if not os.path.isabs(path) or not os.path.exists(path):
        return "The file is not there any more."
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        return "This machine has no desktop viewer (xdg-open); y copies the path."
    if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "No desktop is reachable from this terminal (SSH?); y copies the path."
    null = subprocess.DEVNULL
    try:
        subprocess.Popen([opener, path], stdin=null, stdout=null, stderr=null, start_new_session=True)
    except OSError as error:
        return f"The viewer could not be started: {error.strerror or error}."
    return ""
