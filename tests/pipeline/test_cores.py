"""How many cores a library takes: that depends on whether a person waits for it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.vision.worker import _thread_count
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
    ("cores", "waited_for", "threads"),
    [(1, True, 2), (2, False, 2), (3, False, 2), (3, True, 3), (64, False, 4), (64, True, 4)],
)
def test_half_of_the_cores_in_the_background_and_all_for_who_waits(
    monkeypatch: pytest.MonkeyPatch, cores: int, waited_for: bool, threads: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert _thread_count(waited_for=waited_for) == threads
