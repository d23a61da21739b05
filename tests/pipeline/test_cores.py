"""How many cores a library takes: that depends on whether a person waits for it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.vision import worker
from dedupd.adapters.vision.cores import readers_with_room, usable_cores
from dedupd.config import Settings, places
from dedupd.library import Library
from tests.fakes.vision import FakeVision


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each worker was made with."""
    found: list[dict[str, Any]] = []

    def worker(**options: Any) -> FakeVision:
        found.append(options)
        return FakeVision()

    monkeypatch.setattr("dedupd.library.build.VisionWorker", worker)
    return found


@pytest.mark.parametrize(("background", "waited_for"), [(False, True), (True, False)])
def test_a_person_waits_for_what_no_daemon_does(
    tmp_path: Path, made: list[dict[str, Any]], background: bool, waited_for: bool
) -> None:
    with closing(Library(Settings(), places(tmp_path / "state"), background=background)):
        assert [options["waited_for"] for options in made] == [waited_for]


@pytest.mark.parametrize(
    ("cores", "waited_for", "threads", "processes"),
    [(1, True, 2, 0), (2, False, 2, 0), (3, True, 3, 0), (4, True, 4, 0), (8, False, 4, 0), (8, True, 4, 8),
     (64, False, 4, 32), (64, True, 4, 40)],
)  # fmt: skip
def test_half_of_the_cores_in_the_background_and_all_for_who_waits(
    monkeypatch: pytest.MonkeyPatch, cores: int, waited_for: bool, threads: int, processes: int
) -> None:
    monkeypatch.setattr(worker, "usable_cores", lambda: cores)
    monkeypatch.setattr(worker, "readers_with_room", lambda: 40)
    assert worker._thread_count(waited_for=waited_for) == threads
    assert worker._reader_count(0, waited_for=waited_for) == processes


def test_of_a_large_machine_no_more_is_used_than_the_control_group_has(tmp_path: Path) -> None:
    own, group = tmp_path / "own", tmp_path / "control" / "user.slice" / "dedupd.service"
    own.write_text("1:name=systemd:/elsewhere\n0::/user.slice/dedupd.service\n")
    group.mkdir(parents=True)
    control = tmp_path / "control"
    free = usable_cores(control, own), readers_with_room(control, own)
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    assert (usable_cores(control, own), readers_with_room(control, own)) == free
    (group.parent / "cpu.max").write_text("150000 100000\n")
    (group / "memory.max").write_text("3000000000\n")
    assert usable_cores(control, own) == min(free[0], 2)
    assert readers_with_room(control, own) == min(free[1], 4)
    (group.parent / "cpu.max").write_text("50000 100000\n")
    (group / "memory.max").write_text("1000000000\n")
    assert (usable_cores(control, own), readers_with_room(control, own)) == (1, 0)


def test_the_cores_of_affinity_count_not_those_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert usable_cores(tmp_path, tmp_path / "none") == 6
