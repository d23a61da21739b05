"""Answers that grow with the library come in pages; every page is asked for by where the last one ended."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dedupd.daemon import page_fit as fitting_module
from dedupd.daemon import reads as reads_module
from dedupd.daemon.handlers import Handlers
from dedupd.daemon.services import Services
from dedupd.protocol.requests import REQUESTS, GetGroups, GetLessons, GetMonths, GetMoves
from dedupd.protocol.results import GroupsPage, LessonsPage, MonthsPage, MovesPage
from tests.support.shelf import Shelf


@pytest.fixture
def asked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handlers]:
    """Handlers of a library with five groups, moves and verdicts in five months; a message has room for two things."""
    for month in range(1, 6):
        shelf.pair(f"2024/0{month}/a.jpg", f"2024/0{month}/a-small.jpg", f"scene {month}")
    shelf.look()
    shelf.library.verdicts.approve([group.id for group in shelf.ledger.groups.all()])

    def two(items: Any) -> int:
        return min(2, len(items))

    monkeypatch.setattr(fitting_module, "fitting", two)
    monkeypatch.setattr(reads_module, "fitting", two)
    config = SimpleNamespace(settings=shelf.library.settings)
    handlers = Handlers(cast("Services", SimpleNamespace(config=config, places=shelf.library.places)))
    yield handlers
    handlers.close()


async def test_every_list_is_whole_when_its_pages_are_put_together(asked: Handlers) -> None:
    for request, kind, name in (
        (GetMonths, MonthsPage, "months"),
        (GetLessons, LessonsPage, "lessons"),
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


def test_every_request_is_answered_in_one_place(asked: Handlers) -> None:
    for method in sorted(REQUESTS.keys() - {"hello", "subscribe"}):  # the connection's own
        name = method.replace("-", "_")
        assert hasattr(asked._reads, name) != hasattr(asked._acts, name), method
