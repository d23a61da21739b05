"""Renders templates to pages: the functions that templates may call, and the escaping of names.

Must never put a name into a page unescaped, nor fail because of bytes that are no text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from dedupd.protocol.views import StatusView
from dedupd.reviewing import listing, words

HERE = Path(__file__).parent
_MODULES = sorted(path.name for path in (HERE / "static").glob("*.js"))
"""All are requested at once and before any picture: a browser opens six connections, and pictures may be
slow."""
_WORDS: tuple[Callable[..., Any], ...] = (
    words.camera_time, words.duration, words.evidence, words.group_title, words.holds, words.local_time, words.month_name,
    words.name_of, words.number, words.percent, words.pixels, words.plain, words.plural, words.progress, words.size,
    listing.members, listing.waits, listing.weight,
)  # fmt: skip


@cache
def _environment() -> Environment:
    """One a process: what is compiled once is there for all."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters.update({word.__name__: word for word in _WORDS})
    templates.filters |= {"when": _when, "resting": _resting}
    known: dict[str, Any] = templates.globals
    known |= {
        "MEANING": words.MEANING,
        "STATES": words.STATES,
        "RELATION_NAMES": words.RELATION_NAMES,
        "MODULES": _MODULES,
    }
    return templates


def compile_all() -> None:
    """Now, so that no page waits for it."""
    for name in _environment().list_templates():
        _environment().get_template(name)


def page(name: str, /, *, http: int = 200, **known: Any) -> Response:
    return HTMLResponse(text(name, **known).encode("utf-8"), http)


def text(name: str, /, **known: Any) -> str:
    made = _environment().get_template(name).render(**known)
    return made.encode("utf-8", "backslashreplace").decode("utf-8")


def _resting(status: StatusView) -> str:
    return words.resting(status, time.time())


def _when(stamp: float | None) -> str:
    return words.when(stamp, time.time())
