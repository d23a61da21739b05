"""Runs an ONNX graph: one thread on the CPU without spinning, or cards; no telemetry.

Owns which of the offered providers is used: one that starts, and gives the same vectors as the CPU. Worker process
only.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.accelerators import NOT_MEASURED, onnx_providers

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


class OnnxCards:
    """The graph on each card that ONNX Runtime can use and that gives the same vectors; thread-safe. There may be
    none."""

    def __init__(self, graph: Path, make_probe: Callable[[], NDArray[Any]]) -> None:
        """`make_probe`: pictures for which each card is asked once, and the processor."""
        runtime = _engine()
        self._graph, self._lost = graph, 0
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._losing = threading.Lock()
        self.names: list[str] = []
        self._processor: Run | None = None
        if offered := list(onnx_providers(runtime)):
            probe = make_probe()
            wanted = self._here(probe)
            for name, options in offered:
                if (session := _tried(runtime, graph, name, options, probe, wanted)) is not None:
                    self._idle.put(session)
                    self.names.append(f"{name}:{options['device_id']}" if "device_id" in options else name)
        self._processor = None  # made again when every card has failed
        self.batch, self.lanes = _ON_CARD, len(self.names)

    @property
    def note(self) -> str:
        """For people."""
        return f"{', '.join(self.names)}; {NOT_MEASURED}"

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """By the first card that is idle; when none works any more, by the processor."""
        while self._lost < self.lanes:
            session = self._idle.get()
            if session is None:
                break
            try:
                found = self._in_parts(session, batch)
            except Exception as error:  # noqa: BLE001
                # Whatever a driver raises: this card's work goes to the others.
                self._lose(error)
            else:
                self._idle.put(session)
                return found
        return self._here(batch)

    def _in_parts(self, session: Any, batch: NDArray[Any]) -> NDArray[np.float32]:
        """A batch that does not fit into its memory is halved, and later ones too. Raises whatever a driver raises, also when not
        even one picture fits."""
        found, done = list[NDArray[np.float32]](), 0
        while done < len(batch):
            part = batch[done : done + self.batch]
            try:
                found.append(session.run(None, {"pictures": part})[0])
                done += len(part)
            except Exception as error:
                if len(part) == 1 or not _out_of_memory(error):
                    raise
                self.batch = min(self.batch, max(1, len(part) // 2))
        return np.concatenate(found)

    def _lose(self, error: Exception) -> None:
        with self._losing:
            self._lost += 1
            left = self.lanes - self._lost
        _say(
            f"a card failed ({_first(error)}): its work goes to {f'{left} other(s)' if left else 'the processor'}"
        )
        if not left:
            for _ in range(self.lanes):  # whoever waits for a card
                self._idle.put(None)

    def _here(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        if self._processor is None:
            self._processor = onnx_runner(self._graph)
        return np.concatenate([self._processor(batch[at : at + 2]) for at in range(0, len(batch), 2)])


def _tried(
    runtime: Any,
    graph: Path,
    name: str,
    options: dict[str, str],
    probe: NDArray[Any],
    wanted: NDArray[np.float32],
) -> Any:
    """A session with this provider; None, and a sentence, when it does not start or sees otherwise."""
    try:
        session = _session(runtime, graph, [(name, options), _PROCESSOR])
        # One that does not start is left out without a word.
        if name not in session.get_providers():
            raise RuntimeError("its libraries do not load")
        if _least_cosine(session.run(None, {"pictures": probe})[0], wanted) >= _LEAST_COSINE:
            return session
        why = "it gives other vectors"
    except Exception as error:  # noqa: BLE001
        # Whatever a provider raises, the processor is there.
        why = _first(error)
    _say(f"ONNX Runtime's {name} is not used ({why}): the processor sees")
    return None


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


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _say(line: str) -> None:
    """Into the worker's log."""
    print(line, file=sys.stderr, flush=True)
