"""Pictures of the library by file id: small ones from the daemon, larger ones from this server's own worker
with a memory limit.

Must never send a file itself: every picture was decoded and encoded anew here. No path is accepted or sent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response

from dedupd.adapters.vision.client import VisionWorker
from dedupd.config import Places, Settings
from dedupd.errors import NoDaemon
from dedupd.library import LibraryView
from dedupd.ports import EVERY_PIXEL
from dedupd.protocol.requests import GetThumbnails, Side
from dedupd.protocol.results import Thumbnails
from dedupd.web.api import LARGEST_ID
from dedupd.web.contract import described
from dedupd.web.daemon_connection import DaemonConnection
from dedupd.web.problems import Problem

_SIDES = (256, 512, 1280, 2560, EVERY_PIXEL)
"""Sizes in px; a request gets the next larger one."""
_DAEMONS = 512
"""Up to this size the daemon has the picture, or makes it, in the library's cache."""
_GATHER_SECONDS = 0.01
"""Seconds for which requests are collected: a page asks for fifty pictures, the daemon is asked once."""
_TOGETHER = 64
KEPT_BYTES = 512_000_000
"""Bytes of large pictures, kept until the server ends."""
_TYPES = {".jpg": "image/jpeg", ".webp": "image/webp"}
_KNOWN: dict[str, Any] = {
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES.values()},
    "description": "The picture",
}


class Pictures:
    """Makes and caches pictures. `cache` is this server's own folder, empty at its start."""

    def __init__(self, settings: Settings, places: Places, connection: DaemonConnection, cache: Path) -> None:
        self._settings, self._places, self._connection = settings, places, connection
        self._worker = VisionWorker(
            cache / "index", cache, "hashes", idle_seconds=settings.schedule.worker_idle_seconds
        )
        self._maker = ThreadPoolExecutor(1, "web-pictures")
        self._kept: OrderedDict[Path, int] = OrderedDict()
        self._asked: dict[Side, dict[int, asyncio.Future[Path | None]]] = {256: {}, 512: {}}

    def close(self) -> None:
        self._maker.shutdown(wait=False, cancel_futures=True)
        self._worker.rest()

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api")
        responses = described(Thumbnails, 404, 409, 422) | {
            200: _KNOWN,
            304: {"description": "As you have it"},
        }
        routes.add_api_route("/pictures/{file}", self.picture, response_class=Response, responses=responses)
        return routes

    async def picture(
        self, request: Request, file: Annotated[int, InPath(ge=0, le=LARGEST_ID)],
        side: Annotated[int, Query(ge=1, le=EVERY_PIXEL)] = 512,
    ) -> Response:  # fmt: skip
        """A photo by its file id, upright, in sRGB, `side` pixels long or the next larger size: 256, 512,
        1280, 2560, all."""
        path = await self._path(file, next(known for known in _SIDES if known >= side))
        if path is None or path.suffix not in _TYPES:
            raise Problem(404, "not_found", f"there is no picture of file {file}")
        # The name holds the content's id: another content is another picture.
        headers = {"ETag": f'"{path.name}"', "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        try:
            picture = await asyncio.to_thread(path.read_bytes)
        except OSError:
            raise Problem(404, "not_found", f"the picture of file {file} is gone: ask again") from None
        return Response(picture, media_type=_TYPES[path.suffix], headers=headers)

    async def _path(self, file: int, side: int) -> Path | None:
        if side <= _DAEMONS:
            try:
                return await self._small(file, cast("Side", side))
            except NoDaemon:
                pass
        return await asyncio.get_running_loop().run_in_executor(self._maker, self._make, file, side)

    async def _small(self, file: int, side: Side) -> Path | None:
        waiting = self._asked[side]
        if file not in waiting:
            waiting[file] = asyncio.get_running_loop().create_future()
            if len(waiting) == 1:
                asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._send, side)
            elif len(waiting) == _TOGETHER:
                self._send(side)
        return await asyncio.shield(waiting[file])

    def _send(self, side: Side) -> None:
        together, self._asked[side] = self._asked[side], {}
        if together:
            self._asking = asyncio.ensure_future(self._ask(side, together))

    async def _ask(self, side: Side, together: dict[int, asyncio.Future[Path | None]]) -> None:
        try:
            found = await self._connection.ask(GetThumbnails(files=list(together), side=side), Thumbnails)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who asked are told
            for future in together.values():
                future.set_exception(error)
            return
        for file, future in together.items():
            path = found.paths.get(str(file))
            future.set_result(None if path is None else Path(path))

    def _make(self, file: int, side: int) -> Path | None:
        with closing(LibraryView(self._settings, self._places)) as view:
            made = view.thumbnails([file], side, worker=self._worker).get(str(file))
        if made is None:
            return None
        path = Path(made)
        self._kept[path] = path.stat().st_size
        self._kept.move_to_end(path)
        while sum(self._kept.values()) > KEPT_BYTES and len(self._kept) > 1:
            oldest, _ = self._kept.popitem(last=False)
            oldest.unlink(missing_ok=True)
        return path
