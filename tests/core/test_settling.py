"""A file is left alone until it has been quiet for the settle time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.photo import FileStat
from dedupd.core.settling import Quiet, ask_again_at, looked, passed_over, stable

NOON = 1_718_452_800
FRESH = FileStat(size=10, mtime_ns=NOON * 10**9, ctime_ns=NOON * 10**9, dev=1, ino=2)


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg.part",
        "a.jpg.partial",
        "a.jpg.CRDOWNLOAD",
        "a.download",
        "a.tmp",
        "~a.jpg",
        "~$a.jpg",
        "a.jpg~",
        ".a.jpg.x7Fq2",
        ".DS_Store",
        ".a.heic.icloud",
    ],
)
def test_names_of_unfinished_and_hidden_files_are_passed_over(name: str) -> None:
    assert passed_over(name)


def test_a_cloud_placeholder_is_called_one() -> None:
    assert passed_over(".IMG_0001.HEIC.icloud") == "still in the cloud"


@pytest.mark.parametrize(
    "name", ["a.jpg", "part.jpg", "a.part.jpg", "IMG~2.JPG", "tmp", "download", "…\u200b.png"]
)
def test_other_names_may_be_photos(name: str) -> None:
    assert passed_over(name) == ""


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "dev", "ino"])
def test_any_change_of_the_stat_starts_the_wait_again(field: str) -> None:
    changed = replace(FRESH, **{field: getattr(FRESH, field) + 1})
    assert not stable(FRESH, changed)
    assert looked(Quiet(stat=FRESH, since=5.0), changed, 9.0) == Quiet(stat=changed, since=9.0)


def test_an_unchanged_stat_keeps_its_start() -> None:
    assert looked(Quiet(stat=FRESH, since=5.0), FRESH, 9.0).since == 5.0


@pytest.mark.parametrize(("now", "answer"), [(100.0, 103.0), (102.9, 103.0), (103.0, None), (500.0, None)])
def test_a_fresh_file_waits_for_the_settle_time(now: float, answer: float | None) -> None:
    assert ask_again_at(Quiet(stat=FRESH, since=100.0), 3.0, now=now, wall=NOON + 0.5) == answer


def test_a_file_that_is_old_by_its_stamps_need_not_wait() -> None:
    assert ask_again_at(Quiet(stat=FRESH, since=100.0), 3.0, now=100.0, wall=NOON + 3) is None


@pytest.mark.parametrize("stamp", ["mtime_ns", "ctime_ns"])
def test_both_stamps_must_be_old(stamp: str) -> None:
    stat = replace(FRESH, **{stamp: (NOON + 60) * 10**9})
    assert ask_again_at(Quiet(stat=stat, since=100.0), 3.0, now=101.0, wall=NOON + 61) == 103.0


def test_a_stamp_in_the_future_is_watched_instead_of_believed() -> None:
    quiet = Quiet(stat=FRESH, since=100.0)
    assert ask_again_at(quiet, 3.0, now=102.0, wall=NOON - 3600) == 103.0
    assert ask_again_at(quiet, 3.0, now=103.0, wall=NOON - 3600) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.integers(1, 8))
def test_no_file_settles_within_the_settle_time_of_a_change(
    steps: list[tuple[int, bool]], settle: int
) -> None:
    now, last_change, stat = 0, 0, FRESH
    quiet = looked(None, stat, now)
    for wait, written in steps:
        now += wait
        if written:
            stat, last_change = replace(stat, size=stat.size + 1), now
        quiet = looked(quiet, stat, now)
        settled = ask_again_at(quiet, settle, now=now, wall=0.0) is None
        assert settled == (now - last_change >= settle)
