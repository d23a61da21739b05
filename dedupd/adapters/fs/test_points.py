"""Where a test can stop the mover: one call after each step that touches the disk. Must never do anything itself."""

from __future__ import annotations


def step(name: str) -> None:
    """Called after each step that touches the disk; tests put a kill or another program's change here."""
