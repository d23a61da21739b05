"""The application: routes, errors and the OpenAPI page, behind the checks of access_control.py.

Owns what lives as long as the server: the connection to the daemon, the vision worker, the uploaded sets.
Must never open a socket: serve.py does.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from dedupd.adapters.fs.lock import private_folder, state_lock
from dedupd.client.daemon_launcher import DaemonLauncher
from dedupd.config import Places, Settings
from dedupd.errors import AlreadyRunning, DedupdError, StateError
from dedupd.protocol.results import Acted, Confirmed, GroupsPage, LessonsPage, MonthsPage, MovesPage, Tuned
from dedupd.protocol.views import GroupDetail, SettingsView, StatusView
from dedupd.version import __version__
from dedupd.web.access_control import AccessControl, Site
from dedupd.web.api import LibraryRoutes
from dedupd.web.bodies import answer, refusal
from dedupd.web.contract import (
    Back,
    ErrorBody,
    Keep,
    Many,
    Nothing,
    SetDuplicates,
    Swap,
    Tried,
    Unlearn,
    UploadedSet,
    Verdict,
    Yes,
    schemas,
)
from dedupd.web.daemon_connection import DaemonConnection
from dedupd.web.pages import Pages, static, wants_page
from dedupd.web.pictures import Pictures
from dedupd.web.problems import Problem, problem_of
from dedupd.web.reading import LibraryReading
from dedupd.web.set_routes import SetRoutes
from dedupd.web.sets import Sets
from dedupd.web.tokens import Tokens

_MESSAGES = (
    Acted, Back, Confirmed, ErrorBody, Nothing, Unlearn, GroupDetail, GroupsPage, Keep, LessonsPage, Many, MonthsPage, MovesPage, SetDuplicates,
    SettingsView, StatusView, Swap, Tried, Tuned, UploadedSet, Verdict, Yes,
)  # fmt: skip
_TIDY_SECONDS = 30.0
_CODES = {404: "not_found", 405: "not_allowed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """The objects that the routes use."""

    connection: DaemonConnection
    reading: LibraryReading
    pictures: Pictures
    sets: Sets
    launcher: DaemonLauncher


_MARK = ".made-by-dedupd-web"


def _make_ours(folder: Path) -> None:
    """Check that this server made the folder before it is emptied: in a state folder somebody may keep other
    files, photos too.

    Raises StateError for a folder of this name that somebody else made.
    """
    private_folder(folder.parent)
    private_folder(folder)
    try:
        if not (folder / _MARK).is_file():
            if any(folder.iterdir()):
                raise StateError(f"{folder} is not dedupd's, and stays as it is: use another --state-dir")
            (folder / _MARK).touch()
    except OSError as error:
        raise StateError(f"{folder} cannot be used ({error.strerror}): use another --state-dir") from None


@contextlib.contextmanager
def own_folder(places: Places) -> Generator[Path]:
    """This server's own folder in the state, empty and locked: one `dedupd web` for each state. Raises
    AlreadyRunning, StateError."""
    folder = places.state / "web"
    _make_ours(folder)
    try:
        with state_lock(replace(places, state=folder, named=False)):
            for name in ("sets", "pictures"):
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / name).mkdir(mode=0o700)
            try:
                yield folder
            finally:
                for name in ("sets", "pictures"):
                    shutil.rmtree(folder / name, ignore_errors=True)
    except AlreadyRunning:
        raise AlreadyRunning(f"another `dedupd web` already serves {places.state}; stop it first") from None


def parts(settings: Settings, places: Places, folder: Path, start_command: Sequence[str] = ()) -> ServerParts:
    """`start_command`: starts a daemon; () when nothing can start one."""
    connection = DaemonConnection(places.socket)
    return ServerParts(
        connection=connection, reading=LibraryReading(settings, places, connection),
        pictures=Pictures(settings, places, connection, folder / "pictures"), sets=Sets(settings, places, folder / "sets"),
        launcher=DaemonLauncher(start_command),
    )  # fmt: skip


def app_of(built: ServerParts) -> FastAPI:
    """The routes, without the checks of access_control.py."""

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        del app
        work = (built.connection.run(), built.reading.follow(), _tidy(built.sets))
        beside = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            built.reading.close()
            built.pictures.close()
            await asyncio.to_thread(built.sets.close)  # what is said last still goes out meanwhile

    app = FastAPI(
        title="dedupd", version=__version__, docs_url=None, redoc_url=None, lifespan=life,
        description="Duplicates in a photo library, and among pictures that you send.",
    )  # fmt: skip
    pages = Pages(app, built.reading, can_start=bool(built.launcher.command))

    async def refused(request: Request, error: Exception) -> Response:
        problem = _problem(error)
        if wants_page(request):
            return await pages.problem(problem)
        response = refusal(problem)
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    for kind in (DedupdError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, refused)
    app.add_api_route(
        "/health", health, openapi_extra={"security": []}, responses={200: {"description": "It answers"}}
    )
    for routes in (
        LibraryRoutes(built.reading, built.connection, built.launcher),
        built.pictures,
        SetRoutes(built.sets),
        pages,
    ):
        app.include_router(routes.router())
    app.mount("/static", static(), name="static")
    _describe(app)
    return app


def with_access_control(app: ASGIApp, site: Site, tokens: Tokens) -> ASGIApp:
    return AccessControl(app, site, tokens)


async def health() -> Response:
    """This server answers: for monitoring. Needs no token, and says nothing else."""
    return answer({"status": "ok"})


async def _tidy(sets: Sets) -> None:
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        sets.expire()


def _problem(error: Exception) -> Problem:
    """Any error, as a status, a code and a sentence."""
    if isinstance(error, HTTPException):
        return Problem(error.status_code, _CODES.get(error.status_code, "failed"), str(error.detail))
    if isinstance(error, RequestValidationError):
        told = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        return Problem(422, "invalid", "; ".join(told)[:1000])
    if isinstance(error, DedupdError):
        return problem_of(error)
    return Problem(
        500, "failed", f"an internal error stopped this ({type(error).__name__}): please report it"
    )


def _describe(app: FastAPI) -> None:
    """The OpenAPI document of the routes, with the shapes of the messages."""
    usual = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = usual()
            components = found.setdefault("components", {})
            components["schemas"] = components.get("schemas", {}) | schemas(_MESSAGES)
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"token": []}]
            app.openapi_schema = found
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi
