"""Which method answers a request: reads.py for requests that only read, acts.py for those that change
something.

A method is named as in the protocol, `scan-now` as scan_now. Must never do the work itself.
"""

from __future__ import annotations

import os

import msgspec

from dedupd.daemon.acts import Acts
from dedupd.daemon.reads import Reads
from dedupd.daemon.services import Services
from dedupd.daemon.socket_server import OtherProtocol
from dedupd.protocol.failure import REFUSED
from dedupd.protocol.limits import PROTOCOL
from dedupd.protocol.requests import GetStatus, Request, SayHello
from dedupd.protocol.results import Hello
from dedupd.protocol.views import StatusView
from dedupd.version import __version__


class Handlers:
    """Answers requests for one daemon."""

    def __init__(self, services: Services) -> None:
        self._reads, self._acts = Reads(services), Acts(services)

    async def answer(self, request: Request) -> msgspec.Struct:
        """The result of a request. Raises RequestError or another DedupdError with one sentence."""
        if isinstance(request, SayHello):
            return _hello(request)
        name = request.method.replace("-", "_")
        return await getattr(self._reads if hasattr(self._reads, name) else self._acts, name)(request)

    async def status(self) -> StatusView:
        """The answer to GetStatus."""
        return await self._reads.status(GetStatus())

    def close(self) -> None:
        """From now on no request is answered."""
        self._reads.close()


def _hello(request: SayHello) -> Hello:
    """Answer the hello. Raises OtherProtocol when the client has another protocol number."""
    if request.protocol != PROTOCOL:
        raise OtherProtocol(
            REFUSED,
            f"this daemon speaks protocol {PROTOCOL}, you speak {request.protocol}: "
            "restart it, or use the dedupd that it was started from",
        )
    return Hello(protocol=PROTOCOL, version=__version__, pid=os.getpid())
