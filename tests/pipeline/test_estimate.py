"""What a first scan would come to, told from a sample: against what the scan itself finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.core.foreign import Scope
from dedupd.core.narrowing import Narrowing
from dedupd.errors import RootError
from dedupd.pipeline import estimate as estimating
from dedupd.pipeline.estimate import Estimate, estimate
from dedupd.ports import FileRequest, Ingested, Proof, ProofRequest
from tests.fakes.clock import FakeClock
from tests.fakes.vision import FakeVision, pseudo_photo


class SlowEyes(FakeVision):
    """Ten seconds until they see, one for each photo, two for each pair."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.names: list[str] = []

    def load(self) -> None:
        self.clock.advance(10)

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        for request, look in zip(requests, super().ingest(requests), strict=True):
            self.names.append(Path(request.path).name)
            self.clock.advance(1)
            yield look

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        for proof in super().prove(requests):
            self.clock.advance(2)
            yield proof


def photos(root: Path, count: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (root / f"{number:03}.jpg").write_bytes(pseudo_photo(f"scene {'x' * number}"))


def told(
    *roots: Path, narrowing: Narrowing | None = None, disk: LocalDisk | None = None
) -> tuple[Estimate, SlowEyes]:
    clock = FakeClock()
    eyes = SlowEyes(clock)
    names = [str(root) for root in roots]
    return estimate(names, disk or LocalDisk(), eyes, clock, Scope(), narrowing or Narrowing()), eyes


def test_time_comes_from_a_sample_over_all_sizes(tmp_path: Path) -> None:
    photos(tmp_path, 200)
    found, eyes = told(tmp_path)
    assert (found.photos, found.sampled, len(eyes.names)) == (200, 32, 32)
    low, high = 12 + 200 + 200 * 0.3 * 2, 12 + 200 + 200 * 2
    assert found.seconds == pytest.approx((low, high)), "start and warm-up, photos, pairs"
    numbers = sorted(int(name[:3]) for name in eyes.names)
    assert numbers[0] < 10 and numbers[-1] > 190


def test_what_is_no_photo_is_not_counted_as_one(tmp_path: Path) -> None:
    photos(tmp_path, 10)
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"a note {'y' * number}")
    (tmp_path / "clip.mp4").write_bytes(b"moving")
    (tmp_path / "duplicates").mkdir()
    (tmp_path / "duplicates/held.jpg").write_bytes(b"held")
    found, _ = told(tmp_path)
    assert (found.photos, found.undecoded) == (10, 1)


def test_same_bytes_are_counted_by_their_beginning_root_by_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "BEGINNING", 8)
    for root, name, text in (
        ("one", "a.jpg", "12345678 more"), ("one", "b.jpg", "12345678 more"), ("one", "c.jpg", "87654321 more"),
        ("two", "d.jpg", "12345678 more"), ("two", "empty.jpg", ""), ("two", "empty 2.jpg", ""),
    ):  # fmt: skip
        (tmp_path / root).mkdir(exist_ok=True)
        (tmp_path / root / name).write_text(text)
    found, _ = told(tmp_path / "one", tmp_path / "two")
    assert (found.same_files, found.same_bytes) == (1, 13), "only the same root supplies a keeper"


def test_of_many_sets_some_stand_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "SAME_SIZE", 5)
    photos(tmp_path / "x", 20)
    photos(tmp_path / "y", 20)
    assert told(tmp_path)[0].same_files == 20


def test_what_lies_in_the_cloud_is_not_opened(tmp_path: Path) -> None:
    class Cloud(LocalDisk):
        def local(self, root: str, path: str) -> bool:
            return False

        def reading(self, root: str, path: str) -> object:
            raise AssertionError("opened")

    photos(tmp_path / "x", 3)
    photos(tmp_path / "y", 3)
    found, eyes = told(tmp_path, disk=Cloud())
    assert (found.photos, found.same_files, eyes.names) == (0, 0, [])
    assert "in the cloud only" in found.problems[0]


def test_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    photos(tmp_path / "in", 3)
    photos(tmp_path / "out", 3)
    found, eyes = told(tmp_path, narrowing=Narrowing(exclude=("out",)))
    assert (found.photos, len(eyes.names), found.same_files) == (3, 3, 0)


def test_a_root_that_is_not_there_is_told_and_without_any_there_is_nothing_to_say(tmp_path: Path) -> None:
    photos(tmp_path / "here", 1)
    found, _ = told(tmp_path / "gone", tmp_path / "here")
    assert found.photos == 1
    assert str(tmp_path / "gone") in found.problems[0]
    with pytest.raises(RootError):
        told(tmp_path / "gone")
