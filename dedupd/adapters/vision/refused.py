"""The two ways in which a file gives no picture.

Owns the exceptions that reading raises; must never read.
"""

from __future__ import annotations


class Refused(Exception):
    """This file gives no picture; the message is one clause for people."""

    def __init__(self, reason: str, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


class NobodyReads(Refused):
    """A photo by its name or first bytes, in a form that nothing installed here decodes: its bytes can be compared."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind
