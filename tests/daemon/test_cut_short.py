"""Work that is ended early, or whose turn comes while the daemon is paused: nothing moves, and what is left is done later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from dedupd.adapters.fs.lock import hold
from dedupd.daemon.life import Daemon
from dedupd.errors import DedupdError, ExitCode
from tests.support.shelf import Shelf

KEEPER, COPY = "2024/06/a.jpg", "2024/06/b.jpg"


@pytest.fixture
def daemon(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """One that watches the shelf, where one copy may move."""
    shelf.pair(KEEPER, COPY)
    shelf.look()
    shelf.library.consent()
    with hold(shelf.library.places, shelf.library.settings.roots) as locks:
        made = Daemon(shelf.library.settings, shelf.library.places, locks)
        made._library, made._loop = shelf.library, asyncio.new_event_loop()
        monkeypatch.setattr(made.engine, "give_way", lambda *, photos=True: False)
        yield made
        made._loop.close()


@pytest.fixture
def soon(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., object]]:
    """What the daemon is going to do next."""
    asked: list[Callable[..., object]] = []
    monkeypatch.setattr(daemon, "_soon", lambda act, *arguments: asked.append(act))
    return asked


def test_what_waited_for_its_turn_does_nothing_once_paused(daemon: Daemon, shelf: Shelf) -> None:
    daemon.paused = True
    shelf.add("2024/06/c.jpg", "town")
    looked = len(shelf.vision.looked)
    daemon._move_again(shelf.library)
    daemon._look(shelf.library, {str(shelf.path("2024/06")): False})
    daemon._reconcile(shelf.library)
    assert COPY in shelf.files()
    assert len(shelf.vision.looked) == looked
    assert shelf.library.reconcile().new == 1, "a look is for the resume"


@pytest.mark.parametrize("when", ["before it began", "in the middle"])
def test_a_scan_that_a_pause_ends_moves_nothing_and_is_no_success(
    daemon: Daemon,
    shelf: Shelf,
    soon: list[Callable[..., object]],
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon.paused = when == "before it began"
    monkeypatch.setattr(shelf.library, "rescue", lambda: setattr(daemon, "paused", True) or [])
    with pytest.raises(DedupdError, match="before its end") as refused:
        daemon.scan(shelf.library, months=None, dry_run=False, yes=True, left=lambda: False)
    assert refused.value.exit_code == ExitCode.FAILED
    assert COPY in shelf.files()
    assert daemon.look_everywhere in soon


def test_a_look_that_was_ended_early_is_begun_again(
    daemon: Daemon, shelf: Shelf, soon: list[Callable[..., object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon.engine, "give_way", lambda *, photos=True: True)
    daemon._reconcile(shelf.library)
    assert daemon.look_everywhere in soon
