"""What is written for Triton sees as the embedder here does: OpenCLIP models of one's own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dedupd.adapters.vision.embedders import registry
from dedupd.adapters.vision.embedders.base import EmbedderFamily, Model
from dedupd.adapters.vision.engines.onnx_engine import onnx_runner
from dedupd.adapters.vision.remote import kserve, triton
from dedupd.errors import UsageError, VisionError
from tests.support.remote_eyes import TinyEmbedder

pytestmark = pytest.mark.model
TINY = Model(id="tiny/1", family="tiny")


def colours(scale: float = 1.0) -> bytes:
    """TinyEmbedder as a graph: means of 8 x 8 pixels less 127, of length 1."""
    from onnx import TensorProto, checker, helper, numpy_helper

    node = helper.make_node
    constants = {
        "split": np.array([-1, 4, 8, 4, 8, 3], np.int64), "flat": np.array([-1, 48], np.int64),
        "inner": np.array([2, 4], np.int64), "last": np.array([1], np.int64), "mid": np.float32(127 * scale),
    }  # fmt: skip
    nodes = [
        node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT), node("Reshape", ["float", "split"], ["cut"]),
        node("ReduceMean", ["cut", "inner"], ["mean"], keepdims=0), node("Reshape", ["mean", "flat"], ["row"]),
        node("Sub", ["row", "mid"], ["less"]), node("ReduceL2", ["less", "last"], ["length"]),
        node("Div", ["less", "length"], ["vectors"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", 32, 32, 3])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 48])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An embedder family whose parts a test sets."""
    parts: dict[str, Any] = {"embedder": TinyEmbedder(), "graph": colours()}
    family = EmbedderFamily(
        name="tiny", spellings=("tiny",), parse=lambda setting: TINY if setting == "tiny" else None,
        load=lambda model, cache: parts["embedder"], to_onnx=lambda model, cache: parts["graph"],
    )  # fmt: skip
    families = registry.families() | {"tiny": family}
    for module in (registry, triton):
        monkeypatch.setattr(module, "families", lambda: families)
    return parts


def test_the_repository_says_what_the_model_is(tiny: dict[str, Any], tmp_path: Path) -> None:
    name = triton.export(tmp_path, "tiny", tmp_path)
    assert name == "dedupd-tiny-1-2-squash-bicubic-32-48"
    assert (tmp_path / name / "1/model.onnx").read_bytes() == tiny["graph"]
    config = (tmp_path / name / "config.pbtxt").read_text().splitlines()
    assert config == [
        f'name: "{name}"', 'platform: "onnxruntime_onnx"', "max_batch_size: 64",
        'input [ { name: "pictures" data_type: TYPE_UINT8 dims: [ 32, 32, 3 ] } ]',
        'output [ { name: "vectors" data_type: TYPE_FP32 dims: [ 48 ] } ]', "dynamic_batching { }",
        'parameters { key: "dedupd_model" value: { string_value: "tiny/1" } }',
        'parameters { key: "dedupd_recipe" value: { string_value: "2/squash/bicubic/32/48" } }',
    ]  # fmt: skip
    shape = kserve.shape_in(TINY, name)
    assert shape is not None and kserve.model_name(TINY, shape) == name


def test_what_sees_otherwise_is_not_written(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["graph"] = colours(scale=0.5)
    with pytest.raises(VisionError, match=r"sees otherwise as ONNX than here \(cosine 0\.\d+\)"):
        triton.export(tmp_path, "tiny", tmp_path)

    class Odd(TinyEmbedder):
        def prepare(self, image: Image.Image) -> NDArray[Any]:
            return np.asarray(image.rotate(3).resize((32, 32)))

    tiny["embedder"] = Odd()
    with pytest.raises(UsageError, match="in a way of its own"):
        triton.export(tmp_path, "tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


ARCHITECTURE = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


@pytest.mark.slow
@pytest.mark.usefixtures("fitting_torchvision")
def test_an_openclip_model_is_written_and_sees_alike_in_any_company(tmp_path: Path) -> None:
    torch, open_clip = pytest.importorskip("torch"), pytest.importorskip("open_clip")
    (tmp_path / "Own.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(tmp_path / "Own.json")
    torch.manual_seed(1)
    torch.save(open_clip.create_model("Own", pretrained=None).state_dict(), tmp_path / "own.pt")
    setting = f"open_clip:Own@{tmp_path}/own.pt"
    name = triton.export(tmp_path / "served", setting, tmp_path)
    model = registry.choose(setting)[0]
    assert name == f"dedupd-open_clip-Own-{model.digest}-2-crop-bicubic-32-48"
    here, run = registry.load(model, tmp_path), onnx_runner(tmp_path / "served" / name / "1/model.onnx")
    assert here is not None
    pictures = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    local = here.embed(np.stack([here.prepare(Image.fromarray(each)) for each in pictures]))
    for rows in (run(pictures), np.concatenate([run(each[None]) for each in pictures])):
        assert (rows * local).sum(axis=1).min() > 0.999
        assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
