"""The child that downloads weights: `python -m dedupd.adapters.vision.embedders.fetch ENGINE NAME TAG`.

Owns the only network access of dedupd; prints 'progress DONE TOTAL' lines, then 'done' or one sentence.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import sys
import threading
from pathlib import Path

from dedupd.adapters.vision.child import end_with_parent

_EVERY_SECONDS = 0.5


def _download(engine: str, name: str, tag: str) -> None:
    from huggingface_hub import constants

    done = threading.Event()
    watcher = threading.Thread(target=_report, args=(Path(constants.HF_HUB_CACHE), done), daemon=True)
    watcher.start()
    try:
        (_open_clip if engine == "open_clip" else _timm)(name, tag)
    finally:
        done.set()


def _open_clip(name: str, tag: str) -> None:
    import open_clip

    settings = open_clip.get_pretrained_cfg(name, tag)
    if not settings:
        raise ValueError(f"OpenCLIP knows no weights {name}/{tag}")
    open_clip.download_pretrained(settings)


def _timm(name: str, tag: str) -> None:
    import timm
    from timm.models import get_pretrained_cfg

    full = f"{name}.{tag}" if tag else name
    known = get_pretrained_cfg(full) if timm.is_model(name) else None
    if known is None or not known.hf_hub_id:
        raise ValueError(f"timm knows no weights {full} on the hub")
    timm.create_model(full, pretrained=True, num_classes=0)


def _report(cache: Path, done: threading.Event) -> None:
    """The growth of the file being written: the hub's own progress bar is made for people."""
    while not done.wait(_EVERY_SECONDS):
        sizes = [path.stat().st_size for path in cache.glob("models--*/blobs/*.incomplete")]
        print("progress", max(sizes, default=0), 0, flush=True)


def main() -> None:
    """Download, then say how it went."""
    end_with_parent()
    try:
        _download(*sys.argv[1:4])
    except Exception as error:  # noqa: BLE001
        lines = str(error).strip().splitlines() or [type(error).__name__]
        print(lines[0], flush=True)
        return
    print("done", flush=True)


if __name__ == "__main__":
    main()
