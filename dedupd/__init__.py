"""dedupd keeps family photo libraries free of duplicates, reversibly.

Owns the public names; must never import anything heavy at import time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dedupd.version import __version__

if TYPE_CHECKING:
    from dedupd.library import Library, run_deduplication_for_months

__all__ = ["Library", "__version__", "run_deduplication_for_months"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `dedupd --help` does not pay for sqlite, config and the pipeline.
    if name in {"Library", "run_deduplication_for_months"}:
        from dedupd import library

        return getattr(library, name)
    raise AttributeError(f"module 'dedupd' has no attribute {name!r}")
