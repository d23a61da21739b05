"""The daemon put together, as far as it can be asked without being started."""

from __future__ import annotations

from typing import cast

import pytest

from dedupd.adapters.fs.lock import Locks
from dedupd.daemon.life import Daemon
from tests.support.shelf import Shelf

UNHEARD = "only 10 of 43 folders are watched"


async def test_a_root_that_is_not_watched_is_told_in_the_status(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(shelf.library.settings, shelf.library.places, cast("Locks", None))
    daemon._library = shelf.library
    monkeypatch.setattr(daemon._watcher, "watch", lambda root: UNHEARD)
    await daemon._check_roots()
    assert UNHEARD in daemon.attention()
    monkeypatch.setattr(daemon._watcher, "watch", lambda root: "")
    await daemon._check_roots()
    assert UNHEARD not in daemon.attention()
    assert daemon._hints.waiting, "all of it is looked at once more, when it is heard at last"
