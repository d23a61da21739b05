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
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.candidates.coarse import SIDE
from dedupd.adapters.vision.proof import PairPictures
from dedupd.adapters.vision.small_files import SmallFiles
from dedupd.core.relations import Prospect

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


@pytest.mark.parametrize("may", [Prospect(), Prospect(burst=True), Prospect(likely=True)])
def test_those_of_older_rows_are_made_of_what_a_proof_has_read(tmp_path: Path, may: Prospect) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    content = blake3(path.read_bytes()).hexdigest()
    pair = messages.PairToProve(
        key=0, a=content, b=content, path_a=os.fsencode(path), path_b=os.fsencode(path), may=may
    )
    smalls = SmallFiles(tmp_path / "index", "2")
    seen = smalls.of_proofs(PairPictures(), [pair])
    seen.remember(pair)
    seen.store()
    assert smalls.of([content]).shapes.tolist() == pytest.approx([4 / 3])


def test_a_photo_of_which_none_can_be_made_ends_nothing(tmp_path: Path) -> None:
    class Odd(PairPictures):
        def picture(self, path: str, content: str, side: int) -> Any:
            raise ValueError("odd")

    pair = messages.PairToProve(key=0, a=A, b=A, path_a=b"a", path_b=b"a", may=Prospect(burst=True))
    smalls = SmallFiles(tmp_path / "index", "2")
    seen = smalls.of_proofs(Odd(), [pair])
    seen.remember(pair)
    seen.store()
    assert smalls.of([A]).shapes.tolist() == [0]
