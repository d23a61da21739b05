"""The inventory: what was found on the disks. Roots, files, contents and months, each in a module of its own."""

from __future__ import annotations

from dedupd.adapters.ledger.content_rows import ContentRows
from dedupd.adapters.ledger.file_rows import FileRows
from dedupd.adapters.ledger.month_rows import MonthRows
from dedupd.adapters.ledger.root_rows import RootRows


class Inventory(RootRows, FileRows, ContentRows, MonthRows):
    """Queries and changes over what is on the disks. Writers hold a Ledger.transaction()."""
