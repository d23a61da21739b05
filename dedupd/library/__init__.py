"""One photo library, opened: what the daemon, the command line and notebooks work with.

    from dedupd import Library
    with Library.open(["~/Pictures"]) as library:
        outcome = library.scan(dry_run=True)
        for group in library.groups():
            print(group.keep, group.duplicates, group.review)

open.py is the public face, build.py puts the parts together, passes.py has the order of a pass, models.py prepares and
switches embedders, view.py reads without a lock. A Library must be used from one thread, and only by the process that
holds the lock (`Library.open` takes it).
"""

from __future__ import annotations

from dedupd.library.open import Library, run_deduplication_for_months
from dedupd.library.scan_outcome import MonthResult, ScanOutcome
from dedupd.library.view import LibraryView
from dedupd.pipeline.movement import Moved

__all__ = ["Library", "LibraryView", "MonthResult", "Moved", "ScanOutcome", "run_deduplication_for_months"]
