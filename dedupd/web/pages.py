"""The pages for people: rendered on the server, with plain JavaScript modules beside them and no build step.

Must never put a name into a page unescaped, and never load anything from elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

_HERE = Path(__file__).parent


class Pages:
    """One method a page."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip

    def router(self) -> APIRouter:
        routes = APIRouter(include_in_schema=False)
        for path, page in (("/", self.start), ("/docs", self.docs)):
            routes.add_api_route(path, page, response_class=HTMLResponse)
        return routes

    async def start(self) -> Response:
        return self._page("start.html")

    async def docs(self) -> Response:
        """The API for people, from the same OpenAPI that programs read."""
        return self._page("docs.html", api=self._app.openapi())

    def _page(self, name: str, **known: Any) -> Response:
        text = self._templates.get_template(name).render(**known)
        # A name of bytes that are no text must not cost the page.
        return HTMLResponse(text.encode("utf-8", "backslashreplace"))


def static() -> StaticFiles:
    """The scripts and the style sheet."""
    return StaticFiles(directory=_HERE / "static")
