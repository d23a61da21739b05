"""The child process that downloads weights: `python -m dedupd.adapters.vision.embedders.fetch MODEL`.

Owns the only download of dedupd; prints 'progress DONE TOTAL' lines, then 'done' or one sentence.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from dedupd.adapters.vision.child import end_with_parent
from dedupd.adapters.vision.embedders.registry import families, parse

_EVERY_SECONDS = 0.5


def _download(name: str) -> None:
    from huggingface_hub import constants

    model = parse(name)
    fetch = families()[model.family].fetch
    assert fetch is not None  # the caller has looked
    done = threading.Event()
    watcher = threading.Thread(target=_report, args=(Path(constants.HF_HUB_CACHE), done), daemon=True)
    watcher.start()
    try:
        fetch(model)
    finally:
        done.set()


def _report(cache: Path, done: threading.Event) -> None:
    """Print the growth of the file being written: the hub's own progress bar is made for people, not for a
    parent process."""
    while not done.wait(_EVERY_SECONDS):
        sizes = [path.stat().st_size for path in cache.glob("models--*/blobs/*.incomplete")]
        print(f"progress {max(sizes, default=0)} 0\n", end="", flush=True)  # in one piece: two threads write


def main() -> None:
    """Download, then print the result."""
    end_with_parent()
    try:
        _download(sys.argv[1])
    except Exception as error:  # noqa: BLE001
        lines = str(error).strip().splitlines() or [type(error).__name__]
        print(f"{lines[0]}\n", end="", flush=True)
        return
    print("done\n", end="", flush=True)


if __name__ == "__main__":
    main()
