"""Whose the files are that dedupd makes in somebody's library while it runs as root (sudo, a container).

Must never touch what dedupd did not make: it is handed the descriptor of what was made just now.
"""

from __future__ import annotations

import os


def give_to_owner(made: int, folder: int) -> bool:
    """Owner and group of the folder that it lies in, or its owner could neither undo nor move what is there.

    False when the system does not allow it. Anybody else than root makes what is theirs: nothing to do.
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
