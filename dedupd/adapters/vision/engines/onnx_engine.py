"""Runs an ONNX graph: one thread on the CPU without spinning, or a card; no telemetry.

Owns which of the offered providers is used: one that starts, and gives the same vectors as the CPU. The worker runs
it on the CPU alone, a card's process (card_process.py) on that card.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.accelerators import onnx_cards, onnx_provider

_LEAST_COSINE = 0.999
"""Between the vectors of a provider and those of the processor."""
_ON_CARD = 32
"""Pictures that a card is given at once."""
_PROCESSOR = "CPUExecutionProvider"

Run = Callable[[NDArray[Any]], NDArray[np.float32]]


def onnx_runner(graph: Path | bytes) -> Run:
    """What gives the graph's first output for an array of "pictures", on the processor."""
    run = _session(_engine(), graph, [_PROCESSOR])
    return lambda batch: run.run(None, {"pictures": batch})[0]


def cards_of_onnx() -> list[str]:
    """The cards that ONNX Runtime may use; none is tried in this process."""
    return onnx_cards(_engine())


class OnnxOnCard:
    """The graph on one card, in its process."""

    def __init__(self, graph: Path, card: str, probe: NDArray[Any]) -> None:
        """Raises whatever a provider raises, and when it gives other rows than the processor for `probe`."""
        self.told, self.at_once = card, _ON_CARD
        name, options = onnx_provider(card)
        self._session = _session(_engine(), graph, [(name, options), _PROCESSOR])
        # One that does not start is left out without a word.
        if name not in self._session.get_providers():
            raise RuntimeError("its libraries do not load")
        wanted = onnx_runner(graph)(probe)
        if not _least_cosine(self.run(probe), wanted) >= _LEAST_COSINE:
            raise RuntimeError("it gives other vectors")

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """A batch that does not fit into its memory is halved, and later ones too. Raises whatever a driver raises, also when not
        even one picture fits."""
        found, done = list[NDArray[np.float32]](), 0
        while done < len(batch):
            part = batch[done : done + self.at_once]
            try:
                found.append(self._session.run(None, {"pictures": part})[0])
                done += len(part)
            except Exception as error:
                if len(part) == 1 or not _out_of_memory(error):
                    raise
                self.at_once = max(1, len(part) // 2)
        return np.concatenate(found)


def _out_of_memory(error: Exception) -> bool:
    """ONNX Runtime has no kind of its own for it."""
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "failed to allocate", "alloc_failed"))


def _least_cosine(ones: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(ones, axis=1) * np.linalg.norm(others, axis=1)
    return float(((ones * others).sum(axis=1) / np.maximum(lengths, 1e-12)).min())


def _session(runtime: Any, graph: Path | bytes, providers: list[Any]) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = graph if isinstance(graph, bytes) else str(graph)
    return runtime.InferenceSession(source, options, providers=providers)


def _engine() -> Any:
    # Read when it is loaded; without it, it makes a lasting device id and calls its maker (P18).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime
