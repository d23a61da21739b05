"""What became of the rows of a backfill that an index took in: a value.

Must never touch a file or a library.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Of the rows of a backfill, by what became of them."""

    taken: int = 0
    held: int = 0
    """The index had a row of that content already, perhaps from another chunk."""
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Reason -> rows."""
    damaged: list[str] = field(default_factory=list[str])
    """A sentence for each file of rows of which none was taken; the first of them."""
    damaged_files: int = 0
    strangers: list[str] = field(default_factory=list[str])
    """A clause for each other model or recipe that rows lie there of."""
    pairs: int = 0
    """Pairs of rows that may be near, found where the rows were made: no search for them is needed here."""
    pairs_left: str = ""
    """Why such pairs were not taken in: a clause; the search is done here then."""

    @property
    def complete(self) -> bool:
        """Whether every row that this library can use is in its index now."""
        return not self.refused and not self.damaged_files
