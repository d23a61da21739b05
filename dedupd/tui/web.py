"""The reviewer in a browser of this machine: textual-serve, on loopback, behind a token.

Must never listen elsewhere, nor answer a request that has no token, names another host (DNS rebinding) or
opens its connection from another page: whoever talks to this port can decide about the photos.
"""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web
from textual_serve.server import Server

HOST = "127.0.0.1"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://{host}; frame-ancestors 'none'"
)
"""The page is app_index.html beside this file, its script comes from textual-serve; nothing comes from elsewhere."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TerminalServer(Server):
    """Runs one process of `command` for each page that has the token."""

    def __init__(self, command: Sequence[str], port: int = 0) -> None:
        """port: 0 takes a free one. Raises OSError when the port is taken."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
            self._socket.listen()  # before the address is shown: a browser that opens it at once waits, and is not refused
        except OSError:
            self._socket.close()
            raise
        # exec: without a shell between them, the reviewer notices when its server ends
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            f"exec {shlex.join(command)}",
            HOST,
            self._socket.getsockname()[1],
            title="dedupd",
            templates_path=Path(__file__).parent,
        )
        self._token = secrets.token_urlsafe(32)
        self._cookie = f"dedupd-{self.port}"

    @property
    def url(self) -> str:
        """The address with the token; the browser then keeps the token as a cookie of this session."""
        return f"{self.public_url}/?token={self._token}"

    def serve(self, debug: bool = False) -> None:
        """Serve until SIGINT or SIGTERM."""
        self.debug = debug
        web.run_app(self._make_app(), sock=self._socket, print=None, access_log=None, shutdown_timeout=2.0)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.on_response_prepare.append(self._harden)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Prints nothing: the command prints the address."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != f"{HOST}:{self.port}":
            raise web.HTTPForbidden(text="open the address that dedupd printed")
        if request.path == "/ws" and request.headers.get("Origin") != self.public_url:
            raise web.HTTPForbidden(text="this line belongs to another page")
        if self._is_token(request.query.get("token", "")):
            # Redirect to the address without it: the token stays in no history and is sent nowhere as a referrer.
            found = web.HTTPFound("/")
            found.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict")
            raise found
        if not self._is_token(request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text="open the address that dedupd printed: it holds the token")
        return await handler(request)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self._token.encode())

    async def _harden(self, request: web.Request, response: web.StreamResponse) -> None:
        del request
        response.headers["Content-Security-Policy"] = _POLICY.format(host=f"{HOST}:{self.port}")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
