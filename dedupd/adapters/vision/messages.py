"""Every message between the client in the daemon and its vision worker.

Owns the format: a 4-byte big-endian length, then one msgpack value. Stdlib and msgspec only; never pickle.
Paths are sent as bytes (os.fsencode). One request is in progress at a time; Done or Failed ends it.
"""

from __future__ import annotations

import struct
import sys
from functools import cache

import msgspec

from dedupd.core.adoption import Adoption
from dedupd.core.descriptions import Description
from dedupd.core.photo import Candidate, FileStat, Measures, Traits, Unreadable
from dedupd.core.relations import Prospect

MAX_FRAME = 256 << 20
_LENGTH = struct.Struct(">I")
HEAD = _LENGTH.size
"""Bytes before each body."""


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages; the class name tells them apart."""

    def without(self, why: str) -> Message | None:
        """The answer for the same item when this one cannot be sent; None: it is no item's answer."""
        return None


class RemoteServices(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Services that embed on other machines, as their owner configured them."""

    mode: str
    """'remote', or 'auto': embed on this machine while no service answers."""
    urls: list[str]
    protocol: str = "dedupd"
    token_file: str = ""
    ca_file: str = ""


class Configure(Message, frozen=True):
    """The first message; answered with Ready."""

    index_dir: bytes
    cache_dir: bytes
    embedder: str
    batch_size: int
    blockless: list[int] = []
    """Devices where the number of blocks does not tell a local file from one in the cloud."""
    remote: RemoteServices | None = None
    """None: everything is embedded here, and no network socket is opened."""
    jobs: int = 0
    """Threads that read photos; 0: as many as suit the machine."""
    waited_for: bool = False
    """Whether a person waits for the answers."""
    gpus: str = "all"
    gpu_memory_fraction: float = 0.9
    gpu_decode: bool = False
    """Cards decode JPEGs too, as far as they give the same pictures."""


class FileToRead(msgspec.Struct, frozen=True, array_like=True):
    """One file to read."""

    key: int
    path: bytes
    stat: FileStat


class Ingest(Message, frozen=True):
    """Decode, embed and store; answered per file: Begun, Decoded, FileIngested."""

    files: list[FileToRead]


class Propose(Message, frozen=True):
    """Candidate pairs; answered with Candidates, in parts, and then Searched."""

    fresh: list[str]
    among: list[str] | None
    min_cosine: float | None
    bar: float | None
    spared: float | None = None
    after: str | None = None
    sizes: list[int] = []
    answered: list[str] = []


class Copy(Message, frozen=True):
    """Generate copies of files; answered per file: Begun, Copied."""

    files: list[FileToRead]


class MeasureCosines(Message, frozen=True):
    """Cosines of pairs of contents; answered with Cosines, in parts."""

    pairs: list[tuple[str, str]]


class PairToProve(msgspec.Struct, frozen=True, array_like=True):
    """One pair of a Prove; `key` is its place in the request."""

    key: int
    a: str
    b: str
    path_a: bytes
    path_b: bytes
    may: Prospect = Prospect()


class Prove(Message, frozen=True):
    """Align pairs; answered per pair: Begun, Proven."""

    pairs: list[PairToProve]


class Missing(Message, frozen=True):
    """Which contents the index lacks; answered with Contents."""

    contents: list[str]


class FileToShrink(msgspec.Struct, frozen=True, array_like=True):
    """One file of a Shrink."""

    key: int
    path: bytes
    content: str


class Shrink(Message, frozen=True):
    """Thumbnails into the cache; answered per file: Begun, Shrunk."""

    files: list[FileToShrink]
    side: int


class Tidy(Message, frozen=True):
    """Remove the tables of all models but the one in force and `keep`, and of older recipes; answered with
    Done."""

    keep: list[str]


class Held(Message, frozen=True):
    """Some of the contents in the index, in order, after `after`; answered with Contents."""

    after: str


class Forget(Message, frozen=True):
    """Remove the rows of these contents; answered with Done."""

    contents: list[str]


class Describe(Message, frozen=True):
    """What files say about themselves; answered per file: Begun, Described."""

    files: list[FileToRead]


class Load(Message, frozen=True):
    """Load the embedder now; answered with Done, or Failed when it cannot be loaded."""


class Gather(Message, frozen=True):
    """Process a chunk of pictures and write its rows into a file; answered per file: Begun, Decoded,
    FileIngested; then Gathered.

    A file's path is its name below `source`; its stat is ignored, because another machine may have listed it.
    """

    source: bytes
    files: list[FileToRead]
    alone: list[int]
    """Keys of files that are processed first and one by one: one of them may crash the worker."""
    to: bytes
    name: str
    """Prefix of the file's name."""


class PairBlocks(Message, frozen=True):
    """Compare each row of a block with each row of the others, and write the near pairs into a file; answered
    with Paired.

    A block is given by the names and digests of its files of rows.
    """

    place: bytes
    left: list[tuple[str, str]]
    rights: list[list[tuple[str, str]]]
    with_itself: bool
    """The first of `rights` is `left` itself: each pair counts once."""
    bar: float | None
    """The least cosine; None: hashes alone."""
    name: str
    """Prefix of the file's name."""


class Adopt(Message, frozen=True):
    """Take the rows of a backfill into the index; answered with Adopted from time to time, each with all so
    far."""

    place: bytes


Request = (
    Configure
    | Ingest
    | Propose
    | Copy
    | MeasureCosines
    | Prove
    | Missing
    | Shrink
    | Tidy
    | Held
    | Forget
    | Describe
    | Load
    | Gather
    | PairBlocks
    | Adopt
)


class Ready(Message, frozen=True):
    """The embedder in force: the fields of VisionStatus."""

    model: str
    recipe: str
    calibrated: bool
    note: str


class Begun(Message, frozen=True):
    """Work on this item started: if the worker crashes now, the item is a suspect."""

    key: int


class Decoded(Message, frozen=True):
    """The dangerous part of this item is over."""

    key: int


ON_CARD = "embedding on a card"
LOADING = "loading the embedder"
"""What is done where a driver may end the worker: then no file is suspected before it was tried without cards."""


class Busy(Message, frozen=True):
    """A long step begins (or ends) that no item is to blame for: loading a library, a model, the index."""

    what: str
    begins: bool


class SeesHere(Message, frozen=True):
    """Whether pictures are embedded here for now, although services elsewhere were named."""

    why: str
    """'' while one of them answers."""


class FileIngested(Message, frozen=True):
    """One file's answer, with either traits or unreadable."""

    key: int
    traits: Traits | None
    unreadable: Unreadable | None
    decoded: bool

    def without(self, why: str) -> Message:
        """What was seen of the file is not told."""
        unreadable = Unreadable(reason=why)
        return FileIngested(key=self.key, traits=None, unreadable=unreadable, decoded=self.decoded)


class Candidates(Message, frozen=True):
    """A part of the answer to Propose."""

    pairs: list[Candidate]


class Searched(Message, frozen=True):
    """The end of the answer to Propose: contents still to be searched for, contents with more pairs than
    were sent, and after which content to go on, '' when there is no more."""

    left: list[str]
    cut: list[str]
    after: str = ""


class Copied(Message, frozen=True):
    """The cosines of the copies of one file with it."""

    key: int
    cosines: list[float]

    def without(self, why: str) -> Message:
        """As of a file without copies."""
        return Copied(key=self.key, cosines=[])


class Cosines(Message, frozen=True):
    """A part of the answer to MeasureCosines, in order."""

    cosines: list[float | None]


class Proven(Message, frozen=True):
    """One pair's answer."""

    key: int
    measures: Measures | None
    error: str

    def without(self, why: str) -> Message:
        """As of a pair that could not be measured."""
        return Proven(key=self.key, measures=None, error=why)


class Contents(Message, frozen=True):
    """The answer to Missing and to Held."""

    contents: list[str]


class Shrunk(Message, frozen=True):
    """One thumbnail's answer: its path, or b'' when there is no picture."""

    key: int
    path: bytes


class Described(Message, frozen=True):
    """One file's answer; empty when it says nothing or cannot be read."""

    key: int
    said: Description

    def without(self, why: str) -> Message:
        """As of a file that says nothing."""
        return Described(key=self.key, said=Description())


class Gathered(Message, frozen=True):
    """The file of a chunk's rows; '' when there are none."""

    file: str
    digest: str
    size: int
    rows: int


class Paired(Message, frozen=True):
    """The file of a strip's near pairs; '' when there are none."""

    file: str
    digest: str
    size: int
    pairs: int


class Adopted(Message, frozen=True):
    """Progress of an adoption."""

    adoption: Adoption
    done: int
    total: int
    """Rows in total, as the backfill counted them."""


class Done(Message, frozen=True):
    """The request is fully answered."""


class Failed(Message, frozen=True):
    """The request cannot be answered; one sentence for people."""

    sentence: str


Reply = (
    Ready
    | Begun
    | Decoded
    | Busy
    | SeesHere
    | FileIngested
    | Candidates
    | Searched
    | Copied
    | Cosines
    | Proven
    | Contents
    | Shrunk
    | Described
    | Gathered
    | Paired
    | Adopted
    | Done
    | Failed
)

Answer = FileIngested | Copied | Proven | Shrunk | Described
"""The last answer for one item of a request."""

_encoder = msgspec.msgpack.Encoder()
requests = msgspec.msgpack.Decoder(Request)
replies = msgspec.msgpack.Decoder(Reply)


def frame(message: Message) -> bytes:
    """One message, ready for the pipe."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is over the limit")
    return _LENGTH.pack(len(body)) + body


def answer_frame(message: Message) -> bytes:
    """The same. An item's answer that cannot be packed, or that the other end would refuse, is replaced by one that says so:
    else it would end the worker, or the daemon's pass, each time that the item is asked about."""
    if type(message).without is Message.without:
        return frame(message)
    try:
        framed = frame(message)
        _decoder_of(type(message)).decode(memoryview(framed)[HEAD:])
        return framed
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        print(f"an answer that cannot be sent: {error!r}", file=sys.stderr, flush=True)
        instead = message.without(f"could not be told ({error})"[:200])
        assert instead is not None
        return frame(instead)


@cache
def _decoder_of(kind: type[Message]) -> msgspec.msgpack.Decoder[Message]:
    return msgspec.msgpack.Decoder(kind)


def length_of(head: bytes | bytearray) -> int:
    """Of the body that follows these HEAD bytes. Raises ValueError for a length over the limit."""
    (length,) = _LENGTH.unpack_from(head)
    if length > MAX_FRAME:
        raise ValueError(f"a message of {length} bytes is over the limit")
    return int(length)


class Unframer:
    """Cuts a stream of bytes into message bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, part: bytes) -> None:
        """Add bytes from the pipe."""
        self._buffer += part

    def next(self) -> bytes | None:
        """The next whole body, or None. Raises ValueError for a length over the limit."""
        if len(self._buffer) < HEAD:
            return None
        end = HEAD + length_of(self._buffer)
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[HEAD:end])
        del self._buffer[:end]
        return body
