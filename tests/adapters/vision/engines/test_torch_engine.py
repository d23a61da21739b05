"""What every torch model shares: what is said when one cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.engines.torch_engine import TorchEmbedder
from dedupd.errors import VisionError


def mismatched(model: Model) -> tuple[Any, Any, int]:
    """As torchvision answers where pip found a CPU torch and another index's torchvision."""
    raise RuntimeError("operator torchvision::nms does not exist")


def test_builds_that_do_not_fit_are_named_with_their_remedy() -> None:
    pytest.importorskip("torch")
    with pytest.raises(VisionError, match="different builds: install both again") as refused:
        TorchEmbedder(
            Model(id="timm:resnet18.a1_in1k", family="timm", name="resnet18.a1_in1k"),
            Path("/cache"),
            mismatched,
            lambda network, pixels: pixels,
        )
    assert "\n" not in str(refused.value)
