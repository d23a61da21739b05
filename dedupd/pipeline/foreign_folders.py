"""What full looks met that is none of the library: counted here, told to people by `dedupd status`.

Must never look at a disk: the looks hand over what they met.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dedupd.core.foreign import Foreign, opens, told
from dedupd.core.records import RootRow

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


def note(ledger: Ledger, root: RootRow, found: Mapping[str, Foreign]) -> None:
    """Remember what the last full look at this root met: folder -> kind."""
    kinds = Counter(kind.kind for kind in found.values())
    opening = sum(opens(folder, kind) for folder, kind in found.items())
    text = json.dumps({"kinds": kinds, "opening": opening}, sort_keys=True)
    if ledger.get(_key(root)) != text:
        ledger.put(_key(root), text)


def not_looked_at(ledger: Ledger, roots: Iterable[RootRow]) -> str:
    """The sentence about all of them; '' when there is nothing to tell."""
    kinds, opening = Counter[str](), 0
    for root in roots:
        noted = json.loads(ledger.get(_key(root), '{"kinds": {}, "opening": 0}'))
        kinds.update(noted["kinds"])
        opening += noted["opening"]
    return told(kinds, opening)


def _key(root: RootRow) -> str:
    return f"foreign {root.id}"
