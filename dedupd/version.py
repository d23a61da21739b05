"""The version of this dedupd. Must never import anything, because every part may import it."""

from __future__ import annotations

__version__ = "0.1.0"
