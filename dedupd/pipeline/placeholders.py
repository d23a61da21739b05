"""Roots whose file system reports no blocks for any file, so that local files look like placeholders of a cloud service.

Owns the record of such roots. Must never try it out in a dry run: that writes in the root.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dedupd.core.photo import IN_THE_CLOUD, FileState
from dedupd.core.records import RootRow
from dedupd.errors import RootError
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_KEY = "roots_without_blocks"


def devices(ledger: Ledger, roots: Iterable[RootRow], disk: Disk | None) -> set[int]:
    """The devices of these roots on which the number of blocks says nothing. Without `disk`: as recorded."""
    known = ledger.get(_KEY).split()
    here = (root for root in roots if str(root.id) in known and root.online)
    return {
        root.dev for root in here if root.dev is not None and (disk is None or not _has_blocks(disk, root))
    }


def found_out(ledger: Ledger, disk: Disk, roots: Iterable[RootRow]) -> bool:
    """Try out roots with files that look like placeholders. True when some are local files after all, to be read again."""
    skipped = ledger.files.in_state(FileState.SKIPPED)
    cloudy = [(f.id, f.root) for f in skipped if f.reason == IN_THE_CLOUD]
    known = set(ledger.get(_KEY).split())
    asked = {root for _, root in cloudy}
    here = {root.id for root in roots if root.online and root.id in asked and not _has_blocks(disk, root)}
    with ledger.transaction():
        ledger.put(_KEY, " ".join(sorted((known - set(map(str, asked))) | set(map(str, here)))))
        for file, root in cloudy:
            if root in here:
                ledger.files.set_state(file, FileState.SEEN)
    return bool(here)


def _has_blocks(disk: Disk, root: RootRow) -> bool:
    try:
        return disk.abilities(root.path).blocks
    except RootError:
        return True
