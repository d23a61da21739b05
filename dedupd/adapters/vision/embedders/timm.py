"""The embedder timm: any of its backbones; pooled features before the classifier, of the whole picture.

Owns how timm is called; must never run random weights or use a classifier, nor download weights except in
`_fetch`. Wightman 2019, PyTorch Image Models (doi 10.5281/zenodo.4414861).
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from dedupd.adapters.vision.embedders.base import Embedder, EmbedderFamily, Model, OnCard, from_checkpoint
from dedupd.errors import VisionError


def _parse(setting: str) -> Model | None:
    family, _, rest = setting.partition(":")
    if "@" in rest:
        return from_checkpoint("timm", setting)
    if family != "timm" or not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_.]+)?", rest):
        return None
    name, _, tag = rest.partition(".")
    return Model(id=setting, family="timm", name=name, pretrained=tag)


def _fetch(model: Model) -> None:
    import timm
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(model.full_name) if timm.is_model(model.name) else None
    if known is None or not known.hf_hub_id:
        raise ValueError(f"timm knows no weights {model.full_name} on the hub")
    timm.create_model(model.full_name, pretrained=True, num_classes=0)


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
    return network(pixels)


def _network(model: Model) -> tuple[Any, Any, int]:
    import timm
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    if model.checkpoint:
        network = timm.create_model(model.name, pretrained=False, num_classes=0)
        _fill(network, model.checkpoint)
    else:
        _on_the_hub(model.full_name)
        network = timm.create_model(model.full_name, pretrained=True, num_classes=0)
    wanted = resolve_model_data_config(network)
    # Squashed, not cropped: what a copy lost at its edges must not change what is compared.
    wanted |= {"crop_pct": 1.0, "crop_mode": "squash"}
    return network, create_transform(**wanted, is_training=False), int(wanted["input_size"][-1])


def with_tag(model: Model) -> Model:
    """The same model with its weights named, because the meaning of a bare name changes between versions of
    timm.

    Raises VisionError.
    """
    if model.pretrained or model.checkpoint:
        return model
    try:
        from timm.models import get_pretrained_cfg

        known = get_pretrained_cfg(model.name)
    except Exception as error:  # noqa: BLE001
        # Importing torch or timm can fail in many ways.
        raise VisionError(
            f"timm cannot be used here ({type(error).__name__}): choose another embedder"
        ) from None
    if known is None or not known.tag:
        raise VisionError(
            f"timm knows no weights for {model.name}: name them as timm:NAME.TAG, or give timm:NAME@/path/to/checkpoint"
        )
    return replace(model, id=f"timm:{model.name}.{known.tag}", pretrained=known.tag)


def _on_the_hub(full_name: str) -> None:
    """timm would download other weights from their source, offline or not."""
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(full_name)
    if known is None or not known.hf_hub_id:
        raise ValueError("its weights are not on the hub: give a checkpoint")


def _fill(network: Any, checkpoint: str) -> None:
    """Load every weight from the file; the file may have more weights only for the classifier. Raises
    ValueError."""
    from timm.models import load_state_dict

    found = load_state_dict(checkpoint, weights_only=True)
    heads = network.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    kept = {
        name: value for name, value in found.items() if not name.startswith(tuple(f"{h}." for h in heads))
    }
    network.load_state_dict(kept, strict=True)


EMBEDDER = EmbedderFamily(
    name="timm", spellings=("timm:NAME.TAG", "timm:NAME@/path/to/checkpoint"),
    parse=_parse, load=_load, settle=with_tag, fetch=_fetch, for_cards=True, on_card=_on_card, to_onnx=_to_onnx,
)  # fmt: skip
