"""What both ends of the socket go by: the number of the protocol, and how large a message may be."""

from __future__ import annotations

PROTOCOL = 2
"""One number; `hello` refuses another. Raised when a request changes its meaning: unknown fields are ignored, and half of an
act must never be done."""
MAX_LINE = 1 << 20
"""Bytes in one message, both directions; what grows with a library is paged or cut to stay below it, and says so."""
MANY_IDS = 20_000
"""Ids in one message."""
MAX_CLIENTS = 32
"""Programs that talk to the daemon at a time."""
