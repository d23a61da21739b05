"""What the file system of a root can do, as far as moving without loss depends on it.

Owns the words people read about it. Must never touch a file: adapters/fs/probing.py tries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_ELSEWHERE = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "beegfs", "gpfs", "gfs2", "ocfs2", "orangefs",
        "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "fuse",
    }
)  # fmt: skip
"""File systems that others change behind the back of this machine: servers, clusters, the host of a virtual machine."""


class Way(StrEnum):
    """How a file is renamed without replacing another file; the first way that works is used."""

    EXCLUSIVE = "exclusive"
    """One rename that fails when the new name is taken."""
    LINK = "link"
    """A hard link, which fails when the new name is taken; then the old name is removed."""
    CLAIM = "claim"
    """Create an empty file, which fails when the name is taken; then rename over it, while it is still ours and empty."""


_TOLD = {
    Way.EXCLUSIVE: "a rename refuses a taken name",
    Way.LINK: "files move by a second name, which is refused when taken",
    Way.CLAIM: "files move onto names that an empty file has claimed first",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the file system of one root can do, as tried out there."""

    way: Way | None = None
    """None: nothing can move there."""
    blocks: bool = True
    """Whether the number of blocks tells a file that is here from one that is in the cloud only."""
    owned: bool = True
    """Whether what dedupd makes there belongs to the owner of the folder it lies in."""
    kind: str = ""
    """The file system's name, when the system tells it."""
    problem: str = ""
    """One sentence why nothing can move there; '' when files can."""

    def __str__(self) -> str:
        told = [self.problem or (_TOLD[self.way] if self.way else "nothing can move there")]
        if not self.blocks:
            told.append("how many blocks a file has says nothing there")
        if not self.owned:
            told.append("what dedupd makes there as root stays root's")
        return f"{self.kind or 'file system'}: {', '.join(told)}"


def changed_elsewhere(kind: str) -> bool:
    """Whether files of this kind of file system may change without an event here, as other machines change them."""
    return kind in _ELSEWHERE or kind.startswith("fuse.")  # fuseblk is a disk of this machine
