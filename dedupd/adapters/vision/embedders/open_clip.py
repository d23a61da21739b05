"""The embedder OpenCLIP: any of its models, or a local checkpoint.

Owns how open_clip is called; must never load a text tower. CLIP: Radford et al. 2021 (arXiv 2103.00020);
OpenCLIP: Cherti et al. 2023 (arXiv 2212.07143).
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dedupd.adapters.vision.embedders.base import (
    Embedder,
    EmbedderFamily,
    Model,
    ModelListing,
    OnCard,
    from_checkpoint,
)

DEFAULT_OPEN_CLIP = "open_clip:ViT-B-32/laion2b_s34b_b79k"
_DEFAULT_REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
_WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def _parse(setting: str) -> Model | None:
    family, _, rest = setting.partition(":")
    if "@" in rest:
        return from_checkpoint("open_clip", setting)
    name, slash, tag = rest.rpartition("/")
    known = family == "open_clip" and slash and name and tag
    return Model(id=setting, family="open_clip", name=name, pretrained=tag) if known else None


def _listings() -> Sequence[ModelListing]:
    here = _is_installed() and _default_is_cached()
    return [
        ModelListing(
            model=Model(
                id=DEFAULT_OPEN_CLIP, family="open_clip", name="ViT-B-32", pretrained="laion2b_s34b_b79k"
            ),
            available=here,
            note="in the local cache" if here else "`dedupd models pull` fetches it (about 600 MB)",
            when_chosen="OpenCLIP weights found in the local cache",
        )
    ]


def _is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("open_clip", "torch"))


def _default_is_cached() -> bool:
    if importlib.util.find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import constants

    if not Path(constants.HF_HUB_CACHE).is_dir():
        return False
    from huggingface_hub import try_to_load_from_cache  # brings an HTTP client: a tenth of a second

    found = (try_to_load_from_cache(_DEFAULT_REPOSITORY, name) for name in _WEIGHT_FILES)
    return any(isinstance(path, str) for path in found)


def _fetch(model: Model) -> None:
    import open_clip

    settings = open_clip.get_pretrained_cfg(model.name, model.pretrained)
    if not settings:
        raise ValueError(f"OpenCLIP knows no weights {model.name}/{model.pretrained}")
    open_clip.download_pretrained(settings)


def _load(model: Model, cache_dir: Path) -> Embedder:
    from dedupd.adapters.vision.engines.torch_engine import TorchEmbedder

    return TorchEmbedder(model, cache_dir, _network, _features)


def _on_card(model: Model, cache_dir: Path, card: str) -> OnCard:
    from dedupd.adapters.vision.engines.torch_engine import network_on_card

    return network_on_card(model, _network, _features, card)


def _to_onnx(model: Model, cache_dir: Path) -> bytes:
    from dedupd.adapters.vision.engines.torch_to_onnx import to_onnx

    return to_onnx(model, _network, _features)


def _features(network: Any, pixels: Any) -> Any:
    return network.encode_image(pixels)


def _network(model: Model) -> tuple[Any, Any, int]:
    import open_clip

    architecture = Path(model.checkpoint).with_name(f"{model.name}.json")
    if model.checkpoint and architecture.exists():
        # The configuration of a custom architecture lies beside its checkpoint.
        open_clip.add_model_config(architecture)
    made: Any = open_clip.create_model_and_transforms(
        model.name, pretrained=model.checkpoint or model.pretrained, require_pretrained=True
    )
    network, _, preprocess = made
    size: Any = network.visual.image_size
    return network, preprocess, int(min(size) if isinstance(size, (tuple, list)) else size)


EMBEDDER = EmbedderFamily(
    name="open_clip", spellings=("open_clip:NAME/PRETRAINED", "open_clip:NAME@/path/to/checkpoint"),
    parse=_parse, load=_load, listings=_listings, auto=1, fetch=_fetch, for_cards=True, on_card=_on_card,
    to_onnx=_to_onnx,
)  # fmt: skip
