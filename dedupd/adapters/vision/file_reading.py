"""Reads one file for its row: hashes, decodes and measures it, and resizes it for the embedder.

Owns what is read of a file, and the reason that is given when it cannot be read. Must never open an index or
embed. Runs in a thread of the worker, or in a process of its own (reader.py). Worker process only.
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

from dedupd.adapters.vision import kept_looks, messages
from dedupd.adapters.vision.candidates.coarse import small_picture
from dedupd.adapters.vision.decode import SHORT_SIDE, Refused, area_resize, content_of, decode, opened
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.adapters.vision.traits import measure, phashes_inside
from dedupd.core.formats import decodable, is_named_for
from dedupd.core.media import HEAD, kind_of, traits_of
from dedupd.core.photo import Traits, Unreadable
from dedupd.core.units import extension
from dedupd.errors import DedupdError

OpenFile = Callable[[messages.FileToRead, Callable[[], None]], AbstractContextManager[BinaryIO]]
"""Opens one file; its second argument must be called from time to time while that takes long. Raises Refused,
OSError."""


def from_disk(file: messages.FileToRead, alive: Callable[[], None]) -> AbstractContextManager[BinaryIO]:
    """Open the file that the ledger recorded."""
    return opened(fsdecode(file.path), file.stat)


class Preparing(Protocol):
    """What makes the picture that an embedder takes; an Embedder is one."""

    @property
    def side(self) -> int: ...

    def prepare(self, image: Image.Image) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFile:
    """The result for one file."""

    key: int
    content: str = ""
    unreadable: Unreadable | None = None
    traits: Traits | None = None
    """None although there is a content: its row is in the index already."""
    phashes: NDArray[np.uint64] | None = None
    within: NDArray[np.uint64] | None = None
    """Hashes of the part inside plain margins."""
    prepared: NDArray[Any] | None = None
    small: NDArray[np.uint8] | None = None
    look: bytes | None = None
    """For the first look at a pair; see kept_looks.py."""


def read_file(
    file: messages.FileToRead,
    holds: Callable[[str], bool],
    preparing: Callable[[], Preparing | None],
    model: str,
    alive: Callable[[], None],
    open_file: OpenFile = from_disk,
    *,
    looks: bool = False,
) -> DecodedFile:
    """Hash the file, and decode it when the index lacks its content and a decoder reads it. Raises DedupdError.

    `alive` is called from time to time; `preparing` is called when a picture is to be decoded. `looks`: also make what is
    kept for the first look at a pair.
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
        pixels = np.asarray(picture.image)
        small = area_resize(pixels, kept_looks.SIDE)
        traits, phashes = measure(picture, content, model, small)
        return DecodedFile(
            key=file.key, content=content, traits=traits, phashes=phashes, within=phashes_inside(picture),
            prepared=prepares.prepare(picture.image) if prepares else None,
            small=small_picture(pixels),
            # What is made later is made at this side: it must be the same.
            look=kept_looks.packed(picture, small) if looks and side == SHORT_SIDE else None,
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
        # One odd file must not keep the others from being processed.
        traceback.print_exc()
        reason = Unreadable(reason=f"could not be measured ({error})"[:200], content=content)
        return DecodedFile(key=file.key, content=content, unreadable=reason)
