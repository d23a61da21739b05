"""What every torch model shares: what is said when one cannot be had."""

from __future__ import annotations

from typing import Any

import pytest

from dedupd.adapters.vision.embedders.registry import Model
from dedupd.adapters.vision.embedders.torch_engine import TorchEmbedder
from dedupd.errors import VisionError


class Mismatched(TorchEmbedder):
    """As torchvision answers where pip found a CPU torch and another index's torchvision."""

    def _load(self, model: Model) -> tuple[Any, Any, int]:
        raise RuntimeError("operator torchvision::nms does not exist")

    def _features(self, pixels: Any) -> Any:
        raise NotImplementedError


def test_builds_that_do_not_fit_are_named_with_their_remedy() -> None:
    pytest.importorskip("torch")
    with pytest.raises(VisionError, match="different builds: install both again") as refused:
        Mismatched(Model(id="timm:resnet18.a1_in1k", engine="timm", name="resnet18.a1_in1k"))
    assert "\n" not in str(refused.value)
