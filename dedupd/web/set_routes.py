"""The HTTP routes of uploaded sets: POST /images, GET and DELETE /duplicates/{request_id}.

Must never read an upload into memory: it is written to the disk as it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dedupd.web.bodies import answer, chunks
from dedupd.web.contract import SetDuplicates, UploadedSet, described, refusals
from dedupd.web.sets import Sets
from dedupd.web.uploads import boundary_of

_FRAME_BYTES = 1 << 20
"""Bytes that a multipart body may have beside its files."""
_MULTIPART: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "additionalProperties": False,
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class SetRoutes:
    """The routes. Nothing of a set reaches the library."""

    sets: Sets

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            "/images", self.upload, methods=["POST"], response_class=Response, openapi_extra=_MULTIPART,
            responses=described(UploadedSet, 413, 415, 422),
        )  # fmt: skip
        routes.add_api_route(
            "/duplicates/{request_id}", self.duplicates, response_class=Response,
            responses=described(SetDuplicates, 404, 422),
        )  # fmt: skip
        routes.add_api_route(
            "/duplicates/{request_id}", self.drop, methods=["DELETE"], status_code=204, response_class=Response,
            responses=refusals(404, 422),
        )  # fmt: skip
        return routes

    async def upload(self, request: Request) -> Response:
        """Pictures to compare with each other, each in a field `files`; null stands for one that cannot be
        read."""
        boundary = boundary_of(request.headers.get("content-type", ""))
        said = request.headers.get("content-length", "")
        body = chunks(request, self.sets.most_bytes + _FRAME_BYTES)
        return answer(await self.sets.receive(boundary, body, int(said) if said.isdigit() else None))

    async def duplicates(
        self, request_id: UUID, threshold: Annotated[float | None, Query(gt=0, le=1)] = None
    ) -> Response:
        """Duplicates among them, proven as in a library. `threshold`: the similarity from which pairs go to
        review."""
        return answer(await self.sets.duplicates(str(request_id), threshold))

    async def drop(self, request_id: UUID) -> Response:
        """Forget the set now; otherwise it is forgotten after an hour."""
        await self.sets.drop(str(request_id))
        return Response(status_code=204)
