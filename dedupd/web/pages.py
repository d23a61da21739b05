"""The pages for people: rendered on the server, with plain JavaScript modules and no build step.

Must never act: a page's script asks the JSON API to act. Must never load anything from another site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from dedupd.core.records import HeldBetter
from dedupd.errors import DedupdError, NothingYet
from dedupd.protocol.requests import GetMoves
from dedupd.protocol.views import GroupDetail, GroupView, MonthView, PhotoView, StatusView
from dedupd.reviewing.facts import differing, would_change
from dedupd.reviewing.listing import PREDECIDED, by_year, lost_kinds, members, tally, waits, weight
from dedupd.reviewing.words import RELATION_NAMES, group_title, name_of, news, pixels, plain, size
from dedupd.web import rendering
from dedupd.web.api import LARGEST_ID
from dedupd.web.asked import Asked, asked
from dedupd.web.problems import Problem, problem_of
from dedupd.web.reading import LibraryReading
from dedupd.web.rendering import HERE

CARDS = 60
"""Groups on a page of a month, at most."""
CARD_PICTURES = 4
"""Pictures of one group on such a page; the rest is counted."""
ROWS = 200
"""Moves on a page of the history, at most."""
AHEAD = 8
"""Waiting groups that a comparison page knows after the one it shows."""
NAMED = 500
"""Files named in the question before many moves; the rest is counted."""

MonthName = Annotated[str, Path(pattern=r"^[0-9]{4}-[0-9]{2}$")]
Id = Annotated[int, Path(ge=0, le=LARGEST_ID)]
OfMonth = Annotated[Asked, Depends(asked)]
Keys = tuple[tuple[str, str], ...]
_KEYS_EVERYWHERE: Keys = (
    ("u", "undo the last action, as often as you like"),
    ("h  l  ,", "history, lessons, settings"),
    ("Esc", "back"),
    ("?", "these keys"),
)
_KEYS_MONTHS: Keys = (
    ("← → ↑ ↓", "another month"),
    ("Enter", "its groups"),
    ("A", "approve all that is proposed, after a look at the sum"),
    ("x  b", "exchange, or bring back, what an older dedupd moved"),
)
_KEYS_GROUPS: Keys = (
    ("← → ↑ ↓", "another group"),
    ("Enter", "compare: the pictures side by side"),
    ("a", "approve: its duplicates move; on to the next that waits"),
    ("n", "not duplicates: bound for ever, by content"),
    ("e", "only groups that wait for the same reason as this one; again: all"),
    ("A", "approve all groups that are listed, after a list of what happens"),
    ("R", "reject the whole group, moved files come back (asks for a typed word)"),
    ("1 … 5", "all, exact, copies, bursts, similar"),
    ("/  s  w", "filter, sort, the settled ones too"),
)
_KEYS_COMPARE: Keys = (
    ("a", "do what the badges say, on to the next that waits"),
    ("← →  Tab", "look at another picture of the group"),
    ("space", "this one moves / stays"),
    ("k", "this one is the keeper"),
    ("n", "this one is no duplicate (a pair is settled at once)"),
    ("R", "none of the group are duplicates (asks for a typed word)"),
    ("j ↓  J ↑", "next, previous group"),
    ("+ - 0 1", "zoom at the same place in both, all of it, 100 %; arrows pan then"),
    ("d  b  s", "difference to the keeper, blink, slider; again: side by side"),
    ("f", "only the pictures"),
    ("u", "take the last mark back, then the last action"),
)
_KEYS_HISTORY: Keys = (("u", "put back what is marked, else undo the last action"), ("space", "mark"))


class Pages:
    """One method for each page."""

    def __init__(self, app: FastAPI, reading: LibraryReading, *, can_start: bool) -> None:
        """`can_start`: this server can start a daemon when none answers."""
        self._app, self._reading, self._can_start = app, reading, can_start

    def router(self) -> APIRouter:
        routes = APIRouter(include_in_schema=False)
        for path, page in (
            ("/", self.months),
            ("/months/{month}", self.groups),
            ("/months/{month}/approve", self.question),
            ("/groups/{id}", self.compare),
            ("/history", self.history),
            ("/lessons", self.lessons),
            ("/settings", self.settings),
            ("/docs", self.docs),
        ):
            routes.add_api_route(path, page, response_class=HTMLResponse)
        return routes

    # ---- months and groups

    async def months(self) -> Response:
        """What waits, month by month."""
        status = await self._reading.recent_status()
        found: list[MonthView] = []
        offset: int | None = 0
        try:
            while offset is not None:
                page = await self._reading.months(offset)
                found += page.months
                offset = page.next_offset
        except NothingYet:
            pass  # the page says so
        return self._page(
            "months.html", _KEYS_MONTHS, status=status, rows=by_year(found),
            places={path: place for place, path in enumerate(status.roots)},
            attention=news(status.attention), NAMED=NAMED,
            changed=await self._reading.held_changed() if status.held_changed else [],
        )  # fmt: skip

    async def groups(self, month: MonthName, of: OfMonth) -> Response:
        """The groups of a month."""
        status, groups, better = await self._month(month, of)
        listed = of.listed(groups, better)
        offset = of.offset if of.offset < len(listed) else 0
        shown = listed[offset : offset + CARDS]
        if of.by_outline:
            shown = await self._reading.whole(shown)
        return self._page(
            "groups.html", _KEYS_GROUPS, status=status, month=month, of=of, shown=shown, total=len(listed), offset=offset, cards=CARDS, tabs=of.tabs(groups, better), better=better,
            waiting=sum(1 for group in listed if waits(group)), pictures=_pictures, CARD=CARD_PICTURES,
        )  # fmt: skip

    async def question(self, month: MonthName, of: OfMonth) -> Response:
        """What approving all listed groups would do: a part of a page."""
        _, groups, better = await self._month(month, of, whole=True)
        swaps = of.relation == "better"
        listed = [group for group in of.listed(groups, better) if swaps or waits(group)]
        lossy, kinds = lost_kinds(listed)
        moving = [
            (path, group.keep)
            for group in listed
            for path in (*group.duplicates, *group.review)
            if path not in group.moved_to
        ]
        return rendering.page(
            "question.html", listed=listed, swaps=swaps, files=sum(members(group) for group in listed),
            freed=sum(weight(group) for group in listed), lossy=lossy, kinds=kinds.most_common(),
            unproven=sum(1 for group in listed if group.relation not in PREDECIDED),
            counts={RELATION_NAMES.get(k, k): n for k, n in tally(listed, settled=True).items() if n},
            moving=moving[:NAMED], more=max(0, len(moving) - NAMED),
            held=[b for group in listed for b in better.get(group.id, ())],
            refs=[[group.id, group.version] for group in listed], before=before(*listed),
        )  # fmt: skip

    async def compare(self, id: Id, of: OfMonth) -> Response:
        """One group: keeper and candidates. A redirect to its new id, when it was grouped again."""
        try:
            detail = await self._reading.group(id)
        except DedupdError as error:
            now = await self._reading.renumbered(id) if problem_of(error).status == 404 else None
            if now is None:
                raise
            return RedirectResponse(f"/groups/{now}{of.query()}", 303)
        group = detail.group
        if of.root is None:
            roots = (await self._reading.recent_status()).roots
            of = replace(of, root=roots.index(group.root) if group.root in roots else None)
        status, groups, better = await self._month(group.month, of)
        order = [g.id for g in of.listed(groups, better, beside=id)]
        at = order.index(id) if id in order else -1
        waiting = {g.id for g in groups if waits(g) and g.id != id}
        following = [other for other in (*order[at + 1 :], *order[: max(at, 0)]) if other in waiting]
        return self._page(
            "compare.html", _KEYS_COMPARE, status=status, of=of, group=group, detail=detail, better=better.get(id, ()),
            place=at + 1, total=len(order), facts=differing(detail.photos),
            before=order[at - 1] if at > 0 else None, after=order[at + 1] if 0 <= at < len(order) - 1 else None,
            known=_known(detail, following[:AHEAD]), said=_said, alt=_alt,
        )  # fmt: skip

    # ---- what was done

    async def history(
        self, month: Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$")] = None,
        group: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
        offset: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    ) -> Response:  # fmt: skip
        """Every move; undo of one, of many, of a month."""
        asked = GetMoves(month=month, group=group, offset=offset, limit=ROWS)
        found = await self._reading.moves(asked)
        return self._page(
            "history.html", _KEYS_HISTORY, status=await self._reading.recent_status(), page=found, month=month, group=group,
            offset=offset, rows=ROWS,
        )  # fmt: skip

    async def lessons(self, offset: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0) -> Response:
        """The lessons of people, and forgetting them."""
        return self._page(
            "lessons.html",
            status=await self._reading.recent_status(),
            page=await self._reading.lessons(offset),
            offset=offset,
        )

    async def settings(self) -> Response:
        """The settings that decide what moves; trying others changes nothing."""
        status = await self._reading.recent_status()
        try:
            found = await self._reading.settings()
        except Problem as problem:
            return self._page("problem.html", status=status, said=str(problem), code=200)
        return self._page("settings.html", status=status, settings=found)

    async def docs(self) -> Response:
        """The API for people, made from the same OpenAPI document that programs read."""
        status = await self._reading.recent_status()
        return self._page("docs.html", status=status, api=self._app.openapi())

    async def problem(self, problem: Problem) -> Response:
        """A refusal, as a page for a person."""
        status = await self._reading.recent_status()
        return self._page(
            "problem.html", http=problem.status, status=status, said=str(problem), code=problem.status
        )

    async def _month(
        self, month: str, of: Asked, *, whole: bool = False
    ) -> tuple[StatusView, list[GroupView], dict[int, list[HeldBetter]]]:
        status = await self._reading.recent_status()
        root = None
        if of.root is not None:
            if of.root >= len(status.roots):
                raise Problem(404, "not_found", f"there is no folder number {of.root} any more")
            root = status.roots[of.root]
        read = self._reading.month if whole or not of.by_outline else self._reading.outlines
        groups = await read(root, month)
        better: dict[int, list[HeldBetter]] = {}
        if status.held_better:
            for held in await self._reading.held_better(root):
                better.setdefault(held.group, []).append(held)
        return status, groups, better

    def _page(self, name: str, keys: Keys = (), **known: Any) -> Response:
        keys = (*keys, *_KEYS_EVERYWHERE)
        return rendering.page(name, keys=keys, can_start=self._can_start, **known)


def _pictures(group: GroupView) -> Iterator[tuple[int, str]]:
    """(file id, alternative text) of the group's pictures, keeper first."""
    for path in (group.keep, *group.duplicates, *group.review):
        if path in group.files:
            role = "keeper" if path == group.keep else "moved" if path in group.moved_to else "candidate"
            bytes_ = f", {size(group.sizes[path])}" if path in group.sizes else ""
            yield group.files[path], f"{name_of(path)}{bytes_}, {role}"


