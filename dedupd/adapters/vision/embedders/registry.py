"""The registry of embedders: which there are, which can run here, and how weights are downloaded when their
owner asks.

Owns the choice of 'auto'; must never name an embedder, use the network except in `pull`, nor import torch. An
embedder is a file in this folder with an EMBEDDER (see base.py); it need not be added anywhere else.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from dedupd.adapters.vision import embedders
from dedupd.adapters.vision.embedders.base import Embedder, EmbedderFamily, Model, ModelListing, Shape
from dedupd.errors import VisionError

HASHES = Model(id="", family="hashes", near_cosine=None, far_cosine=None)


def families() -> dict[str, EmbedderFamily]:
    """Every embedder by its name."""
    return _found(tuple(embedders.__path__))


@lru_cache(maxsize=4)
def _found(folders: tuple[str, ...]) -> dict[str, EmbedderFamily]:
    modules = (
        importlib.import_module(f"{embedders.__name__}.{each.name}") for each in pkgutil.iter_modules(folders)
    )
    declared = (getattr(module, "EMBEDDER", None) for module in modules)
    return {family.name: family for family in declared if isinstance(family, EmbedderFamily)}


def parse(setting: str) -> Model:
    """The model that a setting or a recorded id names. Raises VisionError for an unknown name."""
    if setting in ("", "hashes"):
        return HASHES
    for family in families().values():
        if (model := family.parse(setting)) is not None:
            return model
    spellings = ["auto", "hashes", *(each for family in families().values() for each in family.spellings)]
    near = get_close_matches(setting.lower(), spellings, n=1)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    raise VisionError(f"embedder '{setting}' is not known: say {', '.join(spellings)}{meant}")


def told_by_name(setting: str) -> Model | None:
    """What `choose` and `settle` would answer, where the name alone says it; None where that hangs on what this machine
    has: 'auto', the bytes of a checkpoint, the weights that a bare name stands for. Raises VisionError as they do."""
    if setting == "auto":
        return None
    model = parse(setting)
    family = families().get(model.family)
    return None if model.checkpoint or (family is not None and family.settle is not None) else model


def choose(setting: str) -> tuple[Model, str]:
    """The model that `setting` stands for on this machine now, and a note for people. No network."""
    if setting != "auto":
        model = parse(setting)
        return (_with_digest(model) if model.checkpoint else model), ""
    for family in _by_preference():
        listing = next(iter(family.listings()), None)
        if listing is not None and listing.available:
            return listing.model, listing.when_chosen
    return HASHES, "no embedding model is here: perceptual hashes alone"


def _by_preference() -> list[EmbedderFamily]:
    return sorted((f for f in families().values() if f.auto is not None), key=lambda family: family.auto or 0)


def _with_digest(model: Model) -> Model:
    """The model with its checkpoint's digest in the id, so that vectors of two files are never in one index."""
    from blake3 import blake3

    try:
        digest = blake3(max_threads=1).update_mmap(model.checkpoint).hexdigest()[:12]
    except OSError as error:
        reason = error.strerror or str(error).partition(" (os error")[0]  # blake3 gives no number
        raise VisionError(f"the checkpoint {model.checkpoint} cannot be read: {reason}") from None
    if model.digest and model.digest != digest:
        raise VisionError(
            f"the checkpoint {model.checkpoint} is not the file it was: choose it again with `dedupd models use`"
        )
    named = f"{model.family}:{model.name}@{model.checkpoint}#{digest}"
    return replace(model, id=named, digest=digest)


def settle(model: Model) -> Model:
    """The same model with what its name leaves open filled in. Worker process only; raises VisionError."""
    family = families().get(model.family)
    return model if family is None or family.settle is None else family.settle(model)


def known_shape(model: Model) -> Shape | None:
    """What goes into this model and what comes out, where that is known without loading it."""
    family = families().get(model.family)
    return None if family is None else family.shape


def load(model: Model, cache_dir: Path) -> Embedder | None:
    """The embedder of `model`, None for hashes alone. Slow: seconds; worker process only. Raises VisionError
    with one sentence."""
    family = families().get(model.family)
    return None if family is None else family.load(model, cache_dir)


def uses_card(name: str) -> bool:
    """Whether a graphics card makes the model of this name faster. Raises VisionError for an unknown name."""
    family = families().get(parse(name).family)
    return family is not None and family.for_cards


def list_models() -> list[ModelListing]:
    """The models dedupd knows by name, those that 'auto' prefers first, and whether each could run now
    without a download."""
    others = [family for family in families().values() if family.auto is None]
    return [
        *(listing for family in (*_by_preference(), *others) for listing in family.listings()),
        ModelListing(model=HASHES, available=True, note="perceptual hashes alone, no vectors"),
    ]


def pull(
    name: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    timeout: float = 3600.0,
) -> None:
    """Download the weights of a model into the hub's cache, in a child process with a time limit (s).

    `on_progress(done, total)` counts bytes, total 0 = unknown. Raises VisionError with one sentence.
    """
    import time

    model = parse(name)
    family = families().get(model.family)
    if family is None or family.fetch is None or model.checkpoint:
        raise VisionError(f"'{name}' needs no download: only models that lie on a hub can be pulled")
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [
        sys.executable,
        "-m",
        "dedupd.adapters.vision.embedders.fetch",
        name,
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
