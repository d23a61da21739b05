"""The real server in this process, on a free port of loopback, beside a scripted daemon or a real library."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn
from httpx2 import AsyncClient, Response

from dedupd.config import Places, Settings
from dedupd.web.access_control import site_of
from dedupd.web.asgi_app import ServerParts, app_of, own_folder, parts, with_access_control
from dedupd.web.listening import Listen, bound, configured
from dedupd.web.tokens import Tokens
from tests.fakes.daemon import FakeDaemon

TOKEN = "t" * 43
PATIENCE = 60.0
"""Seconds until an answer is a failure, on a machine that is busy with other things."""
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(slots=True, kw_only=True)
class Served:
    """A server that answers. `client` holds the token; `stranger` holds nothing."""

    url: str
    port: int
    places: Places
    built: ServerParts
    tokens: Tokens
    client: AsyncClient
    stranger: AsyncClient
    server: uvicorn.Server

    def stop(self) -> None:
        """As SIGTERM, with no patience."""
        self.server.config.timeout_graceful_shutdown = 0
        self.server.should_exit = True

    async def get(self, path: str, **asked: Any) -> Any:
        """JSON of an answer that must be a good one."""
        response = await self.client.get(path, **asked)
        assert response.status_code == 200, response.text
        return response.json()

    async def act(self, path: str, **body: Any) -> Response:
        return await self.client.post(path, json=body)


def refused(response: Response) -> tuple[int, str]:
    """Status and word of a refusal, which always has its one shape."""
    error = response.json()["error"]
    assert set(error) == {"code", "message"} and error["message"] and "Traceback" not in error["message"]
    return response.status_code, error["code"]


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @contextlib.asynccontextmanager
    async def run(
        settings: Settings | None = None, change: Callable[[ServerParts], None] = lambda built: None,
        places: Places | None = None, certificate: Path | None = None,
    ):  # fmt: skip
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        places = places or Places(state=state, config=tmp_path / "config.toml", socket=tmp_path / "d.sock")
        settings = settings or Settings(embedder="hashes")
        with own_folder(places) as folder, bound(Listen(address="127.0.0.1", port=0)) as socket:
            listen = Listen(address="127.0.0.1", port=socket.getsockname()[1], tls_cert=certificate)
            built, tokens = parts(settings, places, folder), Tokens(TOKEN)
            change(built)
            app = with_access_control(
                app_of(built), site_of(listen.address, listen.port, tls=certificate is not None), tokens
            )
            server = uvicorn.Server(configured(app, listen))
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
            running = asyncio.create_task(server.serve([socket]))
            async with (
                # verify: reading the certificates of the world takes longer than the test
                AsyncClient(base_url=listen.url, headers=BEARER, verify=False, timeout=PATIENCE) as client,
                AsyncClient(base_url=listen.url, verify=False, timeout=PATIENCE) as stranger,
            ):
                yield Served(
                    url=listen.url, port=listen.port, places=places, built=built, tokens=tokens, client=client,
                    stranger=stranger, server=server,
                )  # fmt: skip
            server.should_exit = True
            await running

    return run


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDaemon]:
    async with FakeDaemon(tmp_path / "d.sock", tmp_path, groups=8, months=2) as running:
        yield running


@pytest.fixture
async def served(serve: Serve, daemon: FakeDaemon) -> AsyncIterator[Served]:
    """Beside a scripted daemon."""
    async with serve() as server:
        yield server


@pytest.fixture
async def alone(serve: Serve) -> AsyncIterator[Served]:
    """No daemon, and no state yet."""
    async with serve() as server:
        yield server