def _alt(photo: PhotoView) -> str:
    """'IMG_1.jpg, 4032×3024 · 12.2 MP, 3.4 MB'."""
    return ", ".join(part for part in (name_of(photo.path), pixels(photo), size(photo.size)) if part)


def _said(detail: GroupDetail, photo: PhotoView) -> str:
    """Why this picture is in the group, and which key would change what happens to it."""
    evidence = detail.group.evidence.get(photo.path)
    lost = evidence.only_here if evidence else []
    told = (detail.group.why.get(photo.path, ""), would_change(detail.group, photo, lost))
    return plain(" — ".join(part for part in told if part))


def before(*groups: GroupView) -> list[tuple[str, str]]:
    """The states of groups before they are decided, each combination once: (state, root). After an undo, what
    was waiting waits again."""
    return sorted({(group.state, group.root) for group in groups})


def _known(detail: GroupDetail, following: list[int]) -> dict[str, Any]:
    """What the comparison page's script needs to decide."""
    group = detail.group
    return {
        "id": group.id, "version": group.version, "left_out": group.left_out, "waits": waits(group),
        "title": group_title(group), "following": following, "before": before(group),
        "photos": [_known_photo(group, photo) for photo in detail.photos],
    }  # fmt: skip


def _known_photo(group: GroupView, photo: PhotoView) -> dict[str, Any]:
    evidence = group.evidence.get(photo.path)
    return {
        "file": photo.file, "name": name_of(photo.path), "role": photo.role, "size": photo.size, "width": photo.width,
        "height": photo.height, "move": photo.move, "relation": evidence.relation if evidence else "",
        "only_here": [plain(said) for said in evidence.only_here] if evidence else [],
        "only_in_keeper": [plain(said) for said in evidence.only_in_keeper] if evidence else [],
    }  # fmt: skip


def wants_page(request: Request) -> bool:
    """Whether a browser shows the answer to a person, rather than a script."""
    own = request.url.path.startswith(("/api/", "/images", "/duplicates", "/static"))
    return not own and "text/html" in request.headers.get("accept", "")


def static() -> StaticFiles:
    """The scripts and the style sheet."""
    return StaticFiles(directory=FilePath(HERE) / "static")
