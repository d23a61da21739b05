"""The token: whoever has it may decide about the photos. It is in `<state>/web.token`, mode 0600.

Must never print it where others can read it, nor compare it in a time that depends on how much of a guess was
right.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from dedupd.drafts import draft_of
from dedupd.errors import StateError, UsageError

_SHORTEST = 32
"""Characters; a shorter token was not made here."""


class Tokens:
    """The lasting token, the value that represents it in a cookie, and a ticket that works once."""

    def __init__(self, token: str) -> None:
        self.token = token
        # Browsers send cookies to every port of a host. This value gives access too, but does not reveal the
        # token in the file.
        self.cookie = hmac.new(token.encode(), b"dedupd cookie", hashlib.sha256).hexdigest()
        self._ticket = ""

    def ticket(self) -> str:
        """Used in the place of the token in an address that others may read, such as a browser's command
        line; valid once."""
        self._ticket = secrets.token_urlsafe(32)
        return self._ticket

    def opens(self, given: str) -> bool:
        """Whether it is the token."""
        return _equal(given, self.token)

    def opens_once(self, given: str) -> bool:
        """Whether it is the token or, the first time, the ticket."""
        by_ticket = bool(self._ticket) and _equal(given, self._ticket)
        if by_ticket:
            self._ticket = ""
        return by_ticket or self.opens(given)

    def is_cookie(self, given: str) -> bool:
        return _equal(given, self.cookie)


def _equal(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), known.encode())


def token_in(path: Path) -> str:
    """The token of this state; made at the first use, and made anew when others could have read it. Raises
    StateError."""
    try:
        return _kept(path) or _made(path)
    except OSError as error:
        raise StateError(
            f"the token {path} cannot be kept ({error.strerror}): mend or remove that file"
        ) from None


def token_of(path: Path) -> str:
    """The token in a file that its owner named; made there when the file does not exist, and never replaced.
    Raises UsageError."""
    try:
        found = _kept(path)
        if not found and os.path.lexists(path):
            raise UsageError(
                f"{path} holds no token: name a file of yours (mode 0600) with {_SHORTEST} letters or more in it, "
                "or one that is not there yet"
            )
        return found or _made(path)
    except OSError as error:
        raise UsageError(f"the token file {path} cannot be used ({error.strerror}): name another") from None


def _kept(path: Path) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            private = (
                stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
            )
            text = file.read(1024).decode("ascii", "replace").strip() if private else ""
    except FileNotFoundError:
        return ""
    return text if len(text) >= _SHORTEST and text.isascii() else ""


def _made(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    with draft_of(path, 0o600) as draft:
        draft.write([token.encode("ascii") + b"\n"])
        draft.replace()
    return token
