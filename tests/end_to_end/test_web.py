"""`dedupd review --web` as it is started: who gets in, who does not, and that it is the reviewer."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.house import PATIENCE, House

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """The address it prints, token included."""
    process = subprocess.Popen(
        house.command("review", "--web"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=house.env, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said, said
    finally:
        process.kill()
        process.wait()


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
            assert f'data-session-websocket-url="ws://127.0.0.1:{port}/ws"' in await page.text()
        assert await status(session, f"{origin}/static/js/textual.js") == 200
        assert await status(session, origin, Host=f"evil.example:{port}") == 403
        for stranger in (None, "http://evil.example", "null"):
            headers = {} if stranger is None else {"Origin": stranger}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"ws://127.0.0.1:{port}/ws", headers=headers)
            assert refused.value.status == 403
        async with asyncio.timeout(PATIENCE):
            async with session.ws_connect(f"ws://127.0.0.1:{port}/ws", headers={"Origin": origin}) as line:
                await line.send_json(["resize", {"width": 100, "height": 30}])
                drawn = b""
                while b"No daemon runs" not in drawn:
                    message = await line.receive()
                    drawn += message.data if isinstance(message.data, bytes) else b""


def test_without_the_extra_one_sentence_says_what_to_install(house: House) -> None:
    bare = "import sys; sys.modules['textual_serve'] = None\nfrom dedupd.cli.main import main\nsys.exit(main(['review', '--web']))"
    done = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, env=house.env, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'dedupd[web]'" in done.stderr
