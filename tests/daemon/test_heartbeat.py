"""sd_notify as systemd hears it, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.daemon.heartbeat import Heartbeat


@pytest.fixture(
    params=["path", pytest.param("abstract", marks=pytest.mark.skipif(sys.platform != "linux", reason=""))]
)
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[socket.socket, str]]:
    monkeypatch.chdir(tmp_path)
    address = (
        f"@dedupd-test-{os.getpid()}"
        if request.param == "abstract"
        else f"/tmp/dedupd-test-{os.getpid()}.sock"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        listener.settimeout(5)
        yield listener, address
    if address.startswith("/"):
        Path(address).unlink()


def test_every_message_arrives_as_systemd_expects_it(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    heart = Heartbeat(address=address)
    for say, heard in [
        (heart.ready, b"READY=1"),
        (heart.alive, b"WATCHDOG=1"),
        (heart.stopping, b"STOPPING=1"),
        (lambda: heart.status("12 photos\nwaiting"), b"STATUS=12 photos waiting"),
        (lambda: heart.status("\udcff é"), "STATUS=? é".encode()),
    ]:
        say()
        assert listener.recv(4096) == heard


def test_without_a_listener_it_stays_silent(tmp_path: Path) -> None:
    Heartbeat().ready()
    Heartbeat(address=str(tmp_path / "nobody")).ready()
    Heartbeat(address="/" + "x" * 300).ready()


def test_a_manager_that_does_not_read_holds_up_nobody(manager: tuple[socket.socket, str]) -> None:
    heart = Heartbeat(address=manager[1])
    for _ in range(2000):
        heart.alive()


def test_the_watchdog_is_fed_twice_as_often_as_it_asks() -> None:
    env = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "42", "HOME": "/"}
    assert Heartbeat.from_environment(env, pid=42) == Heartbeat(address="/run/notify", interval=60.0)
    assert env == {"HOME": "/"}, "a child must not speak for the daemon"


@pytest.mark.parametrize(
    ("env", "interval"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_only_a_watchdog_set_on_us_counts(env: dict[str, str], interval: float | None) -> None:
    assert Heartbeat.from_environment({"NOTIFY_SOCKET": "@n", **env}, pid=42).interval == interval


def test_nobody_is_told_anything_outside_a_service() -> None:
    assert Heartbeat.from_environment({"WATCHDOG_USEC": "10000000"}) == Heartbeat()
    assert Heartbeat.from_environment({"NOTIFY_SOCKET": "vsock:2:1"}) == Heartbeat()
