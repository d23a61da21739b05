"""What all torch models share: weights loaded offline, all allowed cards, smaller batches when memory runs out.

Owns devices, number formats and memory; must never touch the network or run with random weights. Worker process only.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import copy
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.accelerators import devices, memory_left, number_format
from dedupd.adapters.vision.embedders.base import Model
from dedupd.errors import VisionError

_MEMORY_LIMIT = 8 << 30
"""torch and a large vision transformer do not fit into what decoding needs."""
_MOST_AT_ONCE, _TRIAL = 256, 8
"""Pictures: more take a card no less time each; and of so many the memory that one takes is measured."""
_USABLE = 0.8
"""Of the memory that is left: what is allocated in pieces leaves gaps."""
_LEAST_COSINE = 0.999
"""Between vectors in short numbers and in float32 of the same picture: below it the long ones are used."""

Vectors = NDArray[np.float32]
Features = Callable[[Any, Any], Any]


class TorchEmbedder:
    """A network of torch as an embedder, on one device or on several at once; thread-safe.

    A card that fails gives its work to the others, and the last of them to the processor.
    """

    def __init__(
        self,
        model: Model,
        load: Callable[[Model], tuple[Any, Any, int]],
        features: Features,
    ) -> None:
        """`load`: model -> (network with its weights, PIL picture -> (3, S, S) tensor, S); it may raise anything.
        `features`: network, (N, 3, S, S) tensor -> (N, D) tensor."""
        self._features = features
        self._torch, network, self._preprocess, self.side = loaded(model, load)
        self._network: Any = network.eval()
        """In the processor's memory: a card that failed gives no weights back."""
        self._idle: queue.SimpleQueue[_TorchEngine | None] = queue.SimpleQueue()
        self._losing = threading.Lock()
        self._here: _TorchEngine | None = None
        """On the processor, when no card is left. Used by several threads at once."""
        black = self.prepare(Image.new("RGB", (self.side, self.side)))[None]
        cards = self._on_cards(black)
        self._left = self.lanes = len(cards)
        self.batch = min((card.most for card in cards), default=0)
        for card in cards:
            self._idle.put(card)
        if not cards:
            self._here = self._on_processor()
        self.note = "torch " + ", ".join(each.told for each in cards or [self._here] if each)
        self.dimensions = int(self.embed(black).shape[1])

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        """(3, S, S) float32: the model's own resize, crop and normalisation."""
        return np.asarray(self._preprocess(image).numpy(), dtype=np.float32)

    def embed(self, batch: NDArray[np.float32]) -> Vectors:
        """(N, D) unit vectors, by the first device that is idle. VisionError when they fit nowhere."""
        while True:
            card = None if self._here else self._idle.get()
            if card is None:
                return self._embed_here(batch)
            try:
                vectors = card.run(batch)
            except RuntimeError as error:  # also what torch raises for a card that is gone, or out of memory
                self._lose(card, error)
            else:
                self._idle.put(card)
                return vectors

    def _embed_here(self, batch: NDArray[np.float32]) -> Vectors:
        assert self._here is not None
        try:
            return self._here.run(batch)
        except RuntimeError as error:
            if not _out_of_memory(self._torch, error):
                raise
            raise VisionError("the embedder does not fit in memory: choose a smaller one") from None

    def _lose(self, card: _TorchEngine, error: RuntimeError) -> None:
        with self._losing:
            self._left -= 1
            others = f"{self._left} other card(s)" if self._left else "the processor"
            _say(f"{card.device} failed ({_first_line(error)}): its work goes to {others}")
            if not self._left:
                self._here = self._on_processor()
                self.note = f"torch {self._here.told}: every card failed"
                for _ in range(self.lanes):  # whoever waits for a card
                    self._idle.put(None)

    def _on_cards(self, black: NDArray[np.float32]) -> list[_TorchEngine]:
        """Those of the allowed cards that work."""
        found: list[_TorchEngine] = []
        for device in devices(self._torch):
            if device == "cpu":
                continue
            if device.startswith("cuda"):
                # The driver maps far more than it uses.
                _raise_memory_limit(None)
            try:
                found.append(self._tried(device, black))
            except Exception as error:  # noqa: BLE001
                # Whatever a driver raises: the others are tried, and the processor is there.
                _say(f"{device} is not used ({_first_line(error)})")
        return found

    def _tried(self, device: str, black: NDArray[np.float32]) -> _TorchEngine:
        """An engine on this card, with the shortest number format that gives the same vectors, and its batch size."""
        torch = self._torch
        probe = np.concatenate(_patterns(black.shape[1:]))
        exact = _TorchEngine(torch, copy.deepcopy(self._network), self._features, device, torch.float32)
        wanted, expected = exact.run(probe), number_format(torch, device)
        engine = exact
        if expected != torch.float32:
            engine = _TorchEngine(torch, exact.network, self._features, device, expected)
            if not _alike(engine.run(probe), wanted):
                _say(f"{device} gives other vectors in {expected}: it counts in float32")
                network = copy.deepcopy(self._network)
                engine = _TorchEngine(torch, network, self._features, device, torch.float32)
        engine.fit(black)
        return engine

    def _on_processor(self) -> _TorchEngine:
        numbers = number_format(self._torch, "cpu")
        return _TorchEngine(self._torch, self._network, self._features, "cpu", numbers)


