"""Any OpenCLIP model or local checkpoint as an embedder.

Owns how open_clip is asked; must never use a text tower. Worker process only.
CLIP: Radford et al. 2021 (arXiv 2103.00020); OpenCLIP: Cherti et al. 2023 (arXiv 2212.07143).
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from pathlib import Path
from typing import Any

from dedupd.adapters.vision.embedders.registry import Model
from dedupd.adapters.vision.embedders.torch_engine import TorchEmbedder


class OpenClip(TorchEmbedder):
    """encode_image of an OpenCLIP model, normalised."""

    def _load(self, model: Model) -> tuple[Any, Any, int]:
        import open_clip

        architecture = Path(model.checkpoint).with_name(f"{model.name}.json")
        if model.checkpoint and architecture.exists():
            # An architecture of one's own lies beside its checkpoint.
            open_clip.add_model_config(architecture)
        made: Any = open_clip.create_model_and_transforms(
            model.name, pretrained=model.checkpoint or model.pretrained, require_pretrained=True
        )
        network, _, preprocess = made
        size: Any = network.visual.image_size
        return network, preprocess, int(min(size) if isinstance(size, (tuple, list)) else size)

    def _features(self, pixels: Any) -> Any:
        return self._network.encode_image(pixels)
