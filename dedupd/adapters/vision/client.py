"""The daemon's side of the vision worker: starts it, sends requests, and continues when it crashes.

Owns the worker's life (start, stall, crash, rest) and the search for the file that crashes it. Must stay
light (stdlib and msgspec) and never raise because of a file.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.embedders.registry import told_by_name
from dedupd.adapters.vision.extras import installed_extras
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.adapters.vision.worker_process import BUSY_SECONDS, WorkerDied, WorkerProcess
from dedupd.core.adoption import Adoption
from dedupd.core.descriptions import Description
from dedupd.core.photo import Candidate, Unreadable
from dedupd.errors import VisionError
from dedupd.ports import FileRequest, Ingested, Proof, ProofRequest, Proposal, Vision, VisionStatus

_AT_ONCE = 1024
"""Items in one request: a crash makes at most these start again."""
_STRIKES = 2
"""Deaths of the worker a file may be suspected of before it is set aside."""
_FRUITLESS = 3
"""Crashes in a row without a suspect, after which the worker is given up."""
_LONGEST_PAUSE = 5.0
_WORKER = "dedupd.adapters.vision.worker"

Item = TypeVar("Item", bound=messages.Answer)
Answer = TypeVar("Answer")


class VisionWorker(Vision):
    """Implements `Vision` with one worker process, which is started when needed and ended when idle.

    Methods may be called from any thread; requests are served one after another. Do not call one while
    iterating over the answers of another.
    """

    def __init__(
        self,
        index_dir: Path,
        cache_dir: Path,
        embedder: str = "auto",
        *,
        remote: messages.RemoteServices | None = None,
        batch_size: int = 8,
        idle_seconds: float = 20.0,
        stall_seconds: float = 60.0,
        jobs: int = 0,
        waited_for: bool = False,
        gpus: str = "all",
        gpu_memory_fraction: float = 0.9,
        gpu_decode: bool = False,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._configure = messages.Configure(
            index_dir=os.fsencode(index_dir.absolute()),
            cache_dir=os.fsencode(cache_dir.absolute()),
            embedder=embedder,
            batch_size=batch_size,
            remote=remote,
            jobs=jobs,
            waited_for=waited_for,
            gpus=gpus,
            gpu_memory_fraction=gpu_memory_fraction,
            gpu_decode=gpu_decode,
        )
        self._log_path = cache_dir.absolute() / "vision-worker.log"
        self._idle_seconds = idle_seconds
        self._stall_seconds = stall_seconds
        self._log = log
        self._turn = _Turn()
        self._process: WorkerProcess | None = None
        self._status: VisionStatus | None = None
        self._started_with = ""
        """The extras that were there when the worker started."""
        self._failures = 0
        self._why_here = ""
        self._idle: threading.Timer | None = None
        # The kernel ends the worker when the *thread* that started it ends, so a long-lived thread starts it.
        self._starter = ThreadPoolExecutor(1, "vision-starter")

    # -- the port --------------------------------------------------------------------------------

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        """See `Vision.ingest`."""

        def ask(keys: list[int]) -> messages.Ingest:
            return messages.Ingest(files=[_file(key, requests[key]) for key in keys])

        def read(reply: messages.FileIngested) -> Ingested:
            result = reply.traits or reply.unreadable or Unreadable(reason="not answered", retry=True)
            return Ingested(key=requests[reply.key].key, result=result, decoded=reply.decoded)

        def give_up(key: int, why: str) -> Ingested:
            return Ingested(key=requests[key].key, result=Unreadable(reason=why))

        return self._each(len(requests), ask, messages.FileIngested, read, give_up)

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        """See `Vision.prove`."""

        def ask(keys: list[int]) -> messages.Prove:
            return messages.Prove(pairs=[_pair(key, requests[key]) for key in keys])

        def read(reply: messages.Proven) -> Proof:
            request = requests[reply.key]
            return Proof(a=request.a, b=request.b, measures=reply.measures, error=reply.error)

        def give_up(key: int, why: str) -> Proof:
            return Proof(a=requests[key].a, b=requests[key].b, measures=None, error=why)

        return self._each(len(requests), ask, messages.Proven, read, give_up)

    def propose(
        self,
        fresh: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
        sizes: Sequence[int] = (),
    ) -> Iterator[Proposal]:
        """See `Vision.propose`. Across the whole index (`among` is None) the model's bar for distant photos
        holds."""
        within, waiting, answered = None if among is None else list(among), list(fresh), list[str]()
        while waiting:
            pairs, end = self._search(
                messages.Propose(
                    fresh=waiting,
                    among=within,
                    min_cosine=min_cosine,
                    bar=bar,
                    spared=spared,
                    sizes=list(sizes),
                    answered=answered if within is None else [],
                )
            )
            left = set(end.left)
            done = [c for c in waiting if c not in left]
            yield Proposal(fresh=done, pairs=pairs, cut=end.cut)
            waiting, answered = end.left, answered + done

    def candidates(
        self,
        contents: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
    ) -> Iterator[list[Candidate]]:
        """See `Vision.candidates`."""
        fresh, within, after, more = list(contents), None if among is None else list(among), "", True
        while more:
            pairs, end = self._search(
                messages.Propose(
                    fresh=fresh, among=within, min_cosine=min_cosine, bar=bar, spared=spared, after=after
                )
            )
            yield pairs
            after = end.after
            more = bool(after)

    def _search(self, request: messages.Propose) -> tuple[list[Candidate], messages.Searched]:
        replies = self._ask(request)
        pairs = [pair for reply in replies if isinstance(reply, messages.Candidates) for pair in reply.pairs]
        end = next(reply for reply in replies if isinstance(reply, messages.Searched))
        return pairs, end

    def copies(self, requests: Sequence[FileRequest]) -> Iterator[list[float]]:
        """See `Vision.copies`."""

        def ask(keys: list[int]) -> messages.Copy:
            return messages.Copy(files=[_file(key, requests[key]) for key in keys])

        return self._each(
            len(requests), ask, messages.Copied, lambda reply: reply.cosines, lambda key, why: []
        )

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """See `Vision.cosines`."""
        replies = self._ask(messages.MeasureCosines(pairs=list(pairs)))
        return [c for reply in replies if isinstance(reply, messages.Cosines) for c in reply.cosines]

    def missing(self, contents: Sequence[str]) -> list[str]:
        """See `Vision.missing`."""
        return self._contents(messages.Missing(contents=list(contents)))

    def _contents(self, request: messages.Message) -> list[str]:
        replies = self._ask(request)
        return [c for reply in replies if isinstance(reply, messages.Contents) for c in reply.contents]

    def thumbnails(self, requests: Sequence[tuple[str, str]], side: int = 512) -> dict[str, Path]:
        """See `Vision.thumbnails`."""

        def ask(keys: list[int]) -> messages.Shrink:
            files = [
                messages.FileToShrink(key=key, path=os.fsencode(requests[key][0]), content=requests[key][1])
                for key in keys
            ]
            return messages.Shrink(files=files, side=side)

        def read(reply: messages.Shrunk) -> tuple[str, bytes]:
            return requests[reply.key][1], reply.path

        def give_up(key: int, why: str) -> tuple[str, bytes]:
            return requests[key][1], b""

        made = self._each(len(requests), ask, messages.Shrunk, read, give_up)
        return {content: Path(os.fsdecode(path)) for content, path in made if path}

    def describe(self, requests: Sequence[FileRequest]) -> dict[int, Description]:
        """See `Vision.describe`."""

        def ask(keys: list[int]) -> messages.Describe:
            files = [
                messages.FileToRead(key=key, path=os.fsencode(requests[key].path), stat=requests[key].stat)
                for key in keys
            ]
            return messages.Describe(files=files)

        def read(reply: messages.Described) -> tuple[int, Description]:
            return requests[reply.key].key, reply.said

        def give_up(key: int, why: str) -> tuple[int, Description]:
            return requests[key].key, Description()

        return dict(self._each(len(requests), ask, messages.Described, read, give_up))

    def status(self) -> VisionStatus:
        """See `Vision.status`."""
        if self._status is None and (model := told_by_name(self._configure.embedder)) is not None:
            self._status = VisionStatus(model=model.id, recipe=RECIPE, calibrated=model.calibrated)
        if self._status is None:
            with self._turn:
                self._running()
        assert self._status is not None
        return self._status

    def tidy(self, keep: Sequence[str]) -> None:
        """See `Vision.tidy`."""
        self._ask(messages.Tidy(keep=list(keep)))

    def forget(self, gone: Callable[[Sequence[str]], Sequence[str]]) -> int:
        """See `Vision.forget`."""
        after, old = "", list[str]()
        while page := self._contents(messages.Held(after=after)):
            old += gone(page)
            after = page[-1]
        if old:
            self._ask(messages.Forget(contents=old))
        return len(old)

    def load(self) -> None:
        """See `Vision.load`."""
        self._ask(messages.Load())

    def extras(self) -> str:
        """See `Vision.extras`."""
        found = installed_extras()
        if self._process is not None and found != self._started_with:
            self.rest()
        return found

    @property
    def sees_here(self) -> str:
        """See `Vision.sees_here`."""
        return f"photos are embedded here for now: {self._why_here}" if self._why_here else ""

    def _tell_where(self, why_here: str) -> None:
        self._why_here = why_here

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        process = self._process
        return process.pid if process is not None else None

    def rest(self) -> None:
        """See `Vision.rest`."""
        with self._turn:
            self._let_go()

    def trust(self, devices: Iterable[int]) -> None:
        """See `Vision.trust`. The worker is restarted when the set of devices changes."""
        told = sorted(devices)
        if told != self._configure.blockless:
            self._configure = msgspec.structs.replace(self._configure, blockless=told)
            self.rest()

    def adopt(
        self, place: str, on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Adoption:
        """See `Vision.adopt`."""
        last = Adoption()
        for again in (True, False):
            try:
                for reply in self._converse(messages.Adopt(place=os.fsencode(place))):
                    if isinstance(reply, messages.Adopted):
                        last = reply.adoption
                        on_progress(reply.done, reply.total)
                break
            except WorkerDied as died:
                if not again:
                    raise VisionError(f"the vision worker {died} twice; see {self._log_path}") from None
        return last

    def gather(self, order: messages.Gather) -> tuple[messages.Gathered, list[messages.FileIngested]]:
        """Process one chunk of a backfill: returns the file of its rows, and the answer for each picture,
        including those that crashed the worker.

        After a crash the chunk is repeated, the suspects first and one by one: so only the file that causes
        the crash is blamed twice.
        """
        strikes: Counter[int] = Counter()
        given_up: dict[int, messages.FileIngested] = {}
        fruitless = 0
        while True:
            files = [file for file in order.files if file.key not in given_up]
            course = _Course([file.key for file in files])
            try:
                looked, gathered = self._gather(
                    msgspec.structs.replace(order, files=files, alone=list(strikes)), course
                )
                return gathered, [*looked, *given_up.values()]
            except WorkerDied as died:
                blamed = self._blames_card(died)
                suspects = [] if blamed else course.suspects()
                strikes.update(suspects)
                fruitless = 0 if suspects or blamed else fruitless + 1
                if fruitless >= _FRUITLESS:
                    raise VisionError(
                        f"the vision worker {died} again and again; see {self._log_path}"
                    ) from None
                for key in suspects:
                    if strikes[key] >= _STRIKES:
                        reason = Unreadable(reason=f"{died} on it twice")
                        given_up[key] = messages.FileIngested(
                            key=key, traits=None, unreadable=reason, decoded=True
                        )

    def pair(self, order: messages.PairBlocks) -> messages.Paired:
        """Compare one strip of a backfill. Raises VisionError."""
        for reply in self._ask(order):
            if isinstance(reply, messages.Paired):
                return reply
        raise VisionError("the vision worker left a strip without an answer")

    def _gather(
        self, order: messages.Gather, course: _Course
    ) -> tuple[list[messages.FileIngested], messages.Gathered]:
        looked: dict[int, messages.FileIngested] = {}
        gathered = None
        for reply in self._converse(order):
            course.note(reply)
            if isinstance(reply, messages.FileIngested):
                looked[reply.key] = reply
            if isinstance(reply, messages.Gathered):
                gathered = reply
        if gathered is None:
            raise VisionError("the vision worker left a chunk without an answer")
        return list(looked.values()), gathered

    # -- requests --------------------------------------------------------------------------------

    def _each(
        self,
        count: int,
        ask: Callable[[list[int]], messages.Message],
        kind: type[Item],
        read: Callable[[Item], Answer],
        give_up: Callable[[int, str], Answer],
    ) -> Iterator[Answer]:
        """Answers for `count` independent items; an item that crashes the worker twice is given up."""
        waiting = deque(
            list(range(start, min(start + _AT_ONCE, count))) for start in range(0, count, _AT_ONCE)
        )
        strikes: Counter[int] = Counter()
        fruitless = 0
        while waiting:
            open_keys = waiting.popleft()
            course = _Course(open_keys)
            try:
                for reply in self._converse(ask(open_keys)):
                    course.note(reply)
                    if isinstance(reply, kind):
                        fruitless = 0
                        yield read(reply)
            except WorkerDied as died:
                blamed = self._blames_card(died)
                suspects = [] if blamed else course.suspects()
                strikes.update(suspects)
                guilty = [key for key in suspects if strikes[key] >= _STRIKES]
                waiting.extendleft([key] for key in suspects if strikes[key] < _STRIKES)
                rest = [key for key in course.unanswered if key not in suspects]
                if rest:
                    waiting.append(rest)
                fruitless = 0 if suspects or blamed else fruitless + 1
                self._log(f"vision worker {died}; {len(suspects)} files to try one by one")
                if fruitless >= _FRUITLESS:
                    raise VisionError(
                        f"the vision worker {died} again and again; see {self._log_path}"
                    ) from None
                for key in guilty:
                    yield give_up(key, f"{died} on it twice")

    def _blames_card(self, died: WorkerDied) -> bool:
        """Whether a card may have ended the worker: then all goes on without cards, and no file is suspected yet."""
        if not died.on_card or self._configure.gpus == "0":
            return False
        self._log(f"vision worker {died} while a graphics card may have been in use: it goes on without")
        self._configure = msgspec.structs.replace(self._configure, gpus="0")
        return True

    def _ask(self, request: messages.Message) -> list[messages.Reply]:
        """All replies to a request that is about no single file; tried twice."""
        for last in (False, True):
            try:
                return list(self._converse(request))
            except WorkerDied as died:
                self._blames_card(died)
                if last:
                    raise VisionError(f"the vision worker {died} twice; see {self._log_path}") from None
        raise AssertionError

    def _converse(self, request: messages.Message) -> Iterator[messages.Reply]:
        """Send one request and yield its replies. Raises VisionError for Failed, and WorkerDied."""
        with self._turn:
            process = self._running()
            complete = False
            try:
                process.send(request)
                while True:
                    reply = process.receive(self._stall_seconds)
                    if isinstance(reply, messages.Failed):
                        raise VisionError(reply.sentence)
                    if isinstance(reply, messages.Done):
                        complete = True
                        return
                    self._failures = 0
                    yield reply
            finally:
                # Also after Failed, and when the caller stopped iterating: what the worker's threads still
                # send
                # would be taken for answers to the next request.
                if not complete:
                    self._failures += 1
                    process.kill()
                    self._process = None
                self._rest_later()

    # -- the worker's life -----------------------------------------------------------------------

    def _running(self) -> WorkerProcess:
        """The worker, configured; started when there is none. Raises VisionError when it cannot be."""
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None and self._process.alive():
            return self._process
        for attempt in range(_FRUITLESS):
            if self._failures or attempt:
                time.sleep(min(_LONGEST_PAUSE, 0.1 * 2.0 ** (self._failures + attempt)))
            self._started_with = installed_extras()
            process = self._starter.submit(WorkerProcess, _WORKER, self._log_path, self._tell_where).result()
            try:
                process.send(self._configure)
                ready = process.receive(BUSY_SECONDS)
                if isinstance(ready, messages.Ready) and isinstance(
                    process.receive(BUSY_SECONDS), messages.Done
                ):
                    self._status = VisionStatus(
                        model=ready.model,
                        recipe=ready.recipe,
                        calibrated=ready.calibrated,
                        note=ready.note,
                    )
                    self._process = process
                    return process
                if isinstance(ready, messages.Failed):
                    raise VisionError(ready.sentence)
            except WorkerDied as died:
                self._log(f"vision worker {died} while starting")
            finally:
                if self._process is not process:
                    process.kill()
        raise VisionError(f"the vision worker does not start: see the end of {self._log_path}")

    def _rest_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = threading.Timer(self._idle_seconds, self._rest_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def _rest_if_idle(self) -> None:
        if self._turn.try_acquire():
            try:
                self._let_go()
            finally:
                self._turn.release()

    def _let_go(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None:
            self._process.leave()
            self._process = None


class _Turn:
    """A lock for one request at a time. A generator may end in another thread than it began in, so this
    cannot be an RLock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("another request's answers are still being read in this thread")
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self.release()

    def try_acquire(self) -> bool:
        if not self._lock.acquire(blocking=False):
            return False
        self._owner = threading.get_ident()
        return True

    def release(self) -> None:
        self._owner = 0
        self._lock.release()


class _Course:
    """The progress of the items of one request."""

    def __init__(self, keys: list[int]) -> None:
        self.unanswered = dict.fromkeys(keys)
        self._begun: dict[int, None] = {}
        self._in_danger: dict[int, None] = {}

    def note(self, reply: messages.Reply) -> None:
        match reply:
            case messages.Begun(key=key):
                self._begun[key] = self._in_danger[key] = None
            case messages.Decoded(key=key):
                self._in_danger.pop(key, None)
            case _:
                if isinstance(reply, messages.Answer):
                    for keys in (self.unanswered, self._begun, self._in_danger):
                        keys.pop(reply.key, None)

    def suspects(self) -> list[int]:
        """Items that may have caused a crash: those being decoded; if none, those begun and not answered."""
        return list(self._in_danger or self._begun)


def _file(key: int, request: FileRequest) -> messages.FileToRead:
    return messages.FileToRead(key=key, path=os.fsencode(request.path), stat=request.stat)


def _pair(key: int, request: ProofRequest) -> messages.PairToProve:
    return messages.PairToProve(
        key=key,
        a=request.a,
        b=request.b,
        path_a=os.fsencode(request.path_a),
        path_b=os.fsencode(request.path_b),
        may=request.may,
    )
