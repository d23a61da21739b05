"""A daemon that only talks: real Unix socket, real protocol, a scripted library. Moves no file, keeps its rules in memory.

For the reviewer's tests, and by hand: `python -m tests.fakes.daemon SOCKET --groups 200`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from dedupd.errors import ProtocolError
from dedupd.protocol.codec import encode_error, encode_notice, encode_result, parse, request_of
from dedupd.protocol.failure import INTERNAL_ERROR, METHOD_NOT_FOUND, NOT_FOUND, REFUSED, STALE, Failure
from dedupd.protocol.limits import PROTOCOL
from dedupd.protocol.notices import MonthChanged, Notice, Progressed, StatusChanged
from dedupd.protocol.requests import (
    Approve,
    Exchange,
    ForgetLessons,
    GetGroup,
    GetGroups,
    GetLessons,
    GetMonths,
    GetMoves,
    GetSettings,
    GetStatus,
    GetThumbnails,
    GroupRef,
    Judge,
    Pause,
    Reject,
    Request,
    Resume,
    SayHello,
    ScanNow,
    Subscribe,
    Tune,
    Undo,
)
from dedupd.protocol.results import (
    Acted,
    Confirmed,
    GroupsPage,
    Hello,
    LessonsPage,
    MonthsPage,
    MovesPage,
    Thumbnails,
    Tuned,
)
from dedupd.protocol.views import (
    GroupDetail,
    GroupView,
    LessonView,
    MonthView,
    MoveView,
    PhotoView,
    ProgressView,
    RootView,
    SettingsView,
    StatusView,
)
from tests.fakes.library import ROOT, Scene, make_library


class Refusal(Exception):
    """What the fake says no with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class FakeDaemon:
    """State first (`groups`, `photos`, `moves`, `lessons`), then one method a request.

    Use: `async with FakeDaemon(socket, groups=10) as daemon:`. `asked` holds every request; `hold` may be cleared
    to make acting requests wait; `notify` sends a notice to every subscriber.
    """

    def __init__(
        self, socket: Path, folder: Path, *, groups: int = 10, months: int = 1, consented: bool = True
    ) -> None:
        self.socket, self.folder = socket, folder
        scenes = make_library(groups, months)
        self.groups: dict[int, GroupView] = {scene.group.id: scene.group for scene in scenes}
        self.scenes: dict[int, Scene] = {scene.group.id: scene for scene in scenes}
        self.photos: dict[int, list[PhotoView]] = {scene.group.id: scene.photos for scene in scenes}
        self.roots = [RootView(path=ROOT, online=True, consented=consented, photos=40 * groups)]
        self.moves: list[MoveView] = []
        self.lessons: list[LessonView] = []
        self.paused = False
        self.waits = ""
        self.progress: ProgressView | None = None
        self.attention: list[str] = []
        self.held_better = 0
        self.held_changed = 0
        self.settings = SettingsView(
            tiers={"exact": "move", "copy": "move", "burst": "move", "similar": "review"},
            threshold=0.9,
            model="lite0/1",
            quiet_seconds=5,
            interval_minutes=60,
            nightly="03:00",
            source="/home/ann/.config/dedupd/config.toml",
        )
        self.asked: list[Request] = []
        self.keys: dict[str, Acted] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self._ids = itertools.count(1)
        self._batches = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    # ---- life ------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket), limit=1 << 20)

    async def stop(self) -> None:
        """As a killed daemon: every line breaks, nobody listens."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        self.socket.unlink(missing_ok=True)
        if self.hold.is_set():
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def notify(self, notice: Notice) -> None:
        for writer in list(self._subscribers):
            writer.write(encode_notice(notice))
            await writer.drain()

    def of(self, kind: type[msgspec.Struct]) -> list[Any]:
        """What was asked, of one kind."""
        return [request for request in self.asked if isinstance(request, kind)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            while line := await reader.readline():
                writer.write(await self._answer(line, writer))
                await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            self._writers.discard(writer)
            self._subscribers.discard(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> bytes:
        message = parse(line)
        id = message.get("id")
        try:
            request = request_of(message)
            if request is None:
                return encode_error(id, Failure(code=METHOD_NOT_FOUND, message="no such method"))
            self.asked.append(request)
            if isinstance(request, Subscribe):
                self._subscribers.add(writer)
            return encode_result(id, await self._handle(request))
        except Refusal as refusal:
            return encode_error(id, Failure(code=refusal.code, message=str(refusal)))
        except ProtocolError as error:
            return encode_error(id, Failure(code=INTERNAL_ERROR, message=str(error)))

    async def _handle(self, request: Request) -> msgspec.Struct:
        acting = isinstance(request, Approve | Exchange | Reject | Judge | Undo | ForgetLessons)
        if not acting:
            return self._answers[type(request)](self, request)
        await self.hold.wait()
        if request.key in self.keys:
            return self.keys[request.key]
        before = {id: g.state for id, g in self.groups.items()}
        acted: Acted = self._answers[type(request)](self, request)
        self.keys[request.key] = acted
        changed = {(g.root, g.month) for id, g in self.groups.items() if before[id] != g.state}
        for root, month in changed:
            await self.notify(MonthChanged(root=root, month=month))
        await self.notify(StatusChanged(status=self._status()))
        return acted

    # ---- looking ---------------------------------------------------------------------------------

    def _status(self, request: GetStatus | None = None) -> StatusView:
        del request
        proposed = [g for g in self.groups.values() if g.state == "proposed"]
        return StatusView(
            daemon="running",
            roots=[root.path for root in self.roots],
            photos=sum(root.photos for root in self.roots),
            months_waiting=0,
            groups_waiting=sum(1 for g in self.groups.values() if g.state in ("proposed", "review")),
            moved=sum(1 for m in self.moves if m.state == "moved"),
            bytes_saved=sum(m.size for m in self.moves if m.state == "moved"),
            model="lite0/1",
            held_better=self.held_better,
            held_changed=self.held_changed,
            attention=self.attention,
            paused=self.paused,
            waits=self.waits,
            waiting_to_move=sum(len(g.duplicates) for g in proposed),
            bytes_to_move=sum(g.bytes for g in proposed),
            root_details=self.roots,
            progress=self.progress,
            last_run=1_750_000_000.0 - 180,
            next_run=1_750_000_000.0 + 3420,
            version="0.1",
            pid=4242,
        )

    def _months(self, request: GetMonths) -> MonthsPage:
        del request
        found: dict[tuple[str, str], MonthView] = {}
        for group in self.groups.values():
            view = found.setdefault((group.root, group.month), MonthView(root=group.root, month=group.month))
            view.groups += 1
            view.photos += 40
            view.waiting += group.state in ("proposed", "review")
        for move in self.moves:
            if move.state == "moved":
                found[move.root, move.month].moved += 1
                found[move.root, move.month].bytes_saved += move.size
        return MonthsPage(months=list(found.values()))

    def _groups(self, request: GetGroups) -> GroupsPage:
        found = [
            g
            for g in self.groups.values()
            if request.month in (None, g.month)
            and request.root in (None, g.root)
            and request.state in (None, g.state)
        ]
        end = request.offset + request.limit
        return GroupsPage(
            groups=found[request.offset : end],
            total=len(found),
            next_offset=end if end < len(found) else None,
        )

    def _group(self, request: GetGroup) -> GroupDetail:
        return GroupDetail(group=self._known(request.id), photos=self.photos[request.id])

    def _thumbnails(self, request: GetThumbnails) -> Thumbnails:
        paths: dict[str, str] = {}
        for file in request.files:
            if scene := self.scenes.get(file // 100):
                paths[str(file)] = str(scene.thumbnail(self.folder, file % 100))
        return Thumbnails(paths=paths)

    def _tune(self, request: Tune) -> Tuned:
        moving = [g for g in self.groups.values() if g.state == "proposed"]
        stays = [g for g in moving if request.tiers.get(g.relation, "move") != "move"]  # type: ignore[call-overload]
        return Tuned(moves_now=len(moving), moves_then=len(moving) - len(stays), fewer_moves=len(stays))

    def _moves(self, request: GetMoves) -> MovesPage:
        found = [
            m
            for m in reversed(self.moves)
            if request.month in (None, m.month) and request.group in (None, m.group)
        ]
        end = request.offset + request.limit
        return MovesPage(
            moves=found[request.offset : end], total=len(found), next_offset=end if end < len(found) else None
        )

    # ---- acting ----------------------------------------------------------------------------------

    def _approve(self, request: Approve) -> Acted:
        refs = request.groups
        if request.all:
            refs = [
                GroupRef(id=g.id, version=g.version) for g in self.groups.values() if g.state == "proposed"
            ]
            for root in self.roots:
                root.consented = True
        groups = [self._seen(ref) for ref in refs]
        acted, batch = Acted(), f"batch-{next(self._batches)}"
        for group in groups:
            self._move(
                group, [p for p in self.photos[group.id] if p.role in ("duplicate", "review")], acted, batch
            )
            self._teach("same", group, acted)
            group.state = "settled"
        return acted

    def _exchange(self, request: Exchange) -> Acted:
        acted = Acted(restored=self.held_better)
        self.held_better = 0
        return acted

    def _reject(self, request: Reject) -> Acted:
        acted = Acted()
        for group in [self._seen(ref) for ref in request.groups]:
            self._put_back([m for m in self.moves if m.group == group.id and m.state == "moved"], acted)
            self._teach("different", group, acted)
            self._changed(group, "kept")
            acted.kept += 1
        return acted

    def _judge(self, request: Judge) -> Acted:
        group, acted = self._seen(request.group), Acted()
        photos = {photo.file: photo for photo in self.photos[group.id]}
        if request.keeper is not None:
            for photo in photos.values():
                photo.role = "keeper" if photo.file == request.keeper else "duplicate"
            group.keep = photos[request.keeper].path
            self.photos[group.id].sort(key=lambda p: p.role != "keeper")
        self._move(group, [photos[f] for f in request.move], acted, f"batch-{next(self._batches)}")
        for _ in request.different:
            self._teach("different", group, acted)
        for _ in request.keep:
            self._teach("keep", group, acted)
        self._changed(group, "settled" if request.move else "kept")
        acted.kept = len(request.keep)
        return acted

    def _undo(self, request: Undo) -> Acted:
        acted = Acted()
        moves = [
            m
            for m in self.moves
            if m.state == "moved" and (m.id in request.moves or request.group == m.group or request.all)
        ]
        self._put_back(moves, acted)
        for group in {m.group for m in moves}:
            self._changed(self.groups[group], "proposed" if self.groups[group].duplicates else "review")
        if request.held_changed:
            acted.restored, self.held_changed = self.held_changed, 0
        return acted

    def _forget(self, request: ForgetLessons) -> Acted:
        before, ids = len(self.lessons), {request.lesson, *request.lessons}
        groups = {lesson.a for lesson in self.lessons if lesson.id in ids}
        self.lessons = [lesson for lesson in self.lessons if lesson.id not in ids]
        if len(self.lessons) == before:
            raise Refusal(NOT_FOUND, "there is no such verdict")
        for id in groups:
            group = self.groups[int(id)]
            if group.state == "kept":
                self._changed(group, "proposed" if group.duplicates else "review")
        return Acted()

    def _move(self, group: GroupView, photos: list[PhotoView], acted: Acted, batch: str) -> None:
        for photo in photos:
            folder, _, name = photo.path.rpartition("/")
            move = MoveView(
                id=next(self._ids),
                batch=batch,
                group=group.id,
                root=group.root,
                src=photo.path,
                dst=f"{folder}/duplicates/{name}",
                relation=group.relation,
                size=photo.size,
                state="moved",
                at=1_750_000_000.0,
                keeper=group.keep,
                month=group.month,
            )
            self.moves.append(move)
            photo.role, photo.move = "moved", move.id
            group.moved_to[photo.path] = move.dst
            acted.moved += 1
            acted.moves.append(move.id)
        self._changed(group, group.state)

    def _put_back(self, moves: list[MoveView], acted: Acted) -> None:
        for move in moves:
            move.state = "undone"
            group = self.groups[move.group]
            group.moved_to.pop(move.src, None)
            for photo in self.photos[move.group]:
                if photo.move == move.id:
                    photo.role = "duplicate" if photo.path in group.duplicates else "review"
                    photo.move = None
            acted.restored += 1

    def _teach(self, kind: str, group: GroupView, acted: Acted) -> None:
        lesson = LessonView(
            id=next(self._ids), kind=kind, a=str(group.id), paths=[group.keep], at=1_750_000_000.0
        )
        self.lessons.append(lesson)
        acted.lessons.append(lesson.id)

    def _known(self, id: int) -> GroupView:
        if id not in self.groups:
            raise Refusal(NOT_FOUND, f"there is no group {id}")
        return self.groups[id]

    def _seen(self, ref: GroupRef) -> GroupView:
        group = self._known(ref.id)
        if ref.version not in (None, group.version):
            raise Refusal(STALE, f"group {ref.id} changed meanwhile")
        return group

    @staticmethod
    def _changed(group: GroupView, state: str) -> None:
        group.state = state
        group.version += 1

    def _hello(self, request: SayHello) -> Hello:
        if request.protocol != PROTOCOL:
            raise Refusal(REFUSED, "another protocol")
        return Hello(protocol=PROTOCOL, version="0.1", pid=4242)

    def _pause(self, request: Pause | Resume) -> Confirmed:
        self.paused = isinstance(request, Pause)
        return Confirmed()

    _answers: ClassVar[dict[type[Request], Callable[[FakeDaemon, Any], msgspec.Struct]]] = {
        SayHello: _hello,
        Subscribe: lambda self, request: Confirmed(),
        GetStatus: _status,
        GetMonths: _months,
        GetGroups: _groups,
        GetGroup: _group,
        GetThumbnails: _thumbnails,
        GetMoves: _moves,
        GetLessons: lambda self, request: LessonsPage(lessons=self.lessons),
        GetSettings: lambda self, request: self.settings,
        Tune: lambda self, request: self._tune(request),
        Pause: _pause,
        Resume: _pause,
        ScanNow: lambda self, request: Confirmed(),
        Approve: _approve,
        Exchange: _exchange,
        Reject: _reject,
        Judge: _judge,
        Undo: _undo,
        ForgetLessons: _forget,
    }


async def _by_hand(arguments: argparse.Namespace) -> None:
    fake = FakeDaemon(
        Path(arguments.socket),
        Path(arguments.folder),
        groups=arguments.groups,
        months=arguments.months,
        consented=arguments.consented,
    )
    async with fake:
        for done in itertools.count(0, 7):
            await asyncio.sleep(0.5)
            if arguments.busy:
                view = ProgressView(
                    phase="indexing", done=done % 12000, total=12000, rate=14.2, eta=(12000 - done) / 14.2
                )
                await fake.notify(Progressed(progress=view))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("--folder", default="thumbnails")
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--months", type=int, default=8)
    parser.add_argument("--consented", action="store_true")
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    Path(given.folder).mkdir(parents=True, exist_ok=True)
    asyncio.run(_by_hand(given))