class _TorchEngine:
    """A network on one device."""

    def __init__(self, torch: Any, network: Any, features: Features, device: str, numbers: Any) -> None:
        self.device, self.most = device, _MOST_AT_ONCE
        self._torch, self._features, self._numbers = torch, features, numbers
        self.network: Any = network.to(device, numbers)

    @property
    def told(self) -> str:
        return f"{self._numbers} on {self.device}".replace("torch.", "")

    def fit(self, one: NDArray[np.float32]) -> None:
        """Find out how many pictures its memory takes at once, from what a few take."""
        self.most = 32
        if self.device.startswith("cuda"):
            cuda = self._torch.cuda
            cuda.reset_peak_memory_stats(self.device)
            before = cuda.memory_allocated(self.device)
            self.run(np.repeat(one, _TRIAL, axis=0))
            each = max(1, (cuda.max_memory_allocated(self.device) - before) // _TRIAL)
            fits = int(memory_left(self._torch, self.device) * _USABLE) // each
            self.most = max(1, min(_MOST_AT_ONCE, 1 << max(0, fits.bit_length() - 1)))

    def run(self, batch: NDArray[np.float32]) -> Vectors:
        """Unit vectors. A batch that does not fit is halved, and later ones too. Raises RuntimeError when not even one
        picture fits, or the device fails."""
        rows: list[Vectors] = []
        done = 0
        while done < len(batch):
            part = batch[done : done + self.most]
            try:
                rows.append(self._encode(part))
                done += len(part)
                continue
            except RuntimeError as error:
                if len(part) == 1 or not _out_of_memory(self._torch, error):
                    raise
            self.most = len(part) // 2
            if self.device != "cpu":
                getattr(self._torch, self.device.partition(":")[0]).empty_cache()
        return np.concatenate(rows)

    def _encode(self, batch: NDArray[np.float32]) -> Vectors:
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(np.ascontiguousarray(batch)).to(self.device, self._numbers)
            vectors = self._features(self.network, pixels).float()
            unit = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
            return np.asarray(unit.cpu().numpy(), dtype=np.float32)


def _patterns(shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Some prepared pictures: smooth, and of noise."""
    rng = np.random.default_rng(0)
    slope = np.linspace(-2, 2, shape[-1], dtype=np.float32)
    smooth = np.broadcast_to(slope, shape)[None]
    noisy = rng.normal(0, 1, (1, *shape)).astype(np.float32)
    return [smooth.astype(np.float32), noisy, (smooth + 0.3 * noisy).astype(np.float32)]


def _alike(ones: Vectors, others: Vectors) -> bool:
    """False for numbers that are none, too."""
    return bool(np.min((ones * others).sum(axis=1)) >= _LEAST_COSINE)


def _out_of_memory(torch: Any, error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


def _say(line: str) -> None:
    """Into the worker's log."""
    print(line, file=sys.stderr, flush=True)


def loaded(
    model: Model, load: Callable[[Model], tuple[Any, Any, int]]
) -> tuple[Any, Any, Callable[[Image.Image], Any], int]:
    """torch, and the result of `load`, from local weights. Raises VisionError with one sentence."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    _raise_memory_limit(_MEMORY_LIMIT)
    try:
        import torch

        torch.set_num_threads(1)
        return torch, *load(model)
    except Exception as error:  # noqa: BLE001
        # The type of the error depends on what is wrong with the weights.
        raise VisionError(
            f"{model.id} cannot be loaded ({_first_line(error)}): {_remedy(model, error)}"
        ) from None


def _raise_memory_limit(limit: int | None) -> None:
    if sys.platform == "linux":
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = hard if limit is None else limit
        if soft != resource.RLIM_INFINITY and (limit is None or soft < limit):
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _remedy(model: Model, error: Exception) -> str:
    if "torchvision::" in str(error):  # the CPU build of one beside the CUDA build of the other
        return "torch and torchvision are of different builds: install both again, from one package index"
    if model.checkpoint:
        return "check that the checkpoint is whole and belongs to that architecture"
    return "fetch its weights with `dedupd models pull`, or choose another embedder"
