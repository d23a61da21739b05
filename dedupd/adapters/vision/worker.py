"""The worker process: reads requests from stdin and answers on stdout.

Owns its own limits (memory, priority, life). Must never outlive its parent, write anywhere but to the index,
the cache and the place of a backfill, or open a socket except to what its owner named: the services of
remote/endpoints.py, an object store. Started by client.py as `python -m dedupd.adapters.vision.worker`.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.accelerators import allow
from dedupd.adapters.vision.child import limit_itself, return_free_memory, take_over_stdio
from dedupd.adapters.vision.cores import readers_with_room, usable_cores
from dedupd.errors import DedupdError, VisionError

if TYPE_CHECKING:
    from dedupd.adapters.index.lance import PhotoIndex
    from dedupd.adapters.vision.embedders.base import Embedder, Shape
    from dedupd.adapters.vision.file_reading import Preparing
    from dedupd.adapters.vision.indexing import Ingester, ReaderPool
    from dedupd.adapters.vision.kept_looks import KeptLooks
    from dedupd.adapters.vision.proof import PairPictures
    from dedupd.adapters.vision.small_files import SmallFiles

_MEMORY_LIMIT = 4 << 30
"""Bytes of writable address space: the libraries reserve 1.6 GiB of it before they use any."""
_NICE = 10
_FEWEST_THREADS, _MOST_THREADS = 2, 4
_PART = 1 << 16
_CANDIDATES_AT_ONCE = 5000
_MANY_FRESH = 1024
"""Photos of which a search takes so much memory that it is worth returning."""


class Pipe:
    """The connection to the client; several threads may answer on it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: messages.Message) -> None:
        """Write one whole message."""
        left = memoryview(messages.answer_frame(message))
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]


