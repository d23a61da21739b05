"""Labels are read once and whole: what is wrong with them is told before a run that takes long."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dedupd.bench import measure as module
from dedupd.bench import others
from dedupd.bench.measure import measure
from dedupd.errors import UsageError

GOOD: dict[str, Any] = {"path": "a.jpg", "group_id": "g1", "relation": "original"}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A library that finds nothing, and another tool that takes both files for one; what was run is noted."""
    run: list[str] = []
    report = {"groups": [], "total_images": 2, "skipped": [], "model": "m"}

    def scan(**options: object) -> SimpleNamespace:
        run.append("scan")
        return SimpleNamespace(report=report)

    @contextmanager
    def opened(*_: object, **options: object) -> Generator[SimpleNamespace]:
        yield SimpleNamespace(scan=scan)

    monkeypatch.setattr(module.Library, "open", opened)
    one = others.Tool(
        name="one",
        installed=lambda: True,
        groups=lambda folder, scratch: [[str(folder / "a.jpg"), str(folder / "b.jpg")]],
    )
    monkeypatch.setattr(others, "installed", lambda: [one])
    return run


def labelled(tmp_path: Path, *labels: dict[str, Any]) -> Path:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"files": labels}))
    return truth


@pytest.mark.parametrize("unknown", [{}, {"width": None, "height": None}, {"width": 40, "height": None}])
def test_a_size_that_is_not_known_counts_as_none(
    tmp_path: Path, runs: list[str], unknown: dict[str, Any]
) -> None:
    other = {"path": "b.jpg", "group_id": "g1", "relation": "resized", "width": 20, "height": 30}
    found = measure(tmp_path, labelled(tmp_path, GOOD | unknown, other), lambda *_: None)
    assert runs == ["scan", "scan"]
    assert found.others[0].score.lesser_kept == 1  # the file with known pixels stays


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": "wide"}, r"files\[0\]\.width"),
        ({"relation": None}, r"files\[0\]\.relation"),
        ({"path": 7}, r"files\[0\]\.path"),
        ({"sha256": ["x"]}, r"files\[0\]\.sha256"),
    ],
)
def test_a_label_that_cannot_be_meant_is_told_before_the_run(
    tmp_path: Path, runs: list[str], wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        measure(tmp_path, labelled(tmp_path, GOOD | wrong), lambda *_: None)
    assert runs == []
