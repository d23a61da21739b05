"""Summaries are written whole, beside the photos, and never through a link."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dedupd.adapters.fs.summary_files import SummaryFiles
from dedupd.core.records import RootRow
from dedupd.core.summary import MonthSummary


@pytest.fixture
def summary(tmp_path: Path) -> MonthSummary:
    return MonthSummary(
        root=str(tmp_path / "Pictures"), month="2024-06", photos=3, guessed=0, moved_files=1, moved_groups=1,
        bytes_saved=10, model="", thresholds={}, keep_policy="best", groups=[], elsewhere=[], skipped={},
        written_at="2024-07-01T00:00:00+00:00",
    )  # fmt: skip


def write(tmp_path: Path, summary: MonthSummary) -> str:
    root = RootRow(id=1, path=str((tmp_path / "Pictures").resolve()), uuid="0123456789")
    return SummaryFiles(tmp_path / "logs").write(root, "2024", summary)


def test_both_copies_carry_the_line_that_scripts_rely_on(tmp_path: Path, summary: MonthSummary) -> None:
    (tmp_path / "Pictures/2024").mkdir(parents=True)
    assert write(tmp_path, summary) == ""
    line = "Moved 1 duplicate files from 1 group(s) in 2024/06."
    for folder in (tmp_path / "Pictures/2024/duplicates_summary", tmp_path / "logs/Pictures-01234567"):
        assert line in (folder / "2024-06.md").read_text()
        assert json.loads((folder / "2024-06.json").read_text())["line"] == line
        assert {p.name for p in folder.iterdir()} == {"2024-06.md", "2024-06.json"}


def test_a_link_in_the_place_of_the_folder_or_the_page_is_refused(
    tmp_path: Path, summary: MonthSummary
) -> None:
    (tmp_path / "Pictures/2024/duplicates_summary").mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, tmp_path / "Pictures/2024/duplicates_summary/2024-06.md")
    assert "could not be written" in write(tmp_path, summary)
    assert victim.read_text() == "precious"


def test_a_linked_year_folder_is_not_followed_out_of_the_root(tmp_path: Path, summary: MonthSummary) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "Pictures").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "Pictures/2024")
    assert "through a link" in write(tmp_path, summary)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_year_folder_that_is_gone_is_not_made_anew(tmp_path: Path, summary: MonthSummary) -> None:
    (tmp_path / "Pictures").mkdir()
    assert "could not be written" in write(tmp_path, summary)
    assert list((tmp_path / "Pictures").iterdir()) == []
