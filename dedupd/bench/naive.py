"""The older tools' way with a folder of photos, for comparison.

    python -m dedupd.bench.naive FOLDER       its costs as one JSON line

One photo at a time, each decoded in full: MD5 of the file, dHash, pHash, and a vector of ViT-B-32 in fp32; where those
weights are not in the local cache, of the embedder that dedupd ships, in one thread. Pairs are not even looked for.
Must never be imported by the daemon.
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
from dedupd.adapters.vision.embedders.registry import choose, load
from dedupd.adapters.vision.hashes import dhash, phashes
from dedupd.bench.speed import used


def look(folder: Path) -> dict[str, str | float]:
    """Process all photos below `folder`, one by one."""
    began = time.monotonic()
    model, _ = choose("auto")
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
    vectors = (
        "ViT-B-32" if model.id == DEFAULT_OPEN_CLIP else f"{model.id or 'no vector'} in place of ViT-B-32"
    )
    return {"seconds": seconds, "cpu_s": sum(used()), "naive": f"full decode, MD5, dHash, pHash, {vectors}"}


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]))))
