"""Long work of the real daemon: people, the sweep and its end come in between, and what is done stays done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.protocol.requests import Resume
from dedupd.protocol.results import Confirmed
from tests.end_to_end.house import GATED, Daemon, House
from tests.end_to_end.test_socket import Talk

PHOTOS = 48
ALL = PHOTOS + 3


class Import:
    """A daemon with one settled pair, in the middle of the import of many photos."""

    def __init__(self, house: House, daemon: Daemon, gate: Path) -> None:
        self.house, self.daemon, self._gate = house, daemon, gate

    def begin(self) -> None:
        for number in range(PHOTOS):
            self.house.add(f"2024/07/IMG_{number}.jpg", 100 + number, size=(320, 240))
        self.daemon.until(lambda s: s.progress is not None and s.progress.phase == "index")

    def goes_on(self) -> None:
        self.daemon.status()  # answered behind whatever was asked before
        self._gate.touch()


@pytest.fixture
def importing(pair: House) -> Iterator[Import]:
    gate = pair.folder / "gate"
    with pair.daemon(first=GATED.format(gate=str(gate))) as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        yield Import(pair, daemon, gate)


def test_an_approval_comes_in_between(importing: Import) -> None:
    """They waited for the end of an import: hours at a hundred thousand photos."""
    importing.begin()
    with Talk(importing.house) as talk:
        talk.send(b'{"jsonrpc":"2.0","id":1,"method":"approve","params":{"all":true}}\n')
        importing.goes_on()
        assert talk.hear()["result"]["moved"] == 1
        status = importing.daemon.status()
        assert status.photos < ALL - 1, "the import is not through"
    importing.daemon.settled(lambda s: s.photos == ALL - 1)


def test_a_pause_ends_an_import_and_resume_goes_on_with_it(importing: Import) -> None:
    importing.begin()
    with Talk(importing.house) as talk:
        talk.send(b'{"jsonrpc":"2.0","id":1,"method":"pause","params":{}}\n')
        importing.goes_on()
        assert "paused" in talk.hear()["result"]["message"]
    status = importing.daemon.until(lambda s: not s.busy)
    assert status.paused and status.photos < ALL
    importing.daemon.ask(Resume(), Confirmed)
    importing.daemon.settled(lambda s: s.photos == ALL)


def test_a_scan_ends_when_whoever_asked_for_it_leaves(importing: Import) -> None:
    """Its yes is for that scan: without it nothing may move."""
    importing.begin()
    ask = {"roots": [str(importing.house.root)], "yes": True, "dry_run": False}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "scan", "params": ask})
    with Talk(importing.house) as talk:
        talk.send(line.encode() + b"\n")
        importing.daemon.status()
    for _ in range(20):  # by then it was noticed that nobody listens
        importing.daemon.status()
    importing.goes_on()
    status = importing.daemon.settled(lambda s: s.photos == ALL)
    assert (status.moved, status.waiting_to_move) == (0, 1)
