"""Who owns the files that dedupd makes in a library while it runs as root (sudo, a container).

Must never touch what dedupd did not make: it gets the descriptor of what was made just now.
"""

from __future__ import annotations

import os


def give_to_owner(made: int, folder: int) -> bool:
    """Give it the owner and group of the folder it lies in, who could neither undo nor move it otherwise.

    False when the system does not allow it. Nothing to do for another user than root: what it makes is its own.
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