class WorkerService:
    """What the worker keeps: index, embedder, recently read pictures; each is made at its first use."""

    def __init__(self, configure: messages.Configure, pipe: Pipe) -> None:
        from dedupd.adapters.vision.embedders.registry import choose, settle
        from dedupd.adapters.vision.inside import INSIDE
        from dedupd.adapters.vision.recipe import RECIPE

        self._pipe = pipe
        self._index_dir = Path(os.fsdecode(configure.index_dir))
        self._cache_dir = Path(os.fsdecode(configure.cache_dir))
        self._batch_size = configure.batch_size
        self._remote = configure.remote
        if configure.blockless:
            from dedupd.adapters.vision.decode import BLOCKLESS

            BLOCKLESS.update(configure.blockless)
        chosen, note = choose(configure.embedder)
        self.model = settle(chosen)
        self.ready = messages.Ready(
            model=self.model.id, recipe=RECIPE, calibrated=self.model.calibrated, note=note
        )
        self._insides_name = f"inside-{INSIDE}"
        self._loading = threading.Lock()
        self._blockless = set(configure.blockless)
        jobs, waited_for = configure.jobs, configure.waited_for
        self._thread_count = _thread_count(jobs, waited_for=waited_for)
        self._threads = ThreadPoolExecutor(self._thread_count, "see")
        self._card_decodes = configure.gpu_decode and configure.gpus != "0"
        allow(configure.gpus, configure.gpu_memory_fraction, decoding=self._card_decodes)
        self._reader_count = _reader_count(jobs, waited_for=waited_for)
        if self._card_decodes:
            self._reader_count = max(self._reader_count, _MOST_THREADS)

    @cached_property
    def index(self) -> PhotoIndex:
        with self._busy("opening the index"):
            from dedupd.adapters.index.lance import PhotoIndex

            return PhotoIndex(self._index_dir, self.model.id, self.ready.recipe, self._dimensions, _note)

    @cached_property
    def insides(self) -> PhotoIndex:
        """Hashes of the parts inside plain margins, of the few pictures that have them, whatever the model."""
        with self._busy("opening the index"):
            from dedupd.adapters.index.lance import PhotoIndex

            return PhotoIndex(self._index_dir, self._insides_name, self.ready.recipe, lambda: 0, _note)

    @cached_property
    def smalls(self) -> SmallFiles:
        """Small grey pictures, whatever the model."""
        from dedupd.adapters.vision.small_files import SmallFiles

        return SmallFiles(self._index_dir, self.ready.recipe)

    @cached_property
    def _looks(self) -> KeptLooks:
        """Pictures for the first look at a pair, whatever the model."""
        from dedupd.adapters.vision.kept_looks import KeptLooks

        return KeptLooks(self._index_dir, self.ready.recipe)

    @cached_property
    def _shape(self) -> Shape | None:
        """What is known of the embedder while it is not loaded: photos are decoded meanwhile."""
        from dedupd.adapters.vision.embedders.registry import known_shape

        return known_shape(self.model) if self._remote is None else None

    def _preparing(self) -> Preparing | None:
        if self._shape is None:
            return self.embedder()
        from dedupd.adapters.vision.shapes import ShapedPictures

        return ShapedPictures(self._shape, self._shape.side)

    def _dimensions(self) -> int:
        if self._shape is not None:
            return self._shape.dimensions
        embedder = self.embedder()
        return embedder.dimensions if embedder else 0

    @cached_property
    def _loaded(self) -> Embedder | None:
        from dedupd.adapters.vision.embedders.registry import load

        def here() -> Embedder | None:
            return load(self.model, self._cache_dir)

        with self._busy(messages.LOADING):
            if self._remote is None or self.model.family == "hashes":
                return here()
            from dedupd.adapters.vision.remote.embedder import BATCH, connect

            self._batch_size = max(self._batch_size, BATCH)
            return connect(
                self._remote, self.model, here, self._tell_where, lambda: self._busy("asking the services")
            )  # fmt: skip

    def _tell_where(self, why_here: str) -> None:
        _note(f"embedding here for now: {why_here}" if why_here else "embedding by the services")
        self._pipe.send(messages.SeesHere(why=why_here))

    def embedder(self) -> Embedder | None:
        """The embedder, loaded once, by the thread that asks first. Raises VisionError, whatever is in the way:
        a worker that ended would be told as the fault of the files it was reading."""
        with self._loading:
            try:
                return self._loaded
            except DedupdError:
                raise
            except Exception as error:
                traceback.print_exc()
                raise VisionError(
                    f"{self.model.id} could not be loaded ({error or type(error).__name__})"
                ) from error

    @cached_property
    def _gallery(self) -> PairPictures:
        from dedupd.adapters.vision.proof import PairPictures

        return PairPictures(self._thread_count, self._looks)

    def answer(self, request: messages.Request) -> None:
        """Send all replies to one request except its Done."""
        match request:
            case messages.Ingest():
                self._ingester.ingest(request.files)
            case messages.Gather() | messages.PairBlocks() | messages.Adopt():
                self._in_bulk(request)
            case messages.Propose():
                self._propose(request)
            case messages.Copy():
                self._copy(request)
            case messages.MeasureCosines():
                self._measure_cosines(request)
            case messages.Prove():
                self._prove(request)
            case messages.Missing() | messages.Held():
                self._contents(request)
            case messages.Shrink():
                self._shrink(request)
            case messages.Tidy() | messages.Forget():
                self._tidy(request)
            case messages.Describe():
                self._describe(request)
            case messages.Load():
                self.embedder()
            case _:
                raise ValueError("configured twice")

    @contextmanager
    def _busy(self, what: str) -> Generator[None]:
        self._pipe.send(messages.Busy(what=what, begins=True))
        try:
            yield
        finally:
            self._pipe.send(messages.Busy(what=what, begins=False))

    @cached_property
    def _ingester(self) -> Ingester:
        with self._busy("getting ready to look"):
            from dedupd.adapters.vision.indexing import Ingester

            return Ingester(
                self.index, self.insides, self.smalls, self.embedder, self.model.id, self._batch_size, self._threads,
                self._pipe.send, pool=lambda: self._reader_pool, preparing=self._preparing, looks=self._looks,
            )  # fmt: skip

    @cached_property
    def _reader_pool(self) -> ReaderPool | None:
        """None where threads are as fast, or where only the model itself can prepare its pictures."""
        if not self._reader_count:
            return None
        with self._busy("getting ready to read"):
            from dedupd.adapters.vision.indexing import reader_pool

            embedder, cards = self.embedder(), list[str]()
            if self._card_decodes:
                from dedupd.adapters.vision.card_jpeg import decoding_cards

                limit_itself(resource.RLIM_INFINITY)  # the driver maps far more than it uses
                cards = decoding_cards()
            return reader_pool(embedder, self.model.id, self._blockless, self._reader_count, cards)

    def _contents(self, request: messages.Missing | messages.Held) -> None:
        with self._busy("opening the index"):
            if isinstance(request, messages.Missing):
                found = self.index.lacks(request.contents)
            else:
                found = self.index.page(request.after)
        self._pipe.send(messages.Contents(contents=found))

    def _tidy(self, request: messages.Tidy | messages.Forget) -> None:
        with self._busy("tidying the index"):
            if isinstance(request, messages.Forget):
                self.index.remove(request.contents)
                self.insides.remove(request.contents)
                self.smalls.remove(request.contents)
                self._looks.remove(request.contents)
                return
            from dedupd.adapters.index.recovery import remove_others
            from dedupd.adapters.vision.kept_looks import LOOK
            from dedupd.adapters.vision.small_files import SMALL

            kept = {self.model.id, self._insides_name, SMALL, LOOK, *request.keep}
            remove_others(self._index_dir, kept, self.ready.recipe)

    def _in_bulk(self, request: messages.Gather | messages.PairBlocks | messages.Adopt) -> None:
        if isinstance(request, messages.Adopt):
            self._adopt(request)
            return
        if isinstance(request, messages.PairBlocks):
            with self._busy("comparing rows"):
                from dedupd.adapters.vision.near_pairs import compare_blocks

                self._pipe.send(compare_blocks(request))
            return
        with self._busy("getting ready to gather"):
            from dedupd.adapters.vision.gather import gather, one_at_a_time

            with one_at_a_time(self._cache_dir):
                self.embedder()
        gather(request, self.embedder, self.model.id, self._batch_size, self._threads, self._pipe.send)

    def _adopt(self, request: messages.Adopt) -> None:
        with self._busy("adopting"):
            from dedupd.adapters.index.adopt import adopt
            from dedupd.adapters.stores.store import store_at
            from dedupd.adapters.vision.inside import INSIDE

            store = store_at(os.fsdecode(request.place))
            for so_far, done, total in adopt(
                store, self.index, self.insides, self.model.id, self.ready.recipe, INSIDE
            ):
                self._pipe.send(messages.Adopted(adoption=so_far, done=done, total=total))

    def _propose(self, request: messages.Propose) -> None:
        with self._busy("searching"):
            self._search(request)

    def _search(self, request: messages.Propose) -> None:
        from dedupd.adapters.vision.candidates.search import Search, propose

        own = self.model.far_cosine if request.among is None else self.model.near_cosine
        bar = own if own is None or request.bar is None else request.bar
        if bar is not None and request.min_cosine is not None:
            bar = min(bar, request.min_cosine)
        search = Search(
            fresh=request.fresh, among=request.among, bar=bar, spared=request.spared, after=request.after,
            sizes=request.sizes, answered=request.answered,
        )  # fmt: skip
        found = propose(self.index, self.insides, self.smalls.of, search)
        for start in range(0, len(found.pairs), _CANDIDATES_AT_ONCE):
            self._pipe.send(messages.Candidates(pairs=found.pairs[start : start + _CANDIDATES_AT_ONCE]))
        self._pipe.send(messages.Searched(left=found.left, cut=found.cut, after=found.after))
        if request.among is None and len(request.fresh) >= _MANY_FRESH:
            # What this search freed would else lie beside the pictures of the pairs, which are looked at next.
            del found
            return_free_memory()

    def _copy(self, request: messages.Copy) -> None:
        with self._busy("getting ready to copy"):
            from dedupd.adapters.vision.make_copies import cosines_of_copies

            embedder = self.embedder()
        for file in request.files:
            self._pipe.send(messages.Begun(key=file.key))
            empty = messages.Copied(key=file.key, cosines=[])
            self._pipe.send(empty if embedder is None else cosines_of_copies(file, embedder))

    def _measure_cosines(self, request: messages.MeasureCosines) -> None:
        with self._busy("comparing"):
            from dedupd.adapters.vision.candidates.cosines import cosines_of

            for cosines in cosines_of(self.index, request.pairs):
                self._pipe.send(messages.Cosines(cosines=cosines))

    def _prove(self, request: messages.Prove) -> None:
        with self._busy("getting ready to prove"):
            from dedupd.adapters.vision.proof import prove

        gallery = self._gallery
        seen = self.smalls.of_proofs(gallery, request.pairs)

        def measure(pair: messages.PairToProve) -> None:
            self._pipe.send(messages.Begun(key=pair.key))
            self._pipe.send(prove(pair, gallery))
            seen.remember(pair)

        for _ in self._threads.map(measure, request.pairs):
            pass
        seen.store()

    def _shrink(self, request: messages.Shrink) -> None:
        with self._busy("getting ready to shrink"):
            from dedupd.adapters.vision.thumbnails import shrink

        for file in request.files:
            self._pipe.send(messages.Begun(key=file.key))
            self._pipe.send(shrink(file, self._cache_dir, request.side))

    def _describe(self, request: messages.Describe) -> None:
        with self._busy("getting ready to read"):
            from dedupd.adapters.vision.metadata import describe

        for file in request.files:
            self._pipe.send(messages.Begun(key=file.key))
            self._pipe.send(describe(file))


