"""Writes a model for Triton: `python -m dedupd.adapters.vision.remote.triton FOLDER EMBEDDER CACHE`.

Owns the layout of its model repository: FOLDER/NAME/config.pbtxt and FOLDER/NAME/1/model.onnx. Must never write over what is
there. Started by `dedupd models export`, which loads no model itself; prints the name, or one sentence with exit 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dedupd.adapters.vision.embedders.base import Shape
from dedupd.adapters.vision.embedders.registry import choose, families, settle
from dedupd.adapters.vision.remote.kserve import INPUT, OUTPUT, model_name
from dedupd.drafts import write_whole
from dedupd.errors import DedupdError, UsageError, VisionError

_BATCH = 64


def export(folder: Path, embedder: str, cache: Path) -> str:
    """The name of the model that was written. Raises UsageError, VisionError."""
    model = settle(choose(embedder)[0])
    family = families().get(model.family)
    if family is None or family.to_onnx is None or family.shape is None:
        raise UsageError(
            f"{model.id or 'hashes'} cannot be exported: lite0 can; `dedupd serve-embed` serves all others"
        )
    name = model_name(model, family.shape)
    target = folder / name
    if target.exists():
        raise UsageError(f"{target} is there already: name another folder, or remove it first")
    graph = family.to_onnx(model, cache)
    try:
        (target / "1").mkdir(parents=True)
        write_whole(target / "1" / "model.onnx", graph)
        write_whole(target / "config.pbtxt", _config(name, family.shape).encode())
    except OSError as error:
        raise VisionError(f"{target} cannot be written ({error.strerror})") from None
    return name


def _config(name: str, shape: Shape) -> str:
    return (
        f'name: "{name}"\n'
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {_BATCH}\n"
        f'input [ {{ name: "{INPUT}" data_type: TYPE_UINT8 dims: [ {shape.side}, {shape.side}, 3 ] }} ]\n'
        f'output [ {{ name: "{OUTPUT}" data_type: TYPE_FP32 dims: [ {shape.dimensions} ] }} ]\n'
        "dynamic_batching { }\n"
    )


if __name__ == "__main__":
    try:
        print(export(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
    except DedupdError as told:
        print(told)
        sys.exit(int(told.exit_code))
