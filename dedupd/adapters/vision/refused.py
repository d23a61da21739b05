"""The two reasons why a file gives no picture, as exceptions. Must never read a file."""

from __future__ import annotations


class Refused(Exception):
    """This file gives no picture; the message is one clause for people."""

    def __init__(self, reason: str, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


class NobodyReads(Refused):
    """By its name or first bytes it is a photo, in a form that nothing installed here decodes; its bytes can
    still be compared."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind
