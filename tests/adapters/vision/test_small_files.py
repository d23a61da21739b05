"""Small pictures that cannot be kept, read or removed cost a proof, and never the request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dedupd.adapters.index.record_file import RecordFile
from dedupd.adapters.vision.candidates.coarse import SIDE
from dedupd.adapters.vision.small_files import SmallFiles

A = "a" * 64


def test_a_disk_that_refuses_leaves_them_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smalls = SmallFiles(tmp_path, "2")

    def refused(*arguments: object, **named: object) -> Any:
        raise OSError(28, "No space left on device")

    for act in ("add", "get", "lacks", "remove"):
        monkeypatch.setattr(RecordFile, act, refused)
    smalls.keep([A], [1.5], [np.zeros((SIDE, SIDE), np.uint8)])
    smalls.remove([A])
    smalls.of_proofs(cast("Any", None), []).store()
    assert smalls.of([A]).shapes.tolist() == [0]


def test_a_library_without_any_is_read(tmp_path: Path) -> None:
    smalls = SmallFiles(tmp_path / "index", "2")
    assert not (tmp_path / "index").exists()
    assert smalls.of([A]).shapes.tolist() == [0]
    smalls.keep([A], [1.5], [np.full((SIDE, SIDE), 7, np.uint8)])
    again = SmallFiles(tmp_path / "index", "2").of([A])
    assert (again.shapes.tolist(), int(again.pixels[0, 0, 0])) == ([1.5], 7)
