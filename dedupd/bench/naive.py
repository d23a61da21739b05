"""The older tools' way with a folder of photos, for comparison.

    python -m dedupd.bench.naive --model SCRATCH      the model to be used; random weights are written into SCRATCH
    python -m dedupd.bench.naive FOLDER MODEL         its costs as one JSON line

One photo at a time, each decoded in full: MD5 of the file, dHash, pHash, and a vector of ViT-B-32 in fp32. Pairs are not
even looked for. Must never be imported by the daemon.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from dedupd.adapters.vision.embedders.open_clip import DEFAULT_OPEN_CLIP
from dedupd.adapters.vision.embedders.registry import choose, load, parse
from dedupd.adapters.vision.hashes import dhash, phashes
from dedupd.bench.random_weights import random_weights
from dedupd.bench.speed import used
from dedupd.errors import DedupdError


def model_here(scratch: Path) -> str:
    """ViT-B-32: its weights from the local cache, else random ones. What dedupd ships where it cannot be made."""
    usual = choose("auto")[0].id
    if usual == DEFAULT_OPEN_CLIP:
        return usual
    try:
        return random_weights(scratch)
    except DedupdError:
        return usual


def look(folder: Path, setting: str) -> dict[str, str | float]:
    """Process all photos below `folder`, one by one."""
    began = time.monotonic()
    model = parse(setting)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    with tempfile.TemporaryDirectory(prefix="dedupd-naive-") as cache:
        embedder = load(model, Path(cache))
        for path in paths:
            hashlib.md5(path.read_bytes(), usedforsecurity=False)
            image = Image.open(path).convert("RGB")
            dhash(image)
            phashes(image)
            if embedder is not None:
                embedder.embed(embedder.prepare(image)[None])
    seconds = time.monotonic() - began
    vectors = "ViT-B-32" if model.name == "ViT-B-32" else f"{model.id} in place of ViT-B-32"
    return {"seconds": seconds, "cpu_s": sum(used()), "naive": f"full decode, MD5, dHash, pHash, {vectors}"}


if __name__ == "__main__":
    if sys.argv[1] == "--model":
        print(model_here(Path(sys.argv[2])))
    else:
        print(json.dumps(look(Path(sys.argv[1]), sys.argv[2])))
