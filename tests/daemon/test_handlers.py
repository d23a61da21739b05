"""Answers that grow with the library come in pages; every page is asked for by where the last one ended."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dedupd.daemon import handlers as handlers_module
from dedupd.daemon import page_fit as fitting_module
from dedupd.daemon.handlers import Handlers
from dedupd.protocol.messages import (
    GetGroups,
    GetLessons,
    GetMonths,
    GetMoves,
    GroupsPage,
    Lessons,
    Months,
    MovesPage,
)
from tests.support.shelf import Shelf

if TYPE_CHECKING:
    from dedupd.daemon.life import Daemon


@pytest.fixture
def asked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handlers]:
    """Handlers of a library with five groups, moves and verdicts in five months; a message has room for two things."""
    for month in range(1, 6):
        shelf.pair(f"2024/0{month}/a.jpg", f"2024/0{month}/a-small.jpg", f"scene {month}")
    shelf.look()
    shelf.library.approve([group.id for group in shelf.ledger.judgement.groups()])

    def two(items: Any) -> int:
        return min(2, len(items))

    monkeypatch.setattr(fitting_module, "fitting", two)
    monkeypatch.setattr(handlers_module, "fitting", two)
    daemon = SimpleNamespace(settings=shelf.library.settings, places=shelf.library.places)
    handlers = Handlers(cast("Daemon", daemon))
    yield handlers
    handlers.close()


async def test_every_list_is_whole_when_its_pages_are_put_together(asked: Handlers) -> None:
    for request, kind, name in (
        (GetMonths, Months, "months"),
        (GetLessons, Lessons, "lessons"),
        (GetGroups, GroupsPage, "groups"),
        (GetMoves, MovesPage, "moves"),
    ):
        found: list[Any] = []
        offset: int | None = 0
        while offset is not None:
            page = await asked.answer(request(offset=offset))
            assert isinstance(page, kind)
            assert 1 <= len(getattr(page, name)) <= 2
            found += getattr(page, name)
            offset = page.next_offset
        ids = {getattr(item, "id", None) or item.month for item in found}
        assert len(found) == len(ids) == 5, name
