"""What every torch model shares: weights loaded offline, the best device, batches that shrink when memory runs out.

Owns devices, number formats and memory; must never touch the network or run with random weights. Worker process only.
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

from dedupd.adapters.vision.accelerators import best_device
from dedupd.adapters.vision.embedders.base import Model
from dedupd.errors import VisionError

_MEMORY_LIMIT = 8 << 30
"""Bytes: torch and a large vision transformer do not fit into what decoding needs."""


class TorchEmbedder:
    """A network of torch as an embedder.

    `load`: model -> (network with its weights, PIL picture -> (3, S, S) tensor, S); it may raise anything.
    `features`: network, (N, 3, S, S) tensor -> (N, D) tensor.
    """

    def __init__(
        self,
        model: Model,
        load: Callable[[Model], tuple[Any, Any, int]],
        features: Callable[[Any, Any], Any],
    ) -> None:
        self._features = features
        self._torch, network, self._preprocess, self.side = loaded(model, load)
        self._network: Any = network.eval()
        self._move_to(best_device(self._torch))
        self.dimensions = int(
            self.embed(self.prepare(Image.new("RGB", (self.side, self.side)))[None]).shape[1]
        )
        self.note = f"torch {self._dtype} on {self._device}".replace("torch.", "")

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        """(3, S, S) float32: the model's own resize, crop and normalisation."""
        return np.asarray(self._preprocess(image).numpy(), dtype=np.float32)

    def embed(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) unit vectors; a batch that does not fit is halved, and at last moved to the CPU."""
        try:
            return self._encode(batch)
        except self._torch.OutOfMemoryError:
            if len(batch) > 1:
                half = len(batch) // 2
                return np.concatenate([self.embed(batch[:half]), self.embed(batch[half:])])
            if self._device == "cpu":
                raise VisionError("the embedder does not fit in memory: choose a smaller one") from None
            self._move_to("cpu")
            return self.embed(batch)

    def _encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(batch).to(self._device, self._dtype)
            vectors = self._features(self._network, pixels).float()
            unit = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
            return np.asarray(unit.cpu().numpy(), dtype=np.float32)

    def _move_to(self, device: str) -> None:
        if device == "cuda":
            # The driver maps far more memory than it uses.
            _raise_memory_limit(None)
        dtype = _best_dtype(self._torch, device)
        try:
            self._network = self._network.to(device, dtype)
        except (RuntimeError, self._torch.OutOfMemoryError):
            if device == "cpu":
                raise
            device, dtype = "cpu", _best_dtype(self._torch, "cpu")
            self._network = self._network.to(device, dtype)
        self._device, self._dtype = device, dtype


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


def _best_dtype(torch: Any, device: str) -> Any:
    """bfloat16 when the hardware multiplies it: the same vectors (cosine .9999) several times faster."""
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device == "cpu" and _cpu_has_bfloat16() else torch.float32


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


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
