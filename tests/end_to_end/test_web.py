"""`dedupd review --web` as it is started: who gets in, who does not, and that it is the reviewer."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.house import PATIENCE, House

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """The address it prints, token included."""
    with _started(house) as (url, process):
        yield url
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said, said


@contextlib.contextmanager
def _started(house: House) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        house.command("review", "--web"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=house.env, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


async def status(session: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        return response.status


async def test_only_who_holds_the_token_and_came_to_this_very_address_is_let_in(served: str) -> None:
    address = urlsplit(served)
    origin, port = f"http://{address.netloc}", address.port
    assert address.hostname == "127.0.0.1"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        assert await status(session, origin) == 403
        assert await status(session, f"{origin}/static/js/textual.js") == 403
        assert await status(session, f"{origin}/?token=guess") == 403
        assert await status(session, f"{origin}/ws", Origin=origin) == 403
        assert await status(session, served, Host=f"evil.example:{port}") == 403, "DNS rebinding"
        async with session.get(served) as page:
            assert (page.status, page.url.query_string) == (200, "")
            assert "connect-src 'self' ws://127.0.0.1" in page.headers["Content-Security-Policy"]
            text = await page.text()
            assert f'data-session-websocket-url="ws://127.0.0.1:{port}/ws"' in text
            assert set(re.findall(r"https?://[^/\"' ]+", text)) == {origin}, "nothing comes from elsewhere"
        assert await status(session, f"{origin}/static/js/textual.js") == 200
        assert await status(session, origin, Host=f"evil.example:{port}") == 403
        for stranger in (None, "http://evil.example", "null"):
            headers = {} if stranger is None else {"Origin": stranger}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"ws://127.0.0.1:{port}/ws", headers=headers)
            assert refused.value.status == 403
        await _drawn(session, origin)


async def _drawn(session: aiohttp.ClientSession, origin: str) -> aiohttp.ClientWebSocketResponse:
    """The line of a page whose reviewer has drawn."""
    line = await session.ws_connect(origin.replace("http", "ws") + "/ws", headers={"Origin": origin})
    await line.send_json(["resize", {"width": 100, "height": 30}])
    drawn = b""
    async with asyncio.timeout(PATIENCE):
        while b"No daemon runs" not in drawn:
            message = await line.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
            drawn += message.data if isinstance(message.data, bytes) else b""
    return line


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux who is whose child")
async def test_a_reviewer_does_not_outlive_its_server(house: House) -> None:
    with _started(house) as (url, process):
        address = urlsplit(url)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(url):
                pass
            await _drawn(session, f"http://{address.netloc}")
            (reviewer,) = _children(process.pid)
        process.kill()
        assert await asyncio.to_thread(_ends, reviewer)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _ends(pid: str) -> bool:
    end = time.monotonic() + PATIENCE
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.1)
    return not _runs(pid)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_the_extra_one_sentence_says_what_to_install(house: House) -> None:
    bare = "import sys; sys.modules['textual_serve'] = None\nfrom dedupd.cli.main import main\nsys.exit(main(['review', '--web']))"
    done = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, env=house.env, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'dedupd[web]'" in done.stderr
