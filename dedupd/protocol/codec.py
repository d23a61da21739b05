"""One message to one line, and back. Must never read or write anything itself.

The standard library encodes, because file names may hold lone surrogates: they are sent as \\udcXX, and
msgspec's encoder refuses them. msgspec checks the shape of incoming messages.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

import msgspec

from dedupd.errors import ProtocolError
from dedupd.protocol.failure import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, Failure
from dedupd.protocol.limits import MAX_LINE
from dedupd.protocol.notices import NOTICES, Notice
from dedupd.protocol.requests import REQUESTS, Request

S = TypeVar("S", bound=msgspec.Struct)
Id = int | str | None
SENTENCE = 10_000
"""Characters of an error's sentence, at most."""


class InvalidMessage(ProtocolError):
    """An incoming line is no valid message; `code` is the JSON-RPC error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class TooLong(ProtocolError):
    """A message is too long: the other end would close the connection over it, so it is never sent."""


def size(value: Any) -> int:
    """Bytes that a value needs in a message."""
    return len(_json(msgspec.to_builtins(value)))


def dump(message: dict[str, Any]) -> bytes:
    """One line, newline included. Raises TooLong when the other end would refuse it."""
    line = _json(message) + b"\n"
    if len(line) > MAX_LINE:
        raise TooLong(f"a message of {len(line)} bytes is over the limit of {MAX_LINE}")
    return line


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def encode_request(id: Id, request: Request) -> bytes:
    return dump(
        {"jsonrpc": "2.0", "id": id, "method": request.method, "params": msgspec.to_builtins(request)}
    )


def encode_result(id: Id, result: msgspec.Struct) -> bytes:
    return dump({"jsonrpc": "2.0", "id": id, "result": msgspec.to_builtins(result)})


def encode_error(id: Id, failure: Failure) -> bytes:
    """An error as a line. It always fits: a long sentence is cut, and an endless id is not repeated."""
    short = Failure(code=failure.code, message=failure.message[:SENTENCE], data=failure.data)
    error = msgspec.to_builtins(short)
    try:
        return dump({"jsonrpc": "2.0", "id": id, "error": error})
    except TooLong:
        return dump({"jsonrpc": "2.0", "id": None, "error": error})


def encode_notice(notice: Notice) -> bytes:
    return dump({"jsonrpc": "2.0", "method": notice.method, "params": msgspec.to_builtins(notice)})


def parse(line: bytes) -> dict[str, Any]:
    """The JSON object of one line. Raises InvalidMessage (one sentence)."""
    if len(line) > MAX_LINE:
        raise InvalidMessage(PARSE_ERROR, f"a message of {len(line)} bytes is over the limit of {MAX_LINE}")
    try:
        message: object = json.loads(line, parse_int=_int)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(PARSE_ERROR, f"not one line of JSON: {error}") from None
    if not isinstance(message, dict):
        raise InvalidMessage(INVALID_REQUEST, "a message is one JSON object: batches are not taken")
    return cast("dict[str, Any]", message)


def _int(text: str) -> int:
    """An int that fits into the database's columns; ids, counts and offsets end there."""
    value = int(text) if len(text) < 21 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("a number beyond 64 bits")
    return value


def request_of(message: dict[str, Any]) -> Request | None:
    """The typed request; None for an unknown method. Raises InvalidMessage when its parameters do not fit."""
    kind = REQUESTS.get(message.get("method", ""))
    if kind is None:
        return None
    return shape(message.get("params") or {}, kind)


def notice_of(message: dict[str, Any]) -> Notice | None:
    """The typed notice; None for one that this version does not know."""
    kind = NOTICES.get(message.get("method", ""))
    return None if kind is None else shape(message.get("params") or {}, kind)


def shape(value: Any, kind: type[S]) -> S:
    """Convert `value` to `kind`. Raises InvalidMessage naming the field that does not fit."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidMessage(INVALID_PARAMS, f"the parameters do not fit: {error}") from None
