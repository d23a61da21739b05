"""The running daemon's socket: what scripts say to it, what fools and foes say to it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from dedupd.protocol.failure import INVALID_PARAMS, NOT_FOUND, PARSE_ERROR, REFUSED, STALE
from dedupd.protocol.limits import MAX_CLIENTS, MAX_LINE, PROTOCOL
from tests.end_to_end.house import PATIENCE, Daemon, House


class Talk:
    """One connection, spoken by hand as `nc -U` would."""

    def __init__(self, house: House) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(PATIENCE)
        self._link.connect(str(house.places.socket))
        self._lines = self._link.makefile("rb")

    def say(self, method: str, **params: Any) -> dict[str, Any]:
        self.send(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
        )
        return self.hear()

    def send(self, line: bytes) -> None:
        self._link.sendall(line)

    def hear(self) -> dict[str, Any]:
        return json.loads(self._lines.readline())

    def heard_until(self, method: str) -> dict[str, Any]:
        """The next notice of this kind."""
        while True:
            message = self.hear()
            if message.get("method") == method:
                return message["params"]

    def close(self) -> None:
        self._lines.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@pytest.fixture
def daemon(pair: House) -> Iterator[Daemon]:
    with pair.daemon() as running:
        running.settled(lambda s: s.waiting_to_move == 1)
        yield running


def test_a_script_with_nothing_but_lines_reads_approves_and_undoes(daemon: Daemon) -> None:
    with Talk(daemon.house) as talk, Talk(daemon.house) as listener:
        assert listener.say("subscribe")["result"]
        assert talk.say("hello", protocol=PROTOCOL)["result"]["pid"] == daemon.process.pid
        (group,) = talk.say("groups")["result"]["groups"]
        stale = {"id": group["id"], "version": group["version"] + 1}
        assert talk.say("approve", groups=[stale])["error"]["code"] == STALE
        assert talk.say("approve", groups=[{"id": 999}])["error"]["code"] == NOT_FOUND
        seen = {"id": group["id"], "version": group["version"]}
        first = talk.say("approve", groups=[seen], key="yes-1")["result"]
        assert first["moved"] == 1
        assert listener.heard_until("moved")["moved"] == 1
        # sent again, because the answer was lost: answered again, not done again
        assert talk.say("approve", groups=[seen], key="yes-1")["result"] == first
        assert talk.say("approve", groups=[seen], key="yes-2")["error"]["code"] == STALE
        assert talk.say("undo", moves=first["moves"], key="back-1")["result"]["restored"] == 1
        assert talk.say("undo", moves=first["moves"], key="back-1")["result"]["restored"] == 1
        assert talk.say("undo", moves=first["moves"], key="back-2")["result"]["restored"] == 0
        assert listener.heard_until("moved")["restored"] == 1
    assert (daemon.house.root / "2024/06/IMG_1 copy.jpg").exists()


def test_a_client_of_another_protocol_is_told_so_and_nothing_it_says_is_done(daemon: Daemon) -> None:
    with Talk(daemon.house) as talk:
        hello, act = (
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
            for method, params in (("hello", {"protocol": PROTOCOL - 1}), ("approve", {"all": True}))
        )
        talk.send(hello + act)
        refused = talk.hear()["error"]
        assert refused["code"] == REFUSED
        assert "restart" in refused["message"]
        assert talk._lines.read() == b""
    assert daemon.settled().moved == 0


def test_a_command_that_finds_no_place_says_so(daemon: Daemon) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(MAX_CLIENTS):
            crowd.enter_context(Talk(daemon.house)).say("hello")
        for command in (("status",), ("approve", "--all")):
            done = daemon.house.cli(*command)
            assert (done.code, done.out) == (1, "")
            assert "end one, such as a `dedupd review`" in done.err
    assert daemon.settled().moved == 0


def test_one_line_is_answered_and_ends_with_who_said_it(daemon: Daemon) -> None:
    """As README says: printf '…' | nc -NU …"""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(str(daemon.house.places.socket))
        link.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n')
        link.shutdown(socket.SHUT_WR)
        with link.makefile("rb") as answer:
            (line,) = answer.read().splitlines()
    assert json.loads(line)["result"]["daemon"] == "running"


def test_what_cannot_be_meant_is_refused_in_one_sentence(daemon: Daemon) -> None:
    huge, most, half = 10**40, 2**63 - 1, "\udcff\ud800"
    strange: list[tuple[str, dict[str, Any], set[int]]] = [
        ("group", {"id": huge}, {PARSE_ERROR}),
        ("group", {"id": 2**63 - 1}, {NOT_FOUND}),
        ("group", {"id": -1}, {NOT_FOUND}),
        ("scan", {"roots": ["/"], "yes": True}, {REFUSED}),
        ("scan", {"roots": [str(daemon.house.root)], "month": "never"}, {INVALID_PARAMS}),
        ("judge", {"group": {"id": 1}, "keeper": 12345}, {REFUSED}),
        ("tune", {"tiers": {"similar": "move"}}, {INVALID_PARAMS}),
        ("tune", {"tiers": {"copy": "delete"}}, {INVALID_PARAMS}),
        ("tune", {"threshold": float("nan")}, {INVALID_PARAMS}),
        ("tune", {"threshold": -1}, {INVALID_PARAMS}),
    ]  # fmt: skip
    harmless: list[tuple[str, dict[str, Any]]] = [
        ("groups", {"offset": -5, "limit": -5}), ("groups", {"offset": most, "limit": most}), ("groups", {"month": half}),
        ("groups", {"root": "/", "relation": "x", "state": "y"}), ("moves", {"offset": -1, "limit": most}),
        ("moves", {"group": most}), ("resolve", {"path": half}), ("resolve", {"path": "\0"}), ("resolve", {"path": "../" * 999}),
        ("thumbnails", {"files": [most, -1]}), ("undo", {"moves": [most, -1]}), ("undo", {}), ("undo", {"month": half}),
        ("tune", {}), ("forget", {"lesson": most}), ("approve", {}), ("reject", {"groups": []}),
        ("judge", {"group": {"id": 1}, "move": [most], "different": [-1], "keep": [most]}),
    ]  # fmt: skip
    before = daemon.house.photos()
    with Talk(daemon.house) as talk:
        for method, params, codes in strange:
            said = talk.say(method, **params)
            assert said.get("error", {}).get("code") in codes, (method, params, said)
        for method, params in harmless:
            said = talk.say(method, **params)
            assert "result" in said or said["error"]["code"] in {NOT_FOUND, INVALID_PARAMS, REFUSED}, (
                method,
                said,
            )
    assert daemon.house.photos() == before
    assert "Traceback" not in daemon.house.log()


def test_hostile_clients_cost_little_memory_and_no_answer(daemon: Daemon) -> None:
    house, pid = daemon.house, daemon.process.pid
    before = _resident_megabytes(pid)
    random = os.urandom(MAX_LINE).replace(b"\n", b"")
    for _ in range(3):
        for line in (
            b"x" * (2 * MAX_LINE),
            b"[" * 500_000 + b"\n",
            b'{"a":' * 200_000 + b"\n",
            random + b"\n",
        ):
            with Talk(house) as talk:
                try:
                    talk.send(line)
                    talk.hear()
                except (OSError, ValueError):
                    pass  # it hung up in the middle, as it may
    _endless_line(house, 1 << 30)
    for _ in range(10):
        crowd: list[Talk] = []
        for _ in range(100):
            talk = Talk(house)
            crowd.append(talk)
            with contextlib.suppress(BrokenPipeError):
                talk.send(b'{"half":')
        assert crowd[-1].hear()["error"]["code"] == REFUSED
        for talk in crowd:
            talk.close()
    daemon.until(lambda s: True)
    with Talk(house) as talk:
        for number in range(64):
            many = [{"id": 10**9 + each} for each in range(10_000)]
            assert talk.say("approve", groups=many, key=f"many {number}")["error"]["code"] == NOT_FOUND
            assert (
                talk.say("undo", last=True, key=f"{number}" * (MAX_LINE // 4))["error"]["code"]
                == INVALID_PARAMS
            )
    hoarders = [Talk(house) for _ in range(MAX_CLIENTS - 2)]
    for talk in hoarders:
        talk.say("hello", protocol=PROTOCOL)
        talk.send(b'{"half":"' + b"x" * (MAX_LINE - 100))
    started = time.monotonic()
    assert daemon.until(lambda s: True).daemon == "running"
    assert time.monotonic() - started < 10
    assert _resident_megabytes(pid) - before < 50
    for talk in hoarders:
        talk.close()


def _endless_line(house: House, size: int) -> None:
    """As much of it as the daemon takes before it hangs up."""
    with Talk(house) as talk, contextlib.suppress(OSError):
        for _ in range(size >> 20):
            talk.send(b"x" * (1 << 20))


def test_a_client_killed_in_the_middle_of_an_undo_changes_nothing_about_it(pair: House) -> None:
    for number in range(20):
        pair.add(f"2024/07/IMG {number}.jpg", 7)
    before = pair.photos()
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 20)
        talk = Talk(pair)
        talk.send(json.dumps({"id": 1, "method": "undo", "params": {"all": True}}).encode() + b"\n")
        talk.close()
        daemon.settled(lambda s: s.moved == 0)
    assert pair.photos() == before
    assert pair.cli("verify").code == 0


def _resident_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1000
