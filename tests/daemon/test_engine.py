"""The pipeline thread: one task at a time, people first, and no task's failure is the daemon's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from dedupd.daemon import engine as engine_module
from dedupd.daemon.engine import Engine, Urgency
from dedupd.errors import DedupdError, StateError
from dedupd.library import Library
from dedupd.protocol.views import ProgressView

PATIENCE = 10


class Shelf:
    """What a library is to the engine: something to hand to tasks and to close."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Rig:
    """An engine on a shelf, and what it told."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.told: list[ProgressView | None] = []
        self.errors: list[str] = []
        self.engine = Engine(lambda: cast("Library", self.shelf), self.told.append, self.errors.append)

    def busy(self) -> tuple[threading.Event, threading.Event]:
        """Occupy the thread: the first event says it is, setting the second frees it."""
        begun, free = threading.Event(), threading.Event()

        def hold(library: Library) -> None:
            begun.set()
            assert free.wait(PATIENCE)

        self.engine.submit("hold", hold)
        assert begun.wait(PATIENCE)
        return begun, free

    def do(self, act: Callable[[Library], Any] = lambda library: None) -> Any:
        return self.engine.submit("do", act).result(PATIENCE)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.engine.start()
    yield made
    made.engine.stop(PATIENCE)


def test_rescue_goes_first_then_people_then_passes_in_their_order(rig: Rig) -> None:
    _, free = rig.busy()
    order: list[str] = []
    asked = [("a", Urgency.PASS), ("b", Urgency.PASS), ("c", Urgency.RESCUE), ("d", Urgency.PERSON)]
    done = [rig.engine.submit(name, lambda _, n=name: order.append(n), urgency) for name, urgency in asked]
    free.set()
    for future in done:
        future.result(PATIENCE)
    assert order == ["c", "d", "a", "b"]


def test_nobody_waits_for_idle_work_but_for_what_comes_in_between(rig: Rig) -> None:
    seen: list[bool] = []

    def glance(library: Library) -> None:
        seen.append(rig.engine.busy)

    def families(library: Library) -> None:
        seen.append(rig.engine.busy)
        assert rig.engine.idles
        between = rig.engine.submit("between", glance)
        seen.append(rig.engine.busy)
        rig.engine.give_way()
        assert between.done()
        seen.append(rig.engine.busy)

    rig.engine.submit("families", families, Urgency.SHADOW, idle=True).result(PATIENCE)
    assert seen == [False, True, True, False]
    assert not rig.engine.idles


def test_a_task_that_waits_already_is_enough(rig: Rig) -> None:
    _, free = rig.busy()
    runs: list[int] = []
    first = rig.engine.submit("look", lambda _: runs.append(1), once=True)
    second = rig.engine.submit("look", lambda _: runs.append(2), once=True)
    assert second.done()
    free.set()
    first.result(PATIENCE)
    assert runs == [1]
    rig.engine.submit("look", lambda _: runs.append(3), once=True).result(PATIENCE)  # it waits no more
    assert runs == [1, 3]


def test_what_is_more_urgent_comes_in_at_a_safe_point_and_the_pass_goes_on(rig: Rig) -> None:
    done: list[str] = []

    def walk(library: Library) -> bool:
        rig.engine.submit("another", lambda _: done.append("another"), Urgency.PASS)
        for name, urgency in (
            ("hint", Urgency.HINT),
            ("person", Urgency.PERSON),
            ("sweep", Urgency.RESCUE),
            ("look", Urgency.GLANCE),
        ):
            rig.engine.submit(name, lambda _, n=name: done.append(n), urgency)
        end = rig.engine.give_way()
        done.append("walk")
        return end

    assert rig.do(walk) is False
    rig.do()
    assert done == ["look", "sweep", "person", "hint", "walk", "another"]


def test_an_act_lets_in_rescue_and_glances_but_no_other_act(rig: Rig) -> None:
    done: list[str] = []

    def act(library: Library) -> bool:
        for name, urgency in (("undo", Urgency.PERSON), ("sweep", Urgency.RESCUE), ("look", Urgency.GLANCE)):
            rig.engine.submit(name, lambda _, n=name: done.append(n), urgency)
        end = rig.engine.give_way()
        done.append("act")
        return end

    assert rig.engine.submit("act", act, Urgency.PERSON).result(PATIENCE) is False
    rig.do()
    assert done == ["look", "sweep", "act", "undo"]


@pytest.mark.parametrize("running", [Urgency.SCAN, Urgency.PASS])
def test_what_must_be_done_alone_ends_a_pass_but_no_scan_that_somebody_waits_for(
    rig: Rig, running: Urgency
) -> None:
    done: list[str] = []

    def walk(library: Library) -> bool:
        rig.engine.submit("settings", lambda _: done.append("settings"), Urgency.PERSON, alone=True)
        rig.engine.submit("act", lambda _: done.append("act"), Urgency.PERSON)
        end = rig.engine.give_way()
        done.append("walk")
        return end

    assert rig.engine.submit("walk", walk, running).result(PATIENCE) is (running is Urgency.PASS)
    rig.do()
    assert done == ["act", "walk", "settings"]


def test_what_comes_in_between_does_not_hide_how_far_the_pass_is(rig: Rig) -> None:
    def walk(library: Library) -> None:
        rig.engine.report("index", 0, 40)
        rig.engine.submit("sweep", lambda _: None, Urgency.RESCUE)
        rig.engine.submit("act", lambda _: rig.engine.report("move", 1, 1), Urgency.PERSON)
        rig.engine.give_way()
        assert rig.engine.progress is not None and rig.engine.progress.phase == "index"

    rig.do(walk)
    rig.do()
    assert [view and view.phase for view in rig.told] == ["index", "move", "index", None]


def test_a_task_in_the_middle_of_another_fails_by_itself(rig: Rig) -> None:
    def fail(library: Library) -> None:
        raise StateError("the disk is full")

    def walk(library: Library) -> bool:
        failing = rig.engine.submit("act", fail, Urgency.PERSON)
        assert not rig.engine.give_way()
        return isinstance(failing.exception(), StateError) and rig.engine.working

    assert rig.do(walk)


def test_the_end_of_the_daemon_ends_whatever_runs(rig: Rig) -> None:
    begun = threading.Event()

    def walk(library: Library) -> None:
        begun.set()
        while not rig.engine.give_way():
            pass

    rig.engine.submit("walk", walk, Urgency.PERSON)
    assert begun.wait(PATIENCE)
    assert rig.engine.stop(PATIENCE)


def test_what_nobody_waits_for_any_more_is_not_begun(rig: Rig) -> None:
    _, free = rig.busy()
    ran: list[int] = []
    left = rig.engine.submit("act", lambda _: ran.append(1), Urgency.PERSON)
    assert left.cancel()
    free.set()
    rig.do()
    assert ran == []


@pytest.mark.parametrize("error", [StateError("the disk is full"), OSError(5, "broken"), ValueError("a bug")])
def test_a_task_that_fails_is_told_and_the_next_one_runs(rig: Rig, error: Exception) -> None:
    def fail(library: Library) -> None:
        raise error

    with pytest.raises(type(error)):
        rig.do(fail)
    assert rig.do(lambda library: "alive") == "alive"
    (sentence,) = rig.errors
    assert (sentence == "the disk is full") is isinstance(error, DedupdError)
    assert "a bug" not in sentence


def test_who_waits_may_go_away_and_the_next_task_runs(rig: Rig) -> None:
    """Clients are cut off when the daemon ends, and their tasks with them: one begun is finished, one that waits is not."""
    _, free = rig.busy()
    running = rig.engine.submit("running", lambda library: waiting.cancel())
    ran: list[int] = []
    waiting = rig.engine.submit("waiting", lambda library: ran.append(1))
    begun = rig.engine.submit("begun", lambda library: begun.cancel())
    free.set()
    assert running.result(PATIENCE)
    assert begun.result(PATIENCE) is False
    assert rig.do(lambda library: "alive") == "alive"
    assert ran == []


def test_what_opening_raises_reaches_who_starts_it() -> None:
    def fail() -> Library:
        raise StateError("no room")

    engine = Engine(fail, lambda view: None, lambda sentence: None)
    with pytest.raises(StateError, match="no room"):
        engine.start()


def test_stopping_closes_the_library_and_leaves_what_waits(rig: Rig) -> None:
    _, free = rig.busy()
    ran: list[int] = []
    rig.engine.submit("later", lambda _: ran.append(1))
    threading.Timer(0.05, free.set).start()
    assert rig.engine.stop(PATIENCE)
    assert rig.shelf.closed
    assert ran == []


def test_a_task_that_hangs_does_not_hold_up_the_end_and_is_seen_to_hang(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, free = rig.busy()
    assert rig.engine.alive()
    monkeypatch.setattr(engine_module, "STUCK_SECONDS", -1.0)
    assert not rig.engine.alive()
    assert not rig.engine.stop(0.01)
    free.set()


def test_progress_is_told_with_rate_and_ends_with_nothing(rig: Rig) -> None:
    def work(library: Library) -> None:
        for done in range(1001):
            rig.engine.report("index", done, 1000)

    rig.do(work)
    rig.do()  # the end of a task is told after its answer
    assert rig.told[-1] is None
    views = [view for view in rig.told if view is not None]
    assert (views[-1].done, views[-1].total) == (1000, 1000)
    assert views[-1].rate > 0
    assert len(views) < 50  # not one a photo
    assert rig.engine.progress is None


def test_a_task_that_goes_on_where_another_gave_way_is_told_of_at_once(rig: Rig) -> None:
    for _ in range(2):
        rig.do(lambda library: rig.engine.report("index", 0, 40))
    rig.do()
    assert [view and view.phase for view in rig.told] == ["index", None, "index", None]
