"""Who is let in, and who is turned away before anything is done."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from pathlib import Path

import pytest

from dedupd.errors import UsageError
from dedupd.protocol.requests import Approve
from dedupd.web import listening
from dedupd.web.access_control import site_of
from dedupd.web.listening import listen_on
from dedupd.web.tokens import Tokens, token_in
from tests.fakes.daemon import FakeDaemon
from tests.support.certificate import SELF_MADE
from tests.web.conftest import TOKEN, Serve, Served, refused


async def raw(served: Served, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


PATHS = (
    "/",
    "/docs",
    "/openapi.json",
    "/api/status",
    "/api/events",
    "/api/pictures/1",
    "/static/dedupd.css",
    "/nowhere",
)


async def test_without_the_token_nothing_is_shown(served: Served) -> None:
    for path in PATHS:
        for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": TOKEN}):
            assert refused(await served.stranger.get(path, headers=headers)) == (401, "no_token"), path


async def test_without_the_token_nothing_is_done(served: Served, daemon: FakeDaemon) -> None:
    for path in ("/api/groups/1/approve", "/api/undo", "/images"):
        assert refused(await served.stranger.post(path, json={})) == (401, "no_token")
    assert not daemon.of(Approve)


async def test_health_needs_no_token_and_tells_nothing(served: Served) -> None:
    assert (await served.stranger.get("/health")).json() == {"status": "ok"}


async def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read(served: Served) -> None:
    assert refused(await served.stranger.get("/?token=guess")) == (401, "no_token")
    entered = await served.stranger.get(f"/?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and TOKEN not in cookie
    assert (await served.stranger.get("/api/status")).status_code == 200


async def test_a_ticket_opens_the_door_once(served: Served) -> None:
    ticket = served.tokens.ticket()
    assert (await served.stranger.get(f"/?token={ticket}")).status_code == 303
    served.stranger.cookies.clear()
    assert refused(await served.stranger.get(f"/?token={ticket}")) == (401, "no_token")
    assert refused(await served.stranger.get("/?token=")) == (401, "no_token")


async def test_the_token_is_taken_in_no_other_address(served: Served) -> None:
    assert refused(await served.stranger.get(f"/api/status?token={TOKEN}")) == (401, "no_token")


async def test_a_foreign_host_is_refused_with_the_token_too(served: Served) -> None:
    hosts = ("evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "[::1", "127.0.0.1@evil.example")
    for host in hosts:
        for path in ("/health", "/api/status", f"/?token={TOKEN}"):
            assert refused(await served.client.get(path, headers={"Host": host})) == (400, "foreign_host")


async def test_names_of_this_machine_are_known(served: Served) -> None:
    for host in ("127.0.0.1", f"localhost:{served.port}", f"[::1]:{served.port}", "LOCALHOST"):
        assert (await served.client.get("/health", headers={"Host": host})).status_code == 200


def test_beyond_this_machine_addresses_are_known_and_foreign_names_are_not() -> None:
    site = site_of("192.168.1.5", 8765, tls=True)
    assert site.knows("192.168.1.5:8765") and site.knows("[fe80::1]:8765") and site.knows("localhost")
    assert not site.knows("evil.example:8765")


async def test_a_page_elsewhere_can_do_nothing(served: Served, daemon: FakeDaemon) -> None:
    await served.stranger.get(f"/?token={TOKEN}")
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"):
        for client in (served.stranger, served.client):
            said = await client.post("/api/groups/1/approve", json={}, headers={"Origin": origin})
            assert refused(said) == (400, "foreign_origin")
    assert not daemon.of(Approve)


async def test_with_a_cookie_an_act_must_say_which_page_it_comes_from(
    served: Served, daemon: FakeDaemon
) -> None:
    await served.stranger.get(f"/?token={TOKEN}")
    assert refused(await served.stranger.post("/api/groups/1/approve")) == (400, "foreign_origin")
    own = {"Origin": served.url}
    assert (await served.stranger.post("/api/groups/1/approve", headers=own)).status_code == 200
    assert len(daemon.of(Approve)) == 1


async def test_a_page_on_another_port_cannot_even_show_a_picture(served: Served) -> None:
    await served.stranger.get(f"/?token={TOKEN}")
    for site in ("same-site", "cross-site"):
        embedded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert refused(await served.stranger.get("/api/pictures/100", headers=embedded)) == (
            400,
            "foreign_origin",
        )
        framed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
        assert refused(await served.stranger.get("/", headers=framed)) == (400, "foreign_origin")
        followed = framed | {"Sec-Fetch-Dest": "document"}
        assert (await served.stranger.get("/", headers=followed)).status_code == 200


async def test_every_answer_forbids_what_is_not_ours(served: Served) -> None:
    for path in ("/", "/docs", "/api/status", "/static/dedupd.css", "/nowhere"):
        headers = (await served.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store" or path.startswith("/static")


async def test_pages_hold_no_inline_script_and_load_nothing_from_elsewhere(served: Served) -> None:
    for path in ("/", "/docs"):
        page = (await served.client.get(path)).text
        assert "<script>" not in page and "onclick" not in page and "style=" not in page
        assert "https://" not in page and "http://" not in page


async def test_games_with_paths_lead_nowhere(served: Served) -> None:
    games = (
        "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/api/pictures/..%2f1",
        "/duplicates/../../ledger.db", "/static/", "/static/%00",
    )  # fmt: skip
    for path in games:
        sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        assert (await raw(served, sent.encode())).split()[1] in {b"404", b"422"}, path


async def test_what_is_no_request_is_told_so_as_every_error(served: Served) -> None:
    for sent in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 99_999,
    ):
        head, _, body = (await raw(served, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and json.loads(body)["error"]["code"] == "malformed", sent[
            :30
        ]


async def test_a_client_that_does_not_finish_its_head_is_let_go(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.1)
    assert await raw(served, b"GET /health HTTP/1.1\r\nHost: loc") == b""


async def test_the_second_request_of_a_connection_has_no_more_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.1)
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(whole)
    assert b"ok" in await asyncio.wait_for(reader.readuntil(b"}"), 20)
    writer.write(whole[:9])
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()


async def test_connections_have_a_limit(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "CONNECTIONS", 3)
    held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(6)]
    turned_away = await asyncio.wait_for(held[-1][0].read(), 20)
    head, _, body = turned_away.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ") and json.loads(body)["error"]["code"] == "busy"
    for _, writer in held:
        writer.close()
        await writer.wait_closed()


async def test_a_hundred_requests_at_once_are_answered_or_told_to_wait(
    served: Served, daemon: FakeDaemon
) -> None:
    del daemon
    said = await asyncio.gather(*(served.stranger.get("/health") for _ in range(100)))
    assert {response.status_code for response in said} <= {200, 429}


async def test_a_hundred_times_more_connections_than_are_taken_cost_nothing_but_their_own_turn(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CONNECTIONS", 4)
    held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(4)]
    said = await asyncio.gather(
        *(raw(served, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(396))
    )
    assert {answer.split()[1] for answer in said} == {b"429"}
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    assert (await served.stranger.get("/health")).status_code == 200


# ---- TLS


async def test_tls_is_spoken_and_nothing_else(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_text(SELF_MADE)
    trusting = ssl.create_default_context(cadata=SELF_MADE[SELF_MADE.index("-----BEGIN CERT") :])
    async with serve(certificate=tmp_path / "both.pem") as served:
        assert served.url.startswith("https://")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting)
        writer.write(f"GET /?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        entered = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert entered.startswith(b"HTTP/1.1 303 ") and b"; secure" in entered.lower()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", served.port, ssl=ssl.create_default_context())
        assert await raw(served, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") == b"", (
            "nothing without it"
        )
        await served.stranger.get(f"/?token={TOKEN}")
        for origin, status in ((served.url, 409), (served.url.replace("https", "http"), 400)):
            said = await served.stranger.post("/api/undo", json={"last": True}, headers={"Origin": origin})
            assert said.status_code == status, said.text


# ---- where it listens


def test_beyond_this_machine_only_with_a_certificate_or_a_word() -> None:
    for address in ("0.0.0.0:8765", "192.168.1.5:8765", "[::]:8765"):
        with pytest.raises(UsageError, match="tls-cert"):
            listen_on(address)
        assert listen_on(address, insecure_lan=True)
    assert listen_on("0.0.0.0:1", tls_cert=Path("c.pem")).url == "https://0.0.0.0:1"


@pytest.mark.parametrize(
    "text", ["photos.example:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":8765", "::1:x", ""]
)
def test_an_address_that_is_none_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        listen_on(text)


def test_loopback_needs_nothing() -> None:
    assert listen_on("127.0.0.1:8765").url == "http://127.0.0.1:8765"
    assert listen_on("[::1]:8765").url == "http://[::1]:8765"
    assert listen_on("localhost:0").address == "127.0.0.1"


# ---- the token


def test_the_token_lies_private_and_lasts(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    token = token_in(path)
    assert len(token) >= 43 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_in(path) == token


def test_a_token_that_others_could_read_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    token = token_in(path)
    path.chmod(0o644)
    assert token_in(path) != token and stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short\n")
    assert len(token_in(path)) >= 43


def test_the_cookie_does_not_tell_the_token() -> None:
    tokens = Tokens(TOKEN)
    assert tokens.is_cookie(tokens.cookie) and not tokens.is_cookie(TOKEN) and not tokens.opens(tokens.cookie)
    assert not tokens.opens("") and not tokens.opens_once("")
