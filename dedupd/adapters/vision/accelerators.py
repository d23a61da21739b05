"""Which graphics cards the networks of this process may use, and how much of their memory.

The worker sets it once, before a network's library is loaded: later it would have no effect.
"""

from __future__ import annotations

import os
from typing import Any

ALL = "all"
_allowed: dict[str, Any] = {"gpus": ALL, "memory": 1.0}


def allow(gpus: str, memory_fraction: float) -> None:
    """`gpus`: how many cards, as '0' or '2', or 'all'. `memory_fraction`: share of each card's memory, 0 to
    1."""
    _allowed.update(gpus=gpus, memory=memory_fraction)
    if gpus != ALL:
        count = int(gpus)
        known = os.environ.get("CUDA_VISIBLE_DEVICES")
        cards = [str(card) for card in range(count)] if known is None else known.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(cards[:count])


def best_device(torch: Any) -> str:
    """'cuda', 'mps' or 'cpu'."""
    if _allowed["gpus"] == "0":
        return "cpu"
    if torch.cuda.is_available():
        if _allowed["memory"] < 1.0:
            torch.cuda.set_per_process_memory_fraction(_allowed["memory"])
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
