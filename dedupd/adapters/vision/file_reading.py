"""One file to what its row is made of: hashed, decoded, measured, and made small for the embedder.

Owns what is read of a file and how it is told that it cannot be read; must never open an index, nor embed. It runs in a
thread of the worker, or in a process of its own (reader.py). Worker process only.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import fsdecode
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.coarse import small_picture
from dedupd.adapters.vision.decode import SHORT_SIDE, Refused, content_of, decode, opened
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.adapters.vision.traits import measure, phashes_inside
from dedupd.core.formats import decodable, is_named_for
from dedupd.core.media import HEAD, kind_of, traits_of
from dedupd.core.photo import Traits, Unreadable
from dedupd.core.units import extension
from dedupd.errors import DedupdError

OpenFile = Callable[[messages.FileToRead, Callable[[], None]], AbstractContextManager[BinaryIO]]
"""Opens one file; the second is to be called now and then while that takes its time. Raises Refused, OSError."""


def from_disk(file: messages.FileToRead, alive: Callable[[], None]) -> AbstractContextManager[BinaryIO]:
    """The file that the ledger saw."""
    return opened(fsdecode(file.path), file.stat)


class Preparing(Protocol):
    """What makes the picture that an embedder takes; an Embedder is one."""

    @property
    def side(self) -> int: ...

    def prepare(self, image: Image.Image) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFile:
    """What was found out about one file."""

    key: int
    content: str = ""
    unreadable: Unreadable | None = None
    traits: Traits | None = None
    """None with a content: its row is in the index already."""
    phashes: NDArray[np.uint64] | None = None
    within: NDArray[np.uint64] | None = None
    """Those of what plain margins surround."""
    prepared: NDArray[Any] | None = None
    small: NDArray[np.uint8] | None = None


def read_file(
    file: messages.FileToRead,
    holds: Callable[[str], bool],
    preparing: Callable[[], Preparing | None],
    model: str,
    alive: Callable[[], None],
    open_file: OpenFile = from_disk,
) -> DecodedFile:
    """Hash it, and decode what the index does not hold and anybody decodes. Raises DedupdError alone.

    `alive` is called now and then. `preparing` is asked for when a picture is to be decoded.
    """
    path, content, kind = fsdecode(file.path), "", ""
    try:
        with open_file(file, alive) as stream:
            content = content_of(stream, alive)
            if holds(content):
                return DecodedFile(key=file.key, content=content)
            kind = kind_of(stream.read(HEAD), path)
            if kind and not decodable(kind):
                return DecodedFile(key=file.key, content=content, traits=traits_of(content, kind))
            prepares = preparing()
            side = max(SHORT_SIDE, prepares.side if prepares else 0)
            picture = decode(stream, path, short_side=side)
        traits, phashes = measure(picture, content, model)
        return DecodedFile(
            key=file.key, content=content, traits=traits, phashes=phashes, within=phashes_inside(picture),
            prepared=prepares.prepare(picture.image) if prepares else None,
            small=small_picture(np.asarray(picture.image)),
        )  # fmt: skip
    except NobodyReads as unread:
        if kind or is_named_for(unread.kind, extension(path)):
            return DecodedFile(key=file.key, content=content, traits=traits_of(content, unread.kind))
        return DecodedFile(
            key=file.key, content=content, unreadable=Unreadable(reason=unread.reason, content=content)
        )
    except Refused as refused:
        # Bytes that were changing have no content id.
        whole = "" if refused.retry else content
        reason = Unreadable(reason=refused.reason, content=whole, retry=refused.retry)
        return DecodedFile(key=file.key, content=content, unreadable=reason)
    except OSError as error:
        reason = Unreadable(reason=f"could not be read: {error.strerror or error}", retry=True)
        return DecodedFile(key=file.key, unreadable=reason)
    except DedupdError:
        raise
    except Exception as error:  # noqa: BLE001
        # One odd file must not cost the others their turn.
        traceback.print_exc()
        reason = Unreadable(reason=f"could not be measured ({error})"[:200], content=content)
        return DecodedFile(key=file.key, content=content, unreadable=reason)
