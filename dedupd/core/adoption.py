"""The result of adopting a backfill: what became of its rows.

Must never touch a file or a library.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Rows of a backfill, counted by what became of them."""

    taken: int = 0
    held: int = 0
    """The index had a row of that content already, perhaps from another chunk."""
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Reason -> rows."""
    damaged: list[str] = field(default_factory=list[str])
    """One sentence for each file of rows that was refused as a whole; only the first ones."""
    damaged_files: int = 0
    strangers: list[str] = field(default_factory=list[str])
    """One clause for each other model or recipe that the backfill has rows of."""

    @property
    def complete(self) -> bool:
        """Whether every row that this library can use is in its index now."""
        return not self.refused and not self.damaged_files
