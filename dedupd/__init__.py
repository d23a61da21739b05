"""dedupd keeps family photo libraries free of duplicates, reversibly.

Owns the public names; must never import anything heavy at import time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dedupd.version import __version__

if TYPE_CHECKING:
    from dedupd.library import Library, MonthResult, ScanOutcome, run_deduplication_for_months
    from dedupd.progress_bars import show_progress
    from dedupd.web.notebook import GroupPictures as GroupPictures

__all__ = [
    "Library", "MonthResult", "ScanOutcome", "__version__", "run_deduplication_for_months", "show_progress",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Lazy, so that `dedupd --help` does not import sqlite, config and the pipeline.
    if name == "show_progress":
        from dedupd import progress_bars

        return progress_bars.show_progress
    if name == "GroupPictures":  # not in __all__: it needs an extra
        try:
            from dedupd.web import notebook
        except ImportError as error:
            raise ImportError(
                f"GroupPictures needs the web extra ({error}): pip install 'dedupd[web]'"
            ) from None
        return notebook.GroupPictures
    if name in __all__:
        from dedupd import library

        return getattr(library, name)
    raise AttributeError(f"module 'dedupd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "GroupPictures", "__doc__", "__file__", "__name__", "__path__"]
