"""A pass that has nothing to look at starts no worker: that would be most of what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from dedupd import Library
from dedupd.adapters.vision.client import VisionWorker
from tests.support.pictures import picture, save, small_gallery


def workers_of(scan_of: Path, state: Path) -> bool:
    """Whether a scan that moves what it may started a worker."""
    with Library.open([scan_of], state_dir=state, embedder="hashes") as library:
        library.scan(yes=True)
        return cast("VisionWorker", library.vision).pid is not None


def test_only_a_pass_with_something_new_starts_a_worker(tmp_path: Path) -> None:
    root, state = small_gallery(tmp_path / "Pictures"), tmp_path / "state"
    assert workers_of(root, state)
    assert not workers_of(root, state)  # what moved is grouped again
    (root / "2024/06/IMG_0002.jpg").unlink()
    assert not workers_of(root, state)
    save(root / "2024/07/IMG_0005.jpg", picture(5))
    assert workers_of(root, state)
