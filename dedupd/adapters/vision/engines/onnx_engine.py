"""Runs an ONNX graph: one thread, no spinning, no telemetry. Worker process only."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def onnx_runner(graph: Path | bytes) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """A function that gives the graph's first output for an array of "pictures"."""
    # ONNX Runtime reads it when it is loaded; without it, it creates a lasting device id and sends telemetry
    # (P18).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
    )
    return lambda batch: session.run(None, {"pictures": batch})[0]
