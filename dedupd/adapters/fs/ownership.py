"""The owner of files that dedupd makes in a library while it runs as root (sudo, a container).

Must never touch a file that dedupd did not make: it is given the descriptor of a file that was just made.
"""

from __future__ import annotations

import os


def give_to_owner(made: int, folder: int) -> bool:
    """Give the file the owner and group of its folder, so that the folder's owner can move it and undo moves.

    False when the system does not allow it. Does nothing unless dedupd runs as root.
    """
    if os.geteuid() != 0:
        return True
    there, here = os.fstat(folder), os.fstat(made)
    if (here.st_uid, here.st_gid) == (there.st_uid, there.st_gid):
        return True
    try:
        os.fchown(made, there.st_uid, there.st_gid)
    except OSError:
        return False
    found = os.fstat(made)
    return (found.st_uid, found.st_gid) == (there.st_uid, there.st_gid)
