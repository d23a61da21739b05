"""The answer to `dedupd --version`: the version, and which extras are installed.

Owns only the words: what an extra needs is read from the metadata of the installed package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from dedupd.version import __version__

_OF_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NOT_FOR_PEOPLE = frozenset({"browser", "test"})
"""Extras for those who change dedupd."""


def version_lines() -> Iterator[str]:
    """Lines for people; the first is the version alone."""
    yield f"dedupd {__version__}"
    needs = _needs()
    here = [extra for extra, names in needs.items() if all(map(_installed, names))]
    missing = [extra for extra in needs if extra not in here]
    if needs:
        yield f"extras: {', '.join(here) or 'none'}" + (
            f" (not installed: {', '.join(missing)})" if missing else ""
        )


def _needs() -> dict[str, list[str]]:
    """Extra -> distributions that it needs; empty when dedupd runs from its source without being installed."""
    found: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("dedupd") or []
    except metadata.PackageNotFoundError:
        return found
    for requirement in requirements:
        extra, name = _OF_EXTRA.search(requirement), _NAME.match(requirement)
        if extra and name and extra[1] not in _NOT_FOR_PEOPLE:
            found.setdefault(extra[1], []).append(name[0])
    return dict(sorted(found.items()))


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
