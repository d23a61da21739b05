"""Which graphics cards may be used, how much of their memory, and with which number format.

Each process sets it once, before a network's library is loaded: later it would have no effect. On one card several
processes work: one embeds, and with `gpu_decode` DECODERS more decode photos. Together they are allowed the share of
its memory that its owner set; what the driver keeps for itself in each of them, some hundred MB, no library counts.
Must never load such a library, except to describe it.

    python -m dedupd.adapters.vision.accelerators GPUS FRACTION     one line of what is there, for `dedupd doctor`
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ALL = "all"
NOT_MEASURED = "not measured on a card"
_PATIENCE_SECONDS = 20.0
DECODERS = 4
"""Processes that decode on one card: a single one, one file at a time, would leave it idle most of the time."""
_allowed: dict[str, Any] = {"gpus": ALL, "memory": 0.9, "decoding": False}
_HALF, _BRAIN = (7, 0), (8, 0)
"""Compute capabilities from which CUDA cards compute float16 and bfloat16 at full speed; older cards emulate
them."""


def allow(gpus: str, memory_fraction: float, *, decoding: bool = False) -> None:
    """`gpus`: how many cards, as '0' or '2', or 'all'. `memory_fraction`: share of each card's memory, 0 to
    1, of this process and of those that it starts; `decoding`: some of those decode photos on the cards."""
    _allowed.update(gpus=gpus, memory=memory_fraction, decoding=decoding)
    if gpus != ALL:
        count = int(gpus)
        known = os.environ.get("CUDA_VISIBLE_DEVICES")
        cards = [str(card) for card in range(count)] if known is None else known.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(cards[:count])


def share_to_embed() -> float:
    """Of a card's memory, for the process that embeds on it: half of what is allowed where others decode there."""
    return float(_allowed["memory"]) / (2 if _allowed["decoding"] else 1)


def share_to_decode() -> float:
    """The same for each process that decodes: a photo of 24 Mpixel takes 0.65 GB meanwhile, which a card of 8 GB has."""
    return (float(_allowed["memory"]) - share_to_embed()) / DECODERS


def torch_cards(torch: Any) -> list[str]:
    """The cards that torch may compute on. They are only counted: nothing is asked of them in this process."""
    if _allowed["gpus"] == "0":
        return []
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else []


def take(torch: Any, card: str) -> None:
    """Let this process use this card alone, and no more of its memory than allowed: the first thing that is asked of it.
    Raises whatever a driver raises."""
    if card.startswith("cuda"):
        torch.cuda.set_device(card)  # else some memory of the first card would be taken too
        torch.cuda.set_per_process_memory_fraction(float(_allowed["memory"]), card)
    elif card == "mps":
        torch.mps.set_per_process_memory_fraction(float(_allowed["memory"]))


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


def onnx_cards(onnxruntime: Any) -> list[str]:
    """What ONNX Runtime may compute on beside the processor, as 'PROVIDER:NUMBER' or 'PROVIDER'; it is not tried yet."""
    if _allowed["gpus"] == "0":
        return []
    offered = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" in offered:
        return [f"CUDAExecutionProvider:{number}" for number in range(_cards_of_nvidia())]
    return ["CoreMLExecutionProvider"] if "CoreMLExecutionProvider" in offered else []


def onnx_provider(card: str) -> tuple[str, dict[str, str]]:
    """How ONNX Runtime is told to compute on this card."""
    name, _, number = card.partition(":")
    if not number:
        return name, {}
    # Without TF32: its ten bits of mantissa would give other vectors than the processor.
    options = {"device_id": number, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    if cards := _memory_of_nvidia():
        options["gpu_mem_limit"] = str(int(min(cards) * _allowed["memory"]))
    return name, options


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

        named = [_named(torch, card) for card in torch_cards(torch) if _taken(torch, card)]
        said.append(f"torch {torch.__version__} on {', '.join(named or [_named(torch, 'cpu')])}")
    except Exception as error:  # noqa: BLE001
        # Whatever keeps a broken installation from being imported.
        said.append(f"torch cannot be used ({type(error).__name__})")
    try:
        import onnxruntime

        found = ", ".join(onnx_cards(onnxruntime)) or "the processor"
        said.append(f"ONNX Runtime {onnxruntime.__version__} on {found}")
    except Exception as error:  # noqa: BLE001
        said.append(f"ONNX Runtime cannot be used ({type(error).__name__})")
    on_cards = any(word in line for line in said for word in ("cuda", "mps", "Provider"))
    memory = f"; {_allowed['memory']:.0%} of a card's memory; {NOT_MEASURED}" if on_cards else ""
    return "; ".join(said) + memory


def _taken(torch: Any, card: str) -> bool:
    """Whether this process can have it; one that is broken, or another program's alone, keeps nobody from the others."""
    try:
        take(torch, card)
    except Exception as error:  # noqa: BLE001
        # Whatever a driver raises.
        print(f"{card} is not used ({first_line(error)})", file=sys.stderr, flush=True)
        return False
    return True


def first_line(error: Exception) -> str:
    """What went wrong, in one line: drivers say much."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _named(torch: Any, device: str) -> str:
    numbers = str(number_format(torch, device)).replace("torch.", "")
    name = f" {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else ""
    way = attention(torch, device)
    return f"{device}{name} ({numbers}{', ' if way else ''}{way})"


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    allow(sys.argv[1], float(sys.argv[2]))
    print(told())
