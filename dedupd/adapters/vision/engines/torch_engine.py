"""What all torch models share: weights loaded offline, number formats, smaller batches when memory runs out.

Must never touch the network or run with random weights. The worker runs them on the processor alone, a card's process
(card_process.py) on that card.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.accelerators import memory_left, number_format, take, torch_cards
from dedupd.adapters.vision.cards import Cards
from dedupd.adapters.vision.child import say
from dedupd.adapters.vision.embedders.base import Model, OnCard
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
    """A network of torch as an embedder: on each card, in its process, or here on the processor; thread-safe.

    When no card works any more, the processor takes over.
    """

    def __init__(
        self,
        model: Model,
        cache_dir: Path,
        load: Callable[[Model], tuple[Any, Any, int]],
        features: Features,
    ) -> None:
        """`load`: model -> (network with its weights, PIL picture -> (3, S, S) tensor, S); it may raise anything.
        `features`: network, (N, 3, S, S) tensor -> (N, D) tensor. The family of the model gives cards the same."""

        self._cards = Cards(model, cache_dir)

        def start(torch: Any) -> None:
            self._cards.start(torch_cards(torch))

        self._torch, network, self._preprocess, self.side = loaded(model, load, start)
        # Kept in memory: a card that failed gives no weights back.
        self._here = _TorchEngine(
            self._torch, network.eval(), features, "cpu", number_format(self._torch, "cpu")
        )
        self._cards.wait()
        self.batch, self.lanes = self._cards.batch, self._cards.lanes
        black = self.prepare(Image.new("RGB", (self.side, self.side)))[None]
        self.dimensions = int(self.embed(black).shape[1])

    @property
    def note(self) -> str:
        """See `Embedder.note`."""
        failed = ": every card failed" if self.lanes else ""
        return f"torch {self._cards.told or self._here.told + failed}"

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        """(3, S, S) float32: the model's own resize, crop and normalisation."""
        return np.asarray(self._preprocess(image).numpy(), dtype=np.float32)

    def embed(self, batch: NDArray[np.float32]) -> Vectors:
        """(N, D) unit vectors, by the first device that is idle. VisionError when they fit nowhere."""
        vectors = self._cards.run(batch)
        return self._embed_here(batch) if vectors is None else vectors

    def _embed_here(self, batch: NDArray[np.float32]) -> Vectors:
        try:
            return self._here.run(batch)
        except RuntimeError as error:
            if not _out_of_memory(self._torch, error):
                raise
            raise VisionError("the embedder does not fit in memory: choose a smaller one") from None


def network_on_card(
    model: Model, load: Callable[[Model], tuple[Any, Any, int]], features: Features, card: str
) -> OnCard:
    """The same network on this card, with the shortest number format that gives the same vectors, and its batch size.
    In the card's process; raises whatever a driver raises."""
    torch, network, preprocess, side = loaded(model, load)
    take(torch, card)
    black = np.asarray(preprocess(Image.new("RGB", (side, side))).numpy(), dtype=np.float32)[None]
    probe = np.concatenate(_patterns(black.shape[1:]))
    exact = _TorchEngine(torch, network.eval(), features, card, torch.float32)
    wanted, expected = exact.run(probe), number_format(torch, card)
    engine = exact
    if expected != torch.float32:
        engine = _TorchEngine(torch, exact.network, features, card, expected)
        if not _alike(engine.run(probe), wanted):
            say(f"{card} gives other vectors in {expected}: it counts in float32")
            engine = _TorchEngine(torch, load(model)[0].eval(), features, card, torch.float32)
    engine.fit(black)
    return engine


class _TorchEngine:
    """A network on one device."""

    def __init__(self, torch: Any, network: Any, features: Features, device: str, numbers: Any) -> None:
        self.device, self.at_once = device, _MOST_AT_ONCE
        self._torch, self._features, self._numbers = torch, features, numbers
        self.network: Any = network.to(device, numbers)
        self.told = f"{numbers} on {device}".replace("torch.", "")

    def fit(self, one: NDArray[np.float32]) -> None:
        """Find out how many pictures its memory takes at once, from what a few take."""
        self.at_once = 32
        if self.device.startswith("cuda"):
            cuda = self._torch.cuda
            cuda.reset_peak_memory_stats(self.device)
            before = cuda.memory_allocated(self.device)
            self.run(np.repeat(one, _TRIAL, axis=0))
            each = max(1, (cuda.max_memory_allocated(self.device) - before) // _TRIAL)
            fits = int(memory_left(self._torch, self.device) * _USABLE) // each
            self.at_once = max(1, min(_MOST_AT_ONCE, 1 << max(0, fits.bit_length() - 1)))

    def run(self, batch: NDArray[np.float32]) -> Vectors:
        """Unit vectors. A batch that does not fit is halved, and later ones too. Raises RuntimeError when not even one
        picture fits, or the device fails."""
        rows: list[Vectors] = []
        done = 0
        while done < len(batch):
            part = batch[done : done + self.at_once]
            try:
                rows.append(self._encode(part))
                done += len(part)
                continue
            except RuntimeError as error:
                if len(part) == 1 or not _out_of_memory(self._torch, error):
                    raise
            self.at_once = len(part) // 2
            if self.device != "cpu":
                getattr(self._torch, self.device.partition(":")[0]).empty_cache()
        return np.concatenate(rows)

    def _encode(self, batch: NDArray[np.float32]) -> Vectors:
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(np.require(batch, requirements=("C", "W"))).to(
                self.device, self._numbers
            )
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


def loaded(
    model: Model,
    load: Callable[[Model], tuple[Any, Any, int]],
    meanwhile: Callable[[Any], None] = lambda torch: None,
) -> tuple[Any, Any, Callable[[Image.Image], Any], int]:
    """torch, and the result of `load`, from local weights. `meanwhile` may start with torch what takes as long. Raises
    VisionError with one sentence."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    _raise_memory_limit()
    try:
        import torch

        torch.set_num_threads(1)
        meanwhile(torch)
        return torch, *load(model)
    except Exception as error:  # noqa: BLE001
        # The type of the error depends on what is wrong with the weights.
        raise VisionError(
            f"{model.id} cannot be loaded ({_first_line(error)}): {_remedy(model, error)}"
        ) from None


def _raise_memory_limit() -> None:
    if sys.platform == "linux":
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft != resource.RLIM_INFINITY and soft < _MEMORY_LIMIT:
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT, hard))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _remedy(model: Model, error: Exception) -> str:
    if "torchvision::" in str(error):  # the CPU build of one beside the CUDA build of the other
        return "torch and torchvision are of different builds: install both again, from one package index"
    if model.checkpoint:
        return "check that the checkpoint is whole and belongs to that architecture"
    return "fetch its weights with `dedupd models pull`, or choose another embedder"
