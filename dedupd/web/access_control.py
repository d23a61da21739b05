"""Access control: the right Host, no page of another site, the token. All other requests are refused before
any work is done.

Owns the headers of every answer. Must never accept a request that a web page of another site could have
caused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dedupd.errors import DedupdError
from dedupd.web.bodies import refusal
from dedupd.web.problems import Problem, ending, problem_of
from dedupd.web.tokens import Tokens

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from other sites, and no script or style inside a page: a file name that is markup stays a name."""
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")
AT_ONCE = 64
"""Requests answered at a time; a browser opens six connections."""
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The names under which this server accepts requests."""

    scheme: str
    port: int
    hosts: frozenset[str]
    """Host names and addresses. A page of another site that points its own name to this address (DNS
    rebinding) has another name."""
    anywhere: bool = False
    """It listens beyond this machine. Then any IP address is accepted too, because no page of another site
    has an address as its name."""

    @property
    def cookie(self) -> str:
        return f"dedupd-{self.port}"

    def knows(self, host: str) -> bool:
        name = _name_in(host)
        return name in self.hosts or (self.anywhere and _is_address(name))


def site_of(address: str, port: int, *, tls: bool) -> Site:
    """The site that is served at this address."""
    at = ipaddress.ip_address(address)
    here = {"127.0.0.1", "localhost", "::1"}
    named = {address} if at.is_loopback else {address, *_own_names()}
    hosts = frozenset(name.lower() for name in here | named)
    return Site(scheme="https" if tls else "http", port=port, hosts=hosts, anywhere=not at.is_loopback)


def _own_names() -> set[str]:
    name = socket.gethostname().partition(".")[0]
    return {name, f"{name}.local"} if name else set()


def _name_in(host: str) -> str:
    """'::1' of '[::1]:8765', 'localhost' of 'LOCALHOST:8765'."""
    found = _HOST.fullmatch(host.lower())
    return (found["six"] or found["name"]) if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class AccessControl:
    """Wraps the whole application: errors outside and inside of it become one sentence here."""

    def __init__(self, app: ASGIApp, site: Site, tokens: Tokens) -> None:
        self._app, self._site, self._tokens = app, site, tokens
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def hardened(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        self._inside += 1
        try:
            if self._inside > AT_ONCE:
                raise Problem(429, "busy", "too many requests are being answered: try again in a moment")
            inner: ASGIApp = self._admit(scope) or self._app
            await inner(scope, receive, hardened)
        except DedupdError as error:
            if not begun:
                await refusal(problem_of(error))(scope, receive, hardened)
        except asyncio.CancelledError:  # uvicorn's patience at the end is over, and its own words are no JSON
            if not begun:
                await refusal(ending())(scope, receive, hardened)
            raise
        except Exception as error:  # noqa: BLE001
            # A bug of ours: the page gets a sentence, and nothing internal.
            if not begun:
                failed = Problem(500, "failed", f"this could not be answered ({type(error).__name__})")
                await refusal(failed)(scope, receive, hardened)
        finally:
            self._inside -= 1

    def _admit(self, scope: Scope) -> Response | None:
        """None: the request is accepted. Raises Problem. A Response redirects a browser that brought the
        token in the address."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._site.knows(host):
            raise Problem(
                400, "foreign_host", "this server has another name: open the address that dedupd printed"
            )
        self._check_origin(scope, headers, host)
        if scope["path"] == "/health":
            return None
        if scope["path"] == "/" and (given := _token_in_address(scope)):
            return self._welcome(given)
        bearer = bearer_of(headers)
        if self._tokens.opens(bearer):
            return None
        if not bearer and self._tokens.is_cookie(_cookie(headers, self._site.cookie)):
            if scope["method"] not in _READING and "origin" not in headers:
                raise Problem(400, "foreign_origin", "a browser says which page acts: this request does not")
            return None
        raise Problem(
            401, "no_token",
            "open the address that `dedupd web` printed, or send the token in web.token as `Authorization: Bearer`",
        )  # fmt: skip

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        """Pages of other servers, and of other ports of this machine, may neither act nor read."""
        foreign = Problem(400, "foreign_origin", "another page asked for this: only dedupd's own may")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{self._site.scheme}://{host}".lower():
            raise foreign
        followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        link = scope["method"] in _READING and followed
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not link:
            raise foreign

    def _welcome(self, given: str) -> Response:
        if not self._tokens.opens_once(given):
            raise Problem(
                401, "no_token", "that token is not the one: open the address that `dedupd web` printed"
            )
        # Redirect to the address without it, so that it stays in no history and is sent to nobody as a
        # referrer.
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._site.cookie, self._tokens.cookie, httponly=True, samesite="strict",
            secure=self._site.scheme == "https",
        )  # fmt: skip
        return response


def _token_in_address(scope: Scope) -> str:
    asked = parse_qs(scope["query_string"].decode("ascii", "replace"), max_num_fields=16)
    return asked.get("token", [""])[0] if scope["method"] in _READING else ""


def bearer_of(headers: Headers) -> str:
    """The token in a request; '' when there is none."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
