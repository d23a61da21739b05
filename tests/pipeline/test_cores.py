"""How many cores a library takes: what its settings say, and whether a person waits for it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dedupd.config import Settings, Speed, places
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
        assert [(options["cores"], options["waited_for"]) for options in made] == [(0, waited_for)]


def test_cores_of_the_settings_reach_the_worker(tmp_path: Path, made: list[dict[str, Any]]) -> None:
    with closing(Library(Settings(speed=Speed(cores=3)), places(tmp_path / "state"))):
        assert [options["cores"] for options in made] == [3]
