"""A root of which not everything is watched: told in status, looked at more often, and once more when it is heard at last."""

from __future__ import annotations

from pathlib import Path

import pytest

from dedupd.daemon.root_watch import RootWatch

UNHEARD = "only 10 of 43 folders are watched"


class Rig:
    """A root whose watcher tells what a test says, and what was to be looked at."""

    def __init__(self, root: Path, unwatched_seconds: float = 600.0) -> None:
        self.root = str(root)
        self.said = ""
        self.hints: dict[str, bool] = {}
        self.everywhere = 0
        self.roots = RootWatch(self, unwatched_seconds=unwatched_seconds)

    def watch(self, root: str) -> str:
        return self.said

    def unwatch(self, root: str) -> None: ...

    def hint(self, folder: str, whole: bool) -> None:
        self.hints[folder] = whole

    def reconcile_all(self) -> None:
        self.everywhere += 1

    async def check(self, said: str) -> dict[str, bool]:
        """What is to be looked at after the watcher said this."""
        self.said, self.hints = said, {}
        await self.roots.check([self.root], self)
        return self.hints


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_what_is_not_watched_is_told_as_long_as_it_lasts(rig: Rig) -> None:
    await rig.check(UNHEARD)
    assert rig.roots.unwatched() == [UNHEARD]
    await rig.check("")
    assert rig.roots.unwatched() == []


async def test_it_is_looked_at_more_often_meanwhile(rig: Rig, tmp_path: Path) -> None:
    assert await rig.check(UNHEARD) == {}  # the first look comes anyway
    assert await rig.check(UNHEARD) == {}
    often = Rig(tmp_path, unwatched_seconds=-1.0)
    assert await often.check(UNHEARD) == {}
    assert await often.check(UNHEARD) == {often.root: True}


async def test_it_is_looked_at_once_more_when_all_of_it_is_heard(rig: Rig) -> None:
    await rig.check(UNHEARD)
    assert await rig.check("") == {rig.root: True}
    assert await rig.check("") == {}
    assert rig.everywhere == 0


async def test_later_folders_can_make_it_incomplete(rig: Rig) -> None:
    assert await rig.check("") == {}
    await rig.check(UNHEARD)
    assert rig.roots.unwatched() == [UNHEARD]