def _core_count(asked: int, *, waited_for: bool) -> int:
    """Half of the cores, because the owner is working too; all of them when the owner waits. More are of no use."""
    cores = usable_cores()
    return min(asked, cores) if asked else cores if waited_for else cores // 2


def _thread_count(asked: int = 0, *, waited_for: bool = False) -> int:
    """At most 4 unless more are asked for: each may hold a large picture, and one interpreter keeps few busy."""
    cores = _core_count(asked, waited_for=waited_for)
    if not asked:
        return max(_FEWEST_THREADS, min(_MOST_THREADS, cores))
    if sys.platform == "linux" and cores > _MOST_THREADS:  # room for a large picture in each of them
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT // _MOST_THREADS * cores, hard))
    return cores


def _reader_count(asked: int, *, waited_for: bool) -> int:
    """Reading processes: one for each core, as far as there is memory; 0 where threads are as fast."""
    count = min(_core_count(asked, waited_for=waited_for), readers_with_room())
    return count if count > _MOST_THREADS else 0


def main() -> None:
    """Serve until stdin closes."""
    limit_itself(_MEMORY_LIMIT)
    os.nice(_NICE)
    pipe, requests = _take_over_stdio()
    configure = requests.get()
    assert isinstance(configure, messages.Configure)
    try:
        service = WorkerService(configure, pipe)
    except DedupdError as error:
        pipe.send(messages.Failed(sentence=str(error)))
        return
    pipe.send(service.ready)
    pipe.send(messages.Done())
    while True:
        request = requests.get()
        try:
            service.answer(request)
        except DedupdError as error:
            pipe.send(messages.Failed(sentence=str(error)))
        else:
            pipe.send(messages.Done())


def _take_over_stdio() -> tuple[Pipe, queue.SimpleQueue[messages.Request]]:
    incoming, outgoing = take_over_stdio()
    requests: queue.SimpleQueue[messages.Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, requests), daemon=True).start()
    return Pipe(outgoing), requests


def _listen(incoming: int, requests: queue.SimpleQueue[messages.Request]) -> None:
    """Queue the incoming requests. When the parent is gone, end this process at once, whatever it is doing."""
    unframer = messages.Unframer()
    while part := os.read(incoming, _PART):
        unframer.feed(part)
        while (body := unframer.next()) is not None:
            requests.put(messages.requests.decode(body))
    os._exit(0)


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
