"""The settings that the daemon uses, and their update when config.toml changes.

Must never apply half a change: a broken file changes nothing, and new settings take effect between two tasks
of the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from dedupd.config import Settings
from dedupd.config.following import LEFT_ALONE_SECONDS, ConfigFile
from dedupd.daemon.engine import Engine, Urgency
from dedupd.errors import DedupdError
from dedupd.library import Library

OnConfig = Callable[[Settings, Sequence[str]], None]
"""on_config(previous settings, sentences): config.toml was read again; the sentences are for people."""


class ConfigFollower:
    """Watches config.toml. Call it on the event loop."""

    def __init__(self, settings: Settings, file: ConfigFile, engine: Engine, on_config: OnConfig) -> None:
        self._file, self._engine, self._on_config = file, engine, on_config
        self.settings = settings
        """The settings in force."""
        self.unfollowed: Sequence[str] = ()
        """What config.toml says and this daemon cannot apply, one sentence each."""
        self._one_at_a_time = asyncio.Lock()

    async def catch_up(self) -> None:
        """Apply config.toml as it is now, before answering a client that relies on it."""
        if self._file.pending:
            await self.follow()
            await asyncio.sleep(LEFT_ALONE_SECONDS)
        await self.follow()

    async def follow(self) -> None:
        """Apply config.toml when it has changed."""
        async with self._one_at_a_time:
            before = self.settings
            try:
                wanted = self._file.changed()
                if wanted is None:
                    return
                self.unfollowed = [] if wanted == before else await self._put_in_force(wanted)
            except DedupdError as error:
                self.unfollowed = [f"the settings stay as they were: {error}"]
        self._on_config(before, self.unfollowed)

    async def _put_in_force(self, wanted: Settings) -> list[str]:
        def follow(library: Library) -> list[str]:
            try:
                return library.follow(wanted)
            finally:
                self.settings = library.settings

        return await asyncio.wrap_future(self._engine.submit("follow", follow, Urgency.PERSON, alone=True))
