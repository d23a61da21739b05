"""Errors in HTTP: one status, one code for programs, one sentence for people.

Owns which error has which status. Must never send a traceback or a library's own words.
"""

from __future__ import annotations

from dedupd.client.connection import DaemonRefused
from dedupd.errors import DedupdError, NoDaemon, ProtocolError, StateError, UsageError
from dedupd.protocol.codec import InvalidMessage, TooLong
from dedupd.protocol.failure import INVALID_PARAMS, NOT_FOUND, REFUSED, STALE


class Problem(DedupdError):
    """A request that cannot be answered: `{"error": {"code", "message"}}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


_REFUSALS = {
    NOT_FOUND: (404, "not_found"),
    STALE: (409, "stale"),
    REFUSED: (409, "refused"),
    INVALID_PARAMS: (422, "invalid"),
}
"""Codes of the daemon's refusals -> (status, word)."""
_KINDS: tuple[tuple[type[DedupdError], int, str], ...] = (
    (NoDaemon, 409, "no_daemon"),
    (StateError, 409, "no_state"),
    (UsageError, 422, "invalid"),
    (TooLong, 413, "too_large"),
    (ProtocolError, 409, "other_version"),
)


def ending() -> Problem:
    """Told to whoever still waits when this server is stopped."""
    return Problem(503, "ending", "`dedupd web` was stopped before this was done: ask again when it is back")


def problem_of(error: DedupdError) -> Problem:
    """Any error of dedupd, as a status, a word and its own sentence."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DaemonRefused):
        return Problem(*_REFUSALS.get(error.code, (500, "failed")), str(error))
    if isinstance(error, InvalidMessage):
        status, code = (422, "invalid") if error.code == INVALID_PARAMS else (400, "malformed")
        return Problem(status, code, str(error))
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return Problem(status, code, str(error))
    return Problem(500, "failed", str(error))
