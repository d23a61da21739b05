"""What every embedder offers, and how the chosen one is loaded.

Owns the one interface that decoding and storing know; must never choose a model. Worker process only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.embedders.registry import Model


class Embedder(Protocol):
    """Pictures to unit vectors."""

    side: int
    """Least short side (px) of the decoded picture it wants."""
    dimensions: int
    note: str
    """Which engine runs it, for people."""

    def prepare(self, image: Image.Image) -> NDArray[Any]:
        """One RGB picture as the array that `embed` stacks. Called from several threads."""
        ...

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """(N, dimensions) unit vectors of N stacked prepared pictures; called from one thread."""
        ...


def load(model: Model, cache_dir: Path) -> Embedder | None:
    """The embedder of `model`, None for hashes alone. Slow: seconds. Raises VisionError in one sentence."""
    if model.engine == "lite0":
        from dedupd.adapters.vision.embedders.lite0 import Lite0

        return Lite0(cache_dir)
    if model.engine == "open_clip":
        from dedupd.adapters.vision.embedders.openclip import OpenClip

        return OpenClip(model)
    if model.engine == "timm":
        from dedupd.adapters.vision.embedders.timm_backbone import TimmBackbone

        return TimmBackbone(model)
    return None
