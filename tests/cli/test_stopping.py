"""Stopped in the middle of its moves, a command says how many there were and how they come back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from dedupd.cli.main import main
from dedupd.cli.stopping import Stopped, ended, telling_what_moved
from dedupd.errors import StateError
from dedupd.pipeline import relocate
from dedupd.pipeline.review import status_view
from tests.support.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Three copies to move, in two folders."""
    made = Shelf(tmp_path, ("Pictures", "Scans"))
    for number in range(2):
        made.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", scene=f"lake {number}")
    made.pair("2024/06/a.jpg", "2024/06/a-small.jpg", scene="hill", root=1)
    made.clock.advance(60)
    return made


def stopped_after(moves: int, shelf: Shelf, stop: BaseException) -> str:
    """What a person hears of a scan that was stopped after this many of its moves."""
    left = [moves]

    def report(phase: str, done: int, total: int) -> None:
        left[0] -= phase == "move"
        if left[0] <= 0:
            raise stop

    with pytest.raises(KeyboardInterrupt) as caught, telling_what_moved(shelf.library):
        shelf.library.scan(yes=True, on_progress=report)
    return ended(caught.value)[0]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Stopped("", signal.SIGTERM)])
def test_what_had_moved_is_counted_and_comes_back_by_the_command_it_names(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, stop: KeyboardInterrupt
) -> None:
    monkeypatch.setattr(relocate, "CHUNK", 1)
    before = [shelf.files(0), shelf.files(1)]
    told = stopped_after(3, shelf, stop)
    assert told.startswith("stopped; 3 file(s) had moved, `dedupd undo --last` puts them back; ")
    assert [shelf.files(0), shelf.files(1)] != before
    assert (
        shelf.library.movement.undo(shelf.library.movement.held(last=True)).undone == 3
    )  # in both folders: it was one scan
    assert [shelf.files(0), shelf.files(1)] == before


def test_without_a_move_it_says_that_nothing_is_lost(shelf: Shelf) -> None:
    assert stopped_after(0, shelf, KeyboardInterrupt()) == "stopped; nothing is lost, run it again to go on"


def test_moves_of_before_are_not_counted(shelf: Shelf) -> None:
    shelf.library.scan(yes=True)
    shelf.clock.advance(60)
    assert "nothing is lost" in stopped_after(0, shelf, KeyboardInterrupt())


def test_a_move_that_was_cut_through_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf.library.movement._journal, "finish", cut)  # pyright: ignore[reportPrivateUsage]
    told = stopped_after(9, shelf, KeyboardInterrupt())
    assert told.startswith("stopped; 2 more were on their way, the next command ends or takes back each; ")


def test_a_full_disk_tells_what_had_moved_and_status_what_was_begun(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relocate, "CHUNK", 1)
    journal = shelf.library.movement._journal  # pyright: ignore[reportPrivateUsage]
    finish, full = journal.finish, StateError("the disk is full: make room, then start again")
    left = [1]

    def finish_one(*arguments: Any, **named: Any) -> Any:
        if not left.pop():
            raise full
        left.append(0)
        return finish(*arguments, **named)

    monkeypatch.setattr(journal, "finish", finish_one)
    with pytest.raises(StateError) as caught, telling_what_moved(shelf.library):
        shelf.library.scan(yes=True)
    assert str(caught.value) == (
        f"{full}; 1 file(s) had moved, `dedupd undo --last` puts them back; "
        "1 more were on their way, the next command ends or takes back each"
    )
    now = shelf.clock.now()
    told = {
        state: " ".join(status_view(shelf.ledger, shelf.library.roots.all, daemon=state, now=now).attention)
        for state in ("stopped", "running")
    }
    assert "1 move(s) were begun and not ended" in told["stopped"]
    assert "not ended" not in told["running"]


def test_a_full_disk_before_any_move_is_told_as_it_is(shelf: Shelf) -> None:
    full = StateError("the disk is full")
    with pytest.raises(StateError) as caught, telling_what_moved(shelf.library):
        raise full
    assert caught.value is full


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_daemon_under_nohup_outlives_its_terminal(
    tmp_path: Path, before: signal.Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []

    def daemon(*_: object, **__: object) -> int:
        found.append(signal.getsignal(signal.SIGHUP))
        return 0

    monkeypatch.setattr("dedupd.daemon.life.run", daemon)
    monkeypatch.setattr("dedupd.cli.commands.run._log_to", lambda places: None)
    (tmp_path / "Pictures").mkdir()
    outside = signal.signal(signal.SIGHUP, before)
    try:
        assert main(["run", str(tmp_path / "Pictures"), "--state-dir", str(tmp_path / "state")]) == 0
    finally:
        signal.signal(signal.SIGHUP, outside)
    assert found == [before]
