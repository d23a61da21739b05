"""Contents: what was measured of each distinct file, by its BLAKE3.

Owns the table `contents`. Must never measure anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dedupd.adapters.ledger.columns import chunks, traits_from_json, traits_to_json
from dedupd.adapters.ledger.file_rows import LIVE
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.photo import Traits


class ContentRows(LedgerPart):
    """Queries and changes over contents."""

    def traits(self, contents: Iterable[str]) -> dict[str, Traits]:
        found: dict[str, Traits] = {}
        for chunk, marks in chunks(set(contents)):
            rows = self._link.execute(
                f"SELECT content, traits FROM contents WHERE content IN ({marks})", chunk
            )
            found |= {row[0]: traits_from_json(row[1]) for row in rows}
        return found

    def shots(self, root: int, month: str) -> list[tuple[str, float | None, str]]:
        """(content, capture time, camera) of each photo of a month, held copies included, so that a move changes no series."""
        return self._link.execute(
            "SELECT DISTINCT c.content, json_extract(c.traits, '$.captured'), json_extract(c.traits, '$.camera') "
            "FROM files f JOIN contents c ON c.content=f.content WHERE f.root=? AND f.month=? "
            "AND f.absent_since IS NULL AND +f.state IN ('indexed', 'held')",
            (root, month),
        ).fetchall()

    def add(self, traits: Traits) -> None:
        self._link.execute(
            "INSERT INTO contents VALUES(?,?,?,?) ON CONFLICT(content) DO UPDATE SET "
            "recipe=excluded.recipe, model=excluded.model, traits=excluded.traits",
            (traits.content, traits.recipe, traits.model, traits_to_json(traits)),
        )

    def record_model(self, model: str) -> None:
        """Record that all contents were read with this model. Only vectors depend on the model, so the other traits stay."""
        self._link.execute(
            "UPDATE contents SET model=:model, traits=json_set(traits, '$.model', :model) WHERE model!=:model",
            {"model": model},
        )

    def live(self, after: str = "", limit: int = -1) -> list[str]:
        """Contents of live photos, in order, those behind `after`: what a complete index holds."""
        rows = self._link.execute(
            f"SELECT DISTINCT content FROM files WHERE content>? AND {LIVE} ORDER BY content LIMIT ?",
            (after, limit),
        )
        return [r[0] for r in rows]

    def live_pages(self, size: int = 4096) -> Iterator[list[str]]:
        """`live_contents` in parts: all contents of a large library take hundreds of megabytes."""
        after = ""
        while page := self.live(after, size):
            yield page
            after = page[-1]

    def count(self) -> int:
        """How many contents the live photos have."""
        return self._link.execute(f"SELECT count(DISTINCT content) FROM files WHERE {LIVE}").fetchone()[0]
