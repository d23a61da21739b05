"""Lets torchvision be imported beside a torch of another build (CPU beside CUDA), as on some test machines.

Never part of the product: there, such a pair means that OpenCLIP cannot be used. The two operators are declared
and never called; models of pictures need none of them.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

SITE = '''"""Declares torchvision's operators once torch is there, for a worker started by a test."""
import importlib.abc, importlib.util, sys

class Declarer(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            sys.path.insert(0, {root!r})
            from tests.support.torchvision_ops import declare
            sys.path.remove({root!r})
            declare()
        return None

sys.meta_path.insert(0, Declarer())
'''


def mismatched() -> bool:
    """True when torchvision was built for CUDA and torch was not."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    version = Path(spec.submodule_search_locations[0], "version.py").read_text()
    return (
        torch.version.cuda is None and re.search(r"^__version__ = '.*\+cu", version, re.MULTILINE) is not None
    )


def declare() -> None:
    """Must run before torchvision is imported. Does nothing where the builds fit."""
    if not mismatched():
        return
    import torch

    for name in ("nms", "qnms"):
        try:
            torch.library.define(
                f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        except RuntimeError:
            return  # declared before


def site(folder: Path) -> Path:
    """A folder for PYTHONPATH with which a subprocess does the same."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE.replace("{root!r}", repr(str(Path(__file__).parents[2]))))
    return folder
