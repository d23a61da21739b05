"""doctor says what each root can do, and touches none that dedupd was never at work in."""

from __future__ import annotations

from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.cli import doctor
from dedupd.config import Settings
from dedupd.core.abilities import Way
from tests.support import disks


def moving(root: Path) -> doctor.Finding:
    (finding,) = [f for f in doctor._roots(Settings(roots=(root,))) if f.what == "moving"]
    return finding


def test_a_root_that_is_new_is_left_as_it_is(tmp_path: Path) -> None:
    before = tmp_path.stat()
    assert moving(tmp_path).good and "before the first move" in moving(tmp_path).told
    assert tmp_path.stat() == before


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Way.EXCLUSIVE, "a rename refuses a taken name"),
        (Way.LINK, "by a second name"),
        (Way.CLAIM, "an empty file has claimed"),
        (None, "nothing moves there"),
    ],
)
def test_a_known_root_says_how_files_move_in_it(
    tmp_path: Path, way: Way | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LocalDisk().mark(str(tmp_path))
    disks.limited(monkeypatch, way)
    found = moving(tmp_path)
    assert (found.good, told in found.told) == (way is not None, True), found
