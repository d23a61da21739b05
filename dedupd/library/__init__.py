"""One photo library, opened: what the daemon, the command line and notebooks work with."""

from __future__ import annotations

from dedupd.library.passes import Library, LibraryView, MonthResult, Moved, ScanOutcome, run_deduplication_for_months

__all__ = ["Library", "LibraryView", "MonthResult", "Moved", "ScanOutcome", "run_deduplication_for_months"]
