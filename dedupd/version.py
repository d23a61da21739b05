"""The version of this dedupd, once. Must never import anything: every part may ask for it."""

from __future__ import annotations

__version__ = "0.1.0"
