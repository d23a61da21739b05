"""Small pictures that cannot be kept, read or removed cost a proof, and never the request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from dedupd.adapters.index.record_file import RecordFile
from dedupd.adapters.vision.candidates.coarse import SIDE
from dedupd.adapters.vision.messages import PairToProve
from dedupd.adapters.vision.proof import PairPictures, prove
from dedupd.adapters.vision.small_files import SmallFiles
from dedupd.core.relations import Prospect
from tests.support.pictures import picture

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


@pytest.mark.parametrize("may", [Prospect(), Prospect(likely=True), Prospect(burst=True)])
def test_a_pair_of_older_rows_leaves_its_small_pictures(tmp_path: Path, may: Prospect) -> None:
    """From whichever look its measuring has just taken."""
    paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for number, path in enumerate(paths):
        picture(number, (1600, 1200)).save(path, quality=92)
    a, b = (blake3(path.read_bytes()).hexdigest() for path in paths)
    pair = PairToProve(key=0, a=a, b=b, path_a=os.fsencode(paths[0]), path_b=os.fsencode(paths[1]), may=may)
    smalls, gallery = SmallFiles(tmp_path / "index", "2"), PairPictures(1)
    made = smalls.of_proofs(gallery, [pair])
    assert prove(pair, gallery).measures is not None
    made.remember(pair)
    made.store()
    found = smalls.of([a, b])
    assert found.shapes == pytest.approx([4 / 3, 4 / 3], abs=0.01)
    for number, pixels in enumerate(found.pixels):
        own = np.asarray(
            picture(number, (1600, 1200)).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        )
        assert abs(pixels.astype(float) - own).mean() < 2
