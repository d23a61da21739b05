"""What `bench speed` paints, runs and tells; never how fast it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from hashlib import md5
from pathlib import Path

import pytest
from PIL import Image

from dedupd.adapters.vision.embedders.open_clip import DEFAULT_OPEN_CLIP
from dedupd.adapters.vision.embedders.registry import parse
from dedupd.bench import naive, others, speed
from dedupd.bench.camera import paint, shots
from dedupd.errors import DedupdError


def test_of_ten_photos_eight_are_different_one_is_a_byte_copy_and_one_saved_again(tmp_path: Path) -> None:
    paint(tmp_path, photos=10, megapixels=0.1)
    paths = sorted(tmp_path.rglob("*.jpg"))
    contents = Counter(md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in paths)
    assert (len(paths), len(contents)) == (10, 9)
    sizes = Counter(Image.open(path).size for path in paths)
    assert sizes == {(368, 276): 9, (184, 138): 1}


@pytest.mark.parametrize(("photos", "different"), [(1, 1), (9, 9), (25, 21), (300, 240)])
def test_the_different_ones_are_three_of_a_place(photos: int, different: int) -> None:
    found = list(shots(photos))
    assert len({shot.path for shot in found}) == len(found) == different
    assert max(Counter(shot.place for shot in found).values()) <= 3
    months = {(shot.place, shot.path.rpartition("/")[0]) for shot in found}
    assert len(months) == len({month for _, month in months}), (
        "or look-alikes of painted places fill the pairs"
    )


def test_a_tiny_run_tells_all_that_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "installed", list)
    usual = speed._run
    monkeypatch.setattr(speed, "_run", lambda *words: "lite0-gem/1" if "--model" in words else usual(*words))
    steps: list[str] = []
    found = speed.measure(10, 0.1, 1, lambda phase, done, total: steps.append(phase))
    told = asdict(found)
    promised = {
        "machine", "photos", "megapixels", "ratio_to_naive", "photos_per_s", "read_ms", "pair_ms", "pairs", "peak_mb",
        "peers",
    }  # fmt: skip
    assert promised <= told.keys()
    assert (found.photos, found.megapixels, found.runs, found.peers) == (10, 0.1, 1, {})
    assert found.pairs >= 1
    assert "lite0-gem/1" in found.naive
    assert min(found.read_ms, found.pair_ms, found.peak_mb, found.naive_s, found.ratio_to_naive) > 0
    assert 0 < found.system_share < 1
    assert all(each.least <= told[name] <= each.greatest for name, each in found.spread.items())
    assert steps == ["paint", "scan", "naive"]


def test_the_naive_way_has_vit_b_32_whatever_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naive, "random_weights", lambda folder: f"open_clip:ViT-B-32@{folder}/ViT-B-32.pt")
    monkeypatch.setattr(naive, "choose", lambda setting: (parse("lite0"), ""))
    assert naive.model_here(tmp_path) == f"open_clip:ViT-B-32@{tmp_path}/ViT-B-32.pt"

    def not_here(folder: Path) -> str:
        raise DedupdError("open_clip is not here")

    monkeypatch.setattr(naive, "random_weights", not_here)
    assert naive.model_here(tmp_path) == "lite0-gem/1"
    monkeypatch.setattr(naive, "choose", lambda setting: (parse(DEFAULT_OPEN_CLIP), ""))
    assert naive.model_here(tmp_path) == DEFAULT_OPEN_CLIP


def test_what_reads_for_the_worker_counts_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in speed._children(os.getpid())
        assert speed._held_at_most(child.pid) > 1 or sys.platform != "linux"


def test_cpu_time_of_a_process_is_told_in_seconds() -> None:
    used = speed.cpu_of(os.getpid())
    times = os.times()
    assert abs(used - (times.user + times.system)) < 2
