"""Where tests stand beside the hands: one call after each step that touches the disk. Must never do anything itself."""

from __future__ import annotations


def step(name: str) -> None:
    """Called after each step that touches the disk; tests put a kill or a meddling neighbour here."""
