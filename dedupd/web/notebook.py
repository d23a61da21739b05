"""A group as pictures in a notebook, by the templates of the pages.

>>> from dedupd import GroupPictures, Library
>>> with Library.open(["~/Pictures"]) as library:
...     shown = [GroupPictures(library, group) for group in library.groups()[:3]]
>>> shown[0]  # the last line of a cell

Must never act, and holds small pictures alone: what is shown outlives the library that it was read from.
"""

from __future__ import annotations

import base64
from pathlib import Path

from dedupd.errors import UsageError
from dedupd.library import Library
from dedupd.protocol.views import GroupView
from dedupd.web.rendering import text

_TYPES = {".jpg": "image/jpeg", ".webp": "image/webp"}


class GroupPictures:
    """Keeper and candidates side by side, with what is known about each."""

    def __init__(self, library: Library, group: GroupView | int) -> None:
        """`group`: one of `library.groups()`, or its id. Raises UsageError where there is no such group."""
        group = group if isinstance(group, int) else group.id
        row = library.ledger.groups.get(group)
        detail = None if row is None else library.reviewer.detail(row)
        if detail is None:
            raise UsageError(f"there is no group {group}: `library.groups()` lists those that are there")
        made = library.thumbnails([photo.file for photo in detail.photos], 256)
        self._html = text(
            "notebook.html",
            detail=detail,
            pictures={int(file): _inline(Path(path)) for file, path in made.items()},
        )
        self._said = f"<group {group}: {detail.group.keep!a} and {len(detail.photos) - 1} more>"

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._said


def _inline(path: Path) -> str:
    """The picture itself as a data address: a notebook is also read where its library is not."""
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
