"""Leaves out parts of lancedb that an index on disk never uses: two thirds of a worker's start time.

Owns the empty modules that replace them during the import: its REST client (generated code for a server), its
embedding functions (for other models) and functions of columns, and the check that each method of its classes overrides one (newer
lancedb has that no more on Python 3.12). Must never replace anything that an index on disk uses.
"""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

_CLIENT = "lance_namespace_urllib3_client"
_EMBEDDINGS = "lancedb.embeddings."
_NEEDED = {_EMBEDDINGS + name for name in ("base", "registry", "utils")}
_FUNCTIONS = "lancedb.functions"


class _StandIn(MetaPathFinder, Loader):
    """An import finder: each module that is left out becomes one whose every name is an empty class."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        client = fullname.partition(".")[0] == _CLIENT
        unused = fullname == _FUNCTIONS or (fullname.startswith(_EMBEDDINGS) and fullname not in _NEEDED)
        if client or unused:
            return spec_from_loader(fullname, self, is_package=client)
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _empty


def _empty(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


def _unchecked() -> ModuleType:
    """`overrides`, as far as lancedb uses it, without its checks, which read the types of every method."""
    module = ModuleType("overrides")
    module.EnforceOverrides = type("EnforceOverrides", (), {})  # type: ignore[attr-defined]
    module.override = _as_it_is  # type: ignore[attr-defined]
    return module


def _as_it_is(method: Callable[..., Any]) -> Callable[..., Any]:
    return method


@contextmanager
def left_out() -> Generator[None]:
    """Importing lancedb inside this takes a third of the time and 20 MB less, and opens no network socket.

    urllib3, which lancedb imports, binds a socket to find out whether there is IPv6, unless Python says that
    there is none. Nobody looks for garbage meanwhile, nor later among what was made: all of it stays.
    """
    stand_in, has_ipv6, overrides = _StandIn(), socket.has_ipv6, sys.modules.get("overrides")
    sys.meta_path.insert(0, stand_in)
    sys.modules["overrides"] = _unchecked()
    socket.has_ipv6 = False
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        socket.has_ipv6 = has_ipv6
        sys.meta_path.remove(stand_in)
        del sys.modules["overrides"]
        if overrides is not None:
            sys.modules["overrides"] = overrides
