"""Which graphics cards the networks of this process may use, how much of their memory, and with which number
format.

The worker sets it once, before a network's library is loaded: later it would have no effect. Must never load such
a library, except to describe it.

    python -m dedupd.adapters.vision.accelerators GPUS FRACTION     one line of what is there, for `dedupd doctor`
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ALL = "all"
NOT_MEASURED = "not measured on a card"
_PATIENCE_SECONDS = 20.0
_allowed: dict[str, Any] = {"gpus": ALL, "memory": 0.9}
_HALF, _BRAIN = (7, 0), (8, 0)
"""Compute capabilities from which CUDA cards compute float16 and bfloat16 at full speed; older cards emulate
them."""


def allow(gpus: str, memory_fraction: float) -> None:
    """`gpus`: how many cards, as '0' or '2', or 'all'. `memory_fraction`: share of each card's memory, 0 to
    1."""
    _allowed.update(gpus=gpus, memory=memory_fraction)
    if gpus != ALL:
        count = int(gpus)
        known = os.environ.get("CUDA_VISIBLE_DEVICES")
        cards = [str(card) for card in range(count)] if known is None else known.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(cards[:count])


def devices(torch: Any) -> list[str]:
    """What torch may compute on: each allowed card, or Apple's, or the processor."""
    if _allowed["gpus"] != "0":
        if torch.cuda.is_available():
            every = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
            limit = torch.cuda.set_per_process_memory_fraction
            if found := [each for each in every if _takes_no_more(each, limit, each)]:
                return found
        if torch.backends.mps.is_available() and _takes_no_more(
            "mps", torch.mps.set_per_process_memory_fraction
        ):
            return ["mps"]
    return ["cpu"]


def _takes_no_more(device: str, limit: Callable[..., None], *of: str) -> bool:
    """Allow this process its share of a card's memory: the first thing that is asked of it. False when it is of no use."""
    try:
        limit(float(_allowed["memory"]), *of)
    except Exception as error:  # noqa: BLE001
        # Whatever a driver raises: one that is broken, or another program's alone, keeps nobody from the others.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        print(f"{device} is not used ({said})", file=sys.stderr, flush=True)
        return False
    return True


def memory_left(torch: Any, device: str) -> int:
    """Bytes that this process may still take of a card of CUDA."""
    free, total = torch.cuda.mem_get_info(device)
    return min(free, int(total * _allowed["memory"]) - torch.cuda.memory_allocated(device))


def number_format(torch: Any, device: str) -> Any:
    """bfloat16 or float16 where the hardware computes it: the same vectors (cosine .9999), several times faster."""
    if device.startswith("cuda"):
        if torch.version.hip:
            return torch.bfloat16
        capability = torch.cuda.get_device_capability(device)
        return (
            torch.bfloat16
            if capability >= _BRAIN
            else torch.float16
            if capability >= _HALF
            else torch.float32
        )
    return torch.bfloat16 if device == "cpu" and cpu_has_bfloat16() else torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def attention(torch: Any, device: str) -> str:
    """Which of torch's ways of attention it takes there of itself, for people."""
    if not device.startswith("cuda") or torch.version.hip:
        return ""
    built = torch.backends.cuda.is_flash_attention_available() and torch.backends.cuda.flash_sdp_enabled()
    return "flash attention" if built and torch.cuda.get_device_capability(device) >= _BRAIN else "sdpa"


def onnx_providers(onnxruntime: Any) -> list[tuple[str, dict[str, str]]]:
    """What ONNX Runtime may compute on beside the processor, one entry for each card; it is not tried yet."""
    if _allowed["gpus"] == "0":
        return []
    offered = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" in offered:
        # Without TF32: its ten bits of mantissa would give other vectors than the processor.
        usual = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
        if cards := _memory_of_nvidia():
            usual["gpu_mem_limit"] = str(int(min(cards) * _allowed["memory"]))
        return [
            ("CUDAExecutionProvider", {"device_id": str(number), **usual})
            for number in range(_cards_of_nvidia())
        ]
    if "CoreMLExecutionProvider" in offered:
        return [("CoreMLExecutionProvider", {})]
    return []


def _cards_of_nvidia(folder: Path = Path("/dev")) -> int:
    """Those that CUDA may see, without asking it."""
    there = sum(path.name[6:].isdigit() for path in folder.glob("nvidia[0-9]*"))
    there = there or int((folder / "dxg").exists())  # Linux within Windows
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return there if visible is None else min(there, sum(bool(part) for part in visible.split(",")))


def _memory_of_nvidia() -> list[int]:
    """Bytes of each card, by the driver's own program: ONNX Runtime tells none. Empty where it is not known."""
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True)
        return [int(line) << 20 for line in done.stdout.split()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def told() -> str:
    """Each engine with what it computes on, in which numbers. Loads the engines: takes seconds."""
    said: list[str] = []
    try:
        import torch

        named = {device: _named(torch, device) for device in devices(torch)}
        said.append(f"torch {torch.__version__} on {', '.join(named.values())}")
    except Exception as error:  # noqa: BLE001
        # Whatever keeps a broken installation from being imported.
        said.append(f"torch cannot be used ({type(error).__name__})")
    try:
        import onnxruntime

        found = [name for name, _ in onnx_providers(onnxruntime)]
        said.append(f"ONNX Runtime {onnxruntime.__version__} on {', '.join(found) or 'the processor'}")
    except Exception as error:  # noqa: BLE001
        said.append(f"ONNX Runtime cannot be used ({type(error).__name__})")
    on_cards = any(word in line for line in said for word in ("cuda", "mps", "Provider"))
    memory = f"; {_allowed['memory']:.0%} of a card's memory; {NOT_MEASURED}" if on_cards else ""
    return "; ".join(said) + memory


def _named(torch: Any, device: str) -> str:
    numbers = str(number_format(torch, device)).replace("torch.", "")
    name = f" {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else ""
    way = attention(torch, device)
    return f"{device}{name} ({numbers}{', ' if way else ''}{way})"


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    allow(sys.argv[1], float(sys.argv[2]))
    print(told())
