"""A root of which not everything is watched: told in status, looked at more often, and once more when it is heard at last."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dedupd.adapters.fs.lock import Locks
from dedupd.config import Places, Settings
from dedupd.core.foreign import Scope
from dedupd.daemon import life
from dedupd.daemon.life import Daemon

DEAF = "only 10 of 43 folders are watched"


class Rig:
    """A daemon that was never started: what it would look at, and a watcher that tells what a test says."""

    def __init__(self, at: Path) -> None:
        self.root = at / "Pictures"
        self.root.mkdir()
        settings = Settings(roots=(self.root,))
        places = Places(state=at / "state", config=at / "config.toml", socket=at / "dedupd.sock")
        self.daemon = Daemon(settings, places, cast("Locks", None))
        self.told = ""
        self.everywhere = 0
        inside = cast("Any", self.daemon)
        inside._loop = asyncio.get_running_loop()
        inside._library = SimpleNamespace(
            known=SimpleNamespace(scope=Scope(ignore=(), defaults=True)), problems={}
        )
        inside.watcher = SimpleNamespace(watch=lambda root: self.told, unwatch=lambda root: None)
        inside.look_everywhere = self._everywhere

    def _everywhere(self) -> None:
        self.everywhere += 1

    async def check(self, told: str) -> dict[str, bool]:
        """What is to be looked at after the watcher said this."""
        self.told = told
        await self.daemon._check_roots()
        hints, self.daemon._hints = self.daemon._hints, {}
        return hints


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_what_is_not_watched_is_told_as_long_as_it_lasts(rig: Rig) -> None:
    await rig.check(DEAF)
    assert DEAF in rig.daemon.attention()
    assert rig.daemon._unwatched[str(rig.root)]
    await rig.check("")
    assert DEAF not in rig.daemon.attention()


async def test_it_is_looked_at_more_often_meanwhile(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await rig.check(DEAF) == {}  # the first look comes anyway
    assert await rig.check(DEAF) == {}
    monkeypatch.setattr(life, "UNWATCHED_SECONDS", -1.0)
    assert await rig.check(DEAF) == {str(rig.root): True}


async def test_it_is_looked_at_once_more_when_all_of_it_is_heard(rig: Rig) -> None:
    await rig.check(DEAF)
    assert await rig.check("") == {str(rig.root): True}
    assert await rig.check("") == {}
    assert rig.everywhere == 0


async def test_later_folders_can_make_it_incomplete(rig: Rig) -> None:
    assert await rig.check("") == {}
    await rig.check(DEAF)
    assert DEAF in rig.daemon.attention()
