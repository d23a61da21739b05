"""ViT-B-32 with random weights: as fast as with real ones, and here without a network.

Owns how they are made, in a process of its own, so that nothing of it counts in a measurement. What they see means nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dedupd.errors import DedupdError

_SCRIPT = """
import sys, torch, open_clip
torch.manual_seed(1)
torch.save(open_clip.create_model("ViT-B-32", pretrained=None).state_dict(), sys.argv[1])
"""


def random_weights(folder: Path) -> str:
    """Write them (600 MB) into `folder`; returns the setting that names them. Raises DedupdError."""
    file = folder / "ViT-B-32.pt"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise DedupdError(f"the weights of ViT-B-32 could not be made: {why}")
    return f"open_clip:ViT-B-32@{file}"
