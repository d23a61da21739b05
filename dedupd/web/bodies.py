"""JSON bodies: read with a limit and checked against a message's shape; answers are written as on the socket.

Owns how names with undecodable bytes are sent (\\udcXX, as on the socket). Must never read more than the
limit.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dedupd.protocol.codec import parse, shape
from dedupd.protocol.limits import MAX_LINE
from dedupd.web.problems import Problem

S = TypeVar("S", bound=msgspec.Struct)
STALL_SECONDS = 30.0
"""Seconds after which a sender that sends nothing is disconnected."""


def answer(value: object, status: int = 200) -> Response:
    """A response with a message, or with a list or dict of messages."""
    return Response(text_of(value), status, media_type="application/json")


def text_of(value: object) -> str:
    """JSON on one line, as the socket writes it."""
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def refusal(problem: Problem) -> Response:
    told = {"error": {"code": problem.code, "message": str(problem)}}
    response = answer(told, problem.status)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def chunks(request: Request, limit: int) -> AsyncGenerator[bytes]:
    """The body in the parts in which it arrives. Raises Problem: 413 when it is longer than `limit` bytes,
    400 when it stops coming."""
    too_large = Problem(413, "too_large", f"the body is over the limit of {limit} bytes")
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limit:  # what it says may be a lie: all is counted
        raise too_large
    taken, stream = 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Problem(400, "too_slow", "the rest of the body did not come") from None
        except ClientDisconnect:
            raise Problem(400, "cut_short", "the connection ended before the body did") from None
        taken += len(chunk)
        if taken > limit:
            raise too_large
        if chunk:
            yield chunk


async def body_of(request: Request, kind: type[S]) -> S:
    """The body as `kind`; an empty body counts as one without fields. Raises Problem or InvalidMessage."""
    raw = b"".join([chunk async for chunk in chunks(request, MAX_LINE)])
    value: dict[str, Any] = {}
    if raw:
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if said != "application/json":
            raise Problem(415, "not_json", "the body must be JSON, sent as application/json")
        value = parse(raw)
    return shape(value, kind)
