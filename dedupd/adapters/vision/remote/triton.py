"""Writes a model for Triton: `python -m dedupd.adapters.vision.remote.triton FOLDER EMBEDDER CACHE`.

Owns the layout of its model repository: FOLDER/NAME/config.pbtxt and FOLDER/NAME/1/model.onnx. Must never
overwrite what is there, nor write a graph whose vectors differ from those of the embedder here. Started by
`dedupd models export`, which loads no model itself; prints the name, or one sentence with exit 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from dedupd.adapters.vision.embedders.base import Embedder, Model, Shape
from dedupd.adapters.vision.embedders.registry import choose, families, load, settle
from dedupd.adapters.vision.engines.onnx_engine import onnx_runner
from dedupd.adapters.vision.remote.kserve import INPUT, OUTPUT, model_name
from dedupd.adapters.vision.remote.wire import MOST_SIDE, Pixels, identity, recipe_of
from dedupd.adapters.vision.shapes import picture, shape_of
from dedupd.drafts import write_whole
from dedupd.errors import DedupdError, UsageError, VisionError

_BATCH = 64
_LEAST_COSINE = 0.999
"""Least cosine between the graph and the embedder here: half precision on a GPU or a new CPU stays above it.
"""
_PROBES = 6


def export(folder: Path, embedder: str, cache: Path) -> str:
    """Write the model; returns its name. Raises UsageError, VisionError."""
    model = settle(choose(embedder)[0])
    family = families().get(model.family)
    if family is None or family.to_onnx is None or (here := load(model, cache)) is None:
        raise UsageError(f"{model.id or 'hashes'} cannot be exported: `dedupd models` lists the others")
    shape = family.shape or shape_of(here)
    if shape is None or shape.side > MOST_SIDE:
        raise UsageError(
            f"{model.id} makes its pictures in a way of its own: it can only see where the photos are"
        )
    name = model_name(model, shape)
    target = folder / name
    if target.exists():
        raise UsageError(f"{target} is there already: name another folder, or remove it first")
    graph = family.to_onnx(model, cache)
    _compare(graph, here, shape, model)
    try:
        (target / "1").mkdir(parents=True)
        write_whole(target / "config.pbtxt", _config(name, model, shape).encode())
        write_whole(target / "1" / "model.onnx", graph)  # last: nothing is served without it
    except OSError as error:
        raise VisionError(f"{target} cannot be written ({error.strerror})") from None
    return name


def _compare(graph: bytes, here: Embedder, shape: Shape, model: Model) -> None:
    """Check that the graph gives the embedder's vectors, and the same for a picture alone and in a batch.
    Raises VisionError."""
    pictures = _probes(shape)
    run = onnx_runner(graph)
    expected = here.embed(np.stack([here.prepare(Image.fromarray(each)) for each in pictures]))
    for rows in (run(pictures), np.concatenate([run(pictures[n : n + 1]) for n in range(len(pictures))])):
        least = float((rows * expected).sum(axis=1).min()) if rows.shape == expected.shape else float("nan")
        if not least >= _LEAST_COSINE:
            raise VisionError(
                f"{model.id} sees otherwise as ONNX than here (cosine {least:.4f}): `dedupd serve-embed` serves it"
            )


def _probes(shape: Shape) -> Pixels:
    """Small pictures with areas, edges and grain, no two alike."""
    random = np.random.default_rng(0)
    made: list[Pixels] = []
    for number in range(_PROBES):
        areas = Image.fromarray(random.integers(0, 256, (4 + number, 5, 3), dtype=np.uint8))
        way = Image.Resampling.NEAREST if number % 2 else Image.Resampling.BICUBIC
        image = areas.resize((640, 480), way).filter(ImageFilter.GaussianBlur(number))
        grain = random.normal(0, 4 * number, (480, 640, 3))
        seen = np.clip(np.asarray(image, np.float64) + grain, 0, 255).astype(np.uint8)
        made.append(picture(Image.fromarray(seen), shape))
    return np.stack(made)


def _config(name: str, model: Model, shape: Shape) -> str:
    told = {"dedupd_model": identity(model), "dedupd_recipe": recipe_of(shape)}
    parameters = (
        f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}\n' for key, value in told.items()
    )
    return (
        f'name: "{name}"\n'
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {_BATCH}\n"
        f'input [ {{ name: "{INPUT}" data_type: TYPE_UINT8 dims: [ {shape.side}, {shape.side}, 3 ] }} ]\n'
        f'output [ {{ name: "{OUTPUT}" data_type: TYPE_FP32 dims: [ {shape.dimensions} ] }} ]\n'
        "dynamic_batching { }\n" + "".join(parameters)
    )


if __name__ == "__main__":
    try:
        print(export(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
    except DedupdError as told:
        print(told)
        sys.exit(int(told.exit_code))
