"""Work that is ended early, or whose turn comes while the daemon is paused: nothing moves, and what is left is done later."""

from __future__ import annotations

import pytest

from dedupd.daemon.hints import HINT_SECONDS
from dedupd.errors import DedupdError, ExitCode
from dedupd.pipeline.reconcile import Changes
from tests.support.jobs_rig import JobsRig
from tests.support.shelf import Shelf

KEEPER, COPY = "2024/06/a.jpg", "2024/06/b.jpg"


@pytest.fixture
def rig(shelf: Shelf) -> JobsRig:
    """A shelf where one copy may move."""
    shelf.pair(KEEPER, COPY)
    shelf.look()
    shelf.library.movement.consent()
    return JobsRig(shelf)


def test_what_waited_for_its_turn_does_nothing_once_paused(rig: JobsRig, shelf: Shelf) -> None:
    rig.jobs.hint(str(shelf.path("2024/06")), False)
    rig.now += HINT_SECONDS
    rig.ring()
    rig.jobs._retry()
    rig.jobs.reconcile_all()
    rig.jobs.recluster()
    assert len(rig.engine.queued) == 4
    rig.jobs.paused = True
    shelf.add("2024/06/c.jpg", "town")
    looked = len(shelf.vision.looked)
    rig.work()
    assert COPY in shelf.files()
    assert len(shelf.vision.looked) == looked
    assert shelf.library.roots.reconcile().new == 1, "a look is for the resume"


@pytest.mark.parametrize("when", ["before it began", "in the middle"])
def test_a_scan_that_a_pause_ends_moves_nothing_and_is_no_success(
    rig: JobsRig, shelf: Shelf, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.jobs.paused = when == "before it began"
    monkeypatch.setattr(
        shelf.library.movement, "rescue", lambda stop: setattr(rig.jobs, "paused", True) or []
    )
    with pytest.raises(DedupdError, match="before its end") as refused:
        rig.jobs.scan(shelf.library, months=None, dry_run=False, yes=True, left=lambda: False)
    assert refused.value.exit_code == ExitCode.FAILED
    assert COPY in shelf.files()
    assert rig.jobs.reconcile_all in rig.soon


def test_a_look_that_was_ended_early_is_begun_again(rig: JobsRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.engine, "give_way", lambda: True)
    rig.jobs.reconcile_all()
    rig.work()
    assert rig.jobs.reconcile_all in rig.soon


def test_what_an_event_hints_at_leaves_half_of_the_time_to_the_rest(
    rig: JobsRig, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of many thousands, where something changes all day, nothing else would be done."""
    hint = str(shelf.path("2024/06"))
    rig.jobs.hint(hint, False)
    monkeypatch.setattr(
        shelf.library.roots,
        "reconcile_folders",
        lambda root, folders, stop: setattr(rig, "now", rig.now + 20.0) or Changes(),
    )
    rig.look_at_hints()
    rig.jobs.hint(hint, False)
    assert rig.waits == [HINT_SECONDS, 20.0]


def test_thousands_of_events_set_one_alarm(rig: JobsRig, shelf: Shelf) -> None:
    """It is put off while they go on, as long as that may be."""
    hint = str(shelf.path("2024/06"))
    for _ in range(6):
        for _ in range(1000):
            rig.jobs.hint(hint, False)
        rig.now += 0.9
        assert len(rig.due) == 1
        rig.ring()
    assert rig.waits == [HINT_SECONDS, *[pytest.approx(0.1)] * 5]
    assert not rig.due and len(rig.engine.queued) == 1, "due HINT_LIMIT_SECONDS after the first"


def test_hints_that_were_not_all_looked_at_are_not_lost(
    rig: JobsRig, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.engine, "give_way", lambda: True)
    rig.jobs.hint(str(shelf.path("2024/06")), False)
    rig.look_at_hints()
    assert rig.jobs.reconcile_all in rig.soon


def test_a_look_that_was_ended_early_says_nothing_of_what_cannot_be_read(
    rig: JobsRig, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.jobs._unread = ["2023 cannot be read"]
    monkeypatch.setattr(rig.engine, "give_way", lambda: True)
    monkeypatch.setattr(
        shelf.library.movement, "rescue", lambda stop: pytest.fail("the next look asks about keepers")
    )
    rig.jobs.reconcile_all()
    rig.work()
    assert rig.jobs.unread() == ["2023 cannot be read"]
