"""Removes rows that nothing refers to any more, a little at a time. A scan can make them again.

Owns no table. Must never remove what a file, a verdict, a lesson or a move names: a content that one of them knows
keeps what was measured of it, and a move that was made is remembered for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from dedupd.adapters.ledger.columns import chunks
from dedupd.adapters.ledger.transactions import LedgerPart

SCHEMA = """
CREATE INDEX IF NOT EXISTS moves_keeper_content ON moves(keeper_content);
"""

_NAMED = (
    "EXISTS (SELECT 1 FROM files WHERE content=c.content) "
    "OR EXISTS (SELECT 1 FROM verdicts WHERE a=c.content) OR EXISTS (SELECT 1 FROM verdicts WHERE b=c.content) "
    "OR EXISTS (SELECT 1 FROM moves WHERE content=c.content) "
    "OR EXISTS (SELECT 1 FROM moves WHERE keeper_content=c.content)"
)
_LAST_WORD = (
    "NOT EXISTS (SELECT 1 FROM moves n WHERE n.file=m.file AND n.id>m.id) "
    "AND EXISTS (SELECT 1 FROM moves d WHERE d.file=m.file AND d.state!='aborted')"
)
"""The newest row of a file that has others tells where it is meant to lie."""


class Forgetting(LedgerPart):
    """Changes over contents, pairs and moves. Writers hold a Ledger.transaction()."""

    def contents(self, after: str, limit: int) -> str:
        """Of the next `limit` contents in order, forget those that nothing names, with their pairs.

        Returns the content to go on from; '' at the end.
        """
        rows = self._link.execute(
            f"SELECT c.content, {_NAMED} FROM contents c WHERE c.content>? ORDER BY c.content LIMIT ?",
            (after, limit),
        ).fetchall()
        for chunk, marks in chunks(content for content, named in rows if not named):
            for table, column in (
                ("pairs", "a"),
                ("pairs", "b"),
                ("compared", "content"),
                ("deferred", "content"),
                ("contents", "content"),
            ):
                self._link.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", chunk)
        return rows[-1][0] if len(rows) == limit else ""

    def aborted_moves(self, before: float) -> None:
        """Remove aborted moves that began before then, except the newest move of a file."""
        self._link.execute(
            f"DELETE FROM moves AS m WHERE m.state='aborted' AND m.goal='moved' AND m.refusal!='purged' AND m.at<? AND NOT ({_LAST_WORD})",
            (before,),
        )

    def unknown(self, contents: Iterable[str]) -> list[str]:
        """Those of these contents that the ledger has forgotten, or never knew."""
        asked = list(contents)
        known: set[str] = set()
        for chunk, marks in chunks(asked):
            found = self._link.execute(f"SELECT content FROM contents WHERE content IN ({marks})", chunk)
            known.update(r[0] for r in found)
        return [content for content in asked if content not in known]
