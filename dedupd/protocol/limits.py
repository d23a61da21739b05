"""The limits that both ends of the socket share: the number of the protocol, and the size of a message."""

from __future__ import annotations

PROTOCOL = 2
"""`hello` refuses any other number. It is raised when a request changes its meaning: unknown fields are
ignored, so an older daemon might do only half of an act."""
MAX_LINE = 1 << 20
"""Bytes in one message, in both directions; what grows with a library is paged, or cut and says so."""
MANY_IDS = 20_000
"""Ids in one message."""
MAX_CLIENTS = 32
"""Clients that may be connected at the same time."""
