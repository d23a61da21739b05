"""lancedb's REST client, left out: generated code for a server, half of what a worker needs to start.

Owns what stands in its place while lancedb is imported. Must never stand in for what an index on disk uses.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

_CLASSES = "lance_namespace_urllib3_client.api."


class _StandIn(MetaPathFinder, Loader):
    """For each module of the client, one whose every name is an empty class."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname.startswith(_CLASSES) else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _empty


def _empty(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


@contextmanager
def left_out() -> Generator[None]:
    """Importing lancedb within this costs 1.3 s of a core instead of 2.7, and 11 MB less; and no network socket.

    urllib3, which it brings, binds one to learn whether there is IPv6, unless Python says that there is none.
    """
    stand_in, has_ipv6 = _StandIn(), socket.has_ipv6
    sys.meta_path.insert(0, stand_in)
    socket.has_ipv6 = False
    try:
        yield
    finally:
        socket.has_ipv6 = has_ipv6
        sys.meta_path.remove(stand_in)
