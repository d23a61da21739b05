"""Proves pairs: reads both pictures from the given paths and aligns them.

Owns the reading; align.py owns the measuring. Must never measure other bytes than those it was asked about.
Worker process only.
"""

from __future__ import annotations

import os
import traceback
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import BinaryIO, Generic, TypeVar

import cv2
import numpy as np

from dedupd.adapters.vision import align, islands, messages
from dedupd.adapters.vision.container import SEQUENCE
from dedupd.adapters.vision.decode import (
    SHORT_SIDE,
    Picture,
    Refused,
    area_resize,
    content_of,
    decode,
    fitting,
    holding_of,
    opened,
)
from dedupd.adapters.vision.kept_looks import SIDE, KeptLooks, Look, look_at, unpacked
from dedupd.adapters.vision.metadata import says
from dedupd.adapters.vision.pixels import pixels_of
from dedupd.adapters.vision.profiles import beyond_srgb, differs_from_srgb, in_srgb
from dedupd.adapters.vision.residual import Pixels
from dedupd.core.photo import Measures
from dedupd.core.relations import (
    alike_as_a_burst,
    copy_or_bracket,
    may_hide_a_change,
    plainly_apart,
    worth_a_closer_look,
)

T = TypeVar("T")
FINE_SIDE = 1200
_WHOLE_SIDE = 2400
"""px of the long side that the finest look needs; a larger picture may be decoded smaller, but not below this."""
_ENOUGH = 4 / 3
"""Of a side: a JPEG that is decoded to so much more than that is sharp in it, at half the cost of all its pixels."""
_CACHE_BYTES = {SIDE: 16 << 20, FINE_SIDE: 48 << 20, _WHOLE_SIDE: 24 << 20}
"""Bytes of the cache for each size and thread, for its own pair and a few more: one large picture takes as much as
twenty small ones."""
_GLANCES_BYTES, _NONE_BYTES = 16 << 20, 2000
"""The same for the pictures that are kept of photos; what it takes to know that there is none."""
_LEAST_AREA = 1 << 15
"""px: a smaller or narrower picture is laid by so few of them that its compression decides whether it can be laid at all."""


class PairPictures:
    """Recently read pictures with their features, so that each is read once for all its pairs and both looks.
    Thread-safe."""

    def __init__(self, threads: int = 2, kept: KeptLooks | None = None) -> None:
        """`threads`: how many measure pairs at once. `kept`: what was kept of photos when they were read."""
        self._kept = kept
        most = {side: size * threads for side, size in _CACHE_BYTES.items()}
        self._looks = {side: _Recent[align.Prepared](most[side], _cost) for side in (SIDE, FINE_SIDE)}
        self._glances = _Recent[align.Prepared | None](
            _GLANCES_BYTES * threads, lambda seen: _cost(seen) if seen else _NONE_BYTES
        )
        self._wholes = _Recent[Pixels](most[_WHOLE_SIDE], lambda pixels: pixels.nbytes)

    def glance(self, path: str, content: str) -> align.Prepared | None:
        """What is kept of the photo with `content`, else the same made of it now; None for what is decoded for each
        look. The file is opened in any case, and tells what it holds besides. Raises Refused."""
        return self._glances.get(content, lambda: _glance(path, content, self._kept))

    def picture(self, path: str, content: str, side: int) -> align.Prepared:
        """The picture with `content`, read at `path`. Raises Refused, also when the file has other content
        now."""

        def read() -> align.Prepared:
            first, close = _prepared(path, content)
            asked, other = (first, close) if side == SIDE else (close, first)
            self._looks[FINE_SIDE if side == SIDE else SIDE].add(content, other)
            return asked

        return self._looks[side].get(content, read)

    def whole(self, path: str, content: str) -> Pixels:
        """(H, W) grey levels of the same in all its pixels, up to twice the larger side. Raises Refused."""
        at_hand = self.picture(path, content, FINE_SIDE).whole
        return at_hand if at_hand is not None else self._wholes.get(content, lambda: _whole(path, content))

    def large(self, path: str, content: str) -> Pixels:
        """(H, W) grey levels of the same, large enough to look for islands. Raises Refused."""
        at_hand = self.picture(path, content, FINE_SIDE).large
        return at_hand if at_hand is not None else self.whole(path, content)


class _Recent(Generic[T]):
    """Pictures of one size; the least recently used one is dropped first. A caller waits for one that is
    being read."""

    def __init__(self, most: int, cost: Callable[[T], int]) -> None:
        """`most` bytes in all, where each takes `cost`."""
        self._most, self._cost, self._bytes = most, cost, 0
        self._lock = Lock()
        self._pictures: OrderedDict[str, Future[T]] = OrderedDict()

    def get(self, content: str, read: Callable[[], T]) -> T:
        mine: Future[T] = Future()
        with self._lock:
            known = self._pictures.setdefault(content, mine)
            self._pictures.move_to_end(content)
        if known is not mine:
            return known.result()
        try:
            picture = read()
        except BaseException as error:
            with self._lock:
                del self._pictures[content]
            mine.set_exception(error)
            raise
        mine.set_result(picture)
        self._make_room(picture)
        return picture

    def add(self, content: str, picture: T) -> None:
        """Keep it, unless it is here or being read."""
        mine: Future[T] = Future()
        mine.set_result(picture)
        with self._lock:
            if self._pictures.setdefault(content, mine) is not mine:
                return
        self._make_room(picture)

    def _make_room(self, picture: T) -> None:
        with self._lock:
            self._bytes += self._cost(picture)
            for content, other in list(self._pictures.items())[:-1]:
                if self._bytes <= self._most:
                    break
                if other.done() and other.exception() is None:
                    self._bytes -= self._cost(self._pictures.pop(content).result())


def _glance(path: str, content: str, kept: KeptLooks | None) -> align.Prepared | None:
    with _verified(path, content) as file:
        look = kept.of(content) if kept else None
        if look is None:
            look = _looked_at_again(file, path, content, kept)
        if look.rgb is None:
            return None
        holding = replace(holding_of(file, path), says=says(file))
    if SEQUENCE in holding.further:  # frames beside the still picture, of which its decoder told nothing
        return None
    if look.rgb.shape[0] * look.rgb.shape[1] < _LEAST_AREA:
        return None
    holding = replace(holding, beyond_srgb=beyond_srgb(look.rgb, look.profile))
    return align.Prepared(in_srgb(look.rgb, look.profile), holding)


def _looked_at_again(file: BinaryIO, path: str, content: str, kept: KeptLooks | None) -> Look:
    """Made as when the photo was read: what is found does not depend on whether it was kept."""
    packed = look_at(decode(file, path, short_side=SHORT_SIDE))
    file.seek(0)
    if kept:
        kept.keep_where_room_is(content, packed)
    return unpacked(packed) or Look(rgb=None, profile=b"")


def _prepared(path: str, content: str) -> tuple[align.Prepared, align.Prepared]:
    """For the first look and for the closer one, from one decode."""
    read = read_picture(path, content, 2 * FINE_SIDE, enough=round(_ENOUGH * FINE_SIDE), holds=True)
    pixels = pixels_of(read.image)
    levels = align.grey_of(pixels)
    fine, grey = _fine(pixels, levels, read.profile)
    small = area_resize(fine, SIDE)
    # Done here and not where photos are indexed: hashes and vectors hardly change, and every library would be
    # read again.
    holding = replace(read.holding, beyond_srgb=beyond_srgb(small, read.profile))
    first = align.Prepared(in_srgb(small, read.profile), holding, several=read.several)
    close = align.Prepared(in_srgb(fine, read.profile), holding, several=read.several, grey=grey)
    decoded, whole = max(read.image.size), max(read.width, read.height)
    if decoded >= min(islands.SIDE, whole):
        close.large = close.grey if fine is pixels else levels
    if decoded >= min(_WHOLE_SIDE, whole):
        close.whole = close.large
    return first, close


def _fine(pixels: Pixels, levels: Pixels, profile: bytes) -> tuple[Pixels, Pixels | None]:
    """The picture with these grey levels scaled down to FINE_SIDE, and its grey levels; None: those of the result, in sRGB.

    Grey levels, of which fine structure is measured, are the mean of areas of the picture itself: halved first, small letters
    were more blurred than those of a picture in another size. Colours are measured over many pixels: read between two of
    them they cost a fifth of that.
    """
    size = fitting(pixels.shape[1], pixels.shape[0], FINE_SIDE)
    if size == pixels.shape[1::-1]:
        return pixels, None if differs_from_srgb(profile) else levels
    if differs_from_srgb(profile):
        return area_resize(pixels, FINE_SIDE), None
    grey = area_resize(levels, FINE_SIDE)
    while (long := max(pixels.shape[:2])) >= 2 * FINE_SIDE:
        pixels = area_resize(pixels, -(-long // 2))  # by exactly two areas cost next to nothing
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8), grey


def _whole(path: str, content: str) -> Pixels:
    pixels = pixels_of(read_picture(path, content, _WHOLE_SIDE, grey=True).image)
    return pixels if pixels.ndim == 2 else align.grey_of(pixels)


def _cost(picture: align.Prepared) -> int:
    # Pixels and what comparisons share of them (eight times their grey copy), and about 900 features of 32
    # bytes, twice.
    large = 0 if picture.large is None else picture.large.nbytes  # the whole, if that is at hand, is the same
    return picture.rgb.nbytes * 11 // 3 + large + 100_000


def read_picture(
    path: str, content: str, long_side: int, *, enough: int = 0, holds: bool = False, grey: bool = False
) -> Picture:
    """The picture at `path`, decoded, once its bytes are known to be `content`. Raises Refused. `enough`, `holds`,
    `grey`: as `decode`."""
    with _verified(path, content) as file:
        picture = decode(file, path, long_side=long_side, enough=enough, holds=holds, grey=grey)
        return replace(picture, holding=replace(picture.holding, says=says(file))) if holds else picture


@contextmanager
def _verified(path: str, content: str) -> Generator[BinaryIO]:
    """The file at `path`, open, once its bytes are known to be `content`. Raises Refused."""
    with opened(path) as file:
        if content_of(file) != content:
            raise Refused("changed since it was looked at", retry=True)
        yield file


def prove(pair: messages.PairToProve, gallery: PairPictures) -> messages.Proven:
    """Measure one pair; when a file cannot be read, the answer has an error instead of measures."""
    try:
        measures = _at_a_glance(pair, gallery) or _looked_at(pair, gallery)
    except Refused as refused:
        return messages.Proven(key=pair.key, measures=None, error=refused.reason)
    except Exception as error:  # noqa: BLE001
        # One odd pair must not keep the others from being measured.
        traceback.print_exc()
        return messages.Proven(key=pair.key, measures=None, error=f"could not be measured ({error})"[:200])
    return messages.Proven(key=pair.key, measures=measures, error="")


def _at_a_glance(pair: messages.PairToProve, gallery: PairPictures) -> Measures | None:
    """The measures of what is kept of both photos, where they say for sure that nothing moves; else None."""
    if pair.may.on_files_at_once:
        return None
    a, b = _both(pair, gallery.glance)
    if a is None or b is None:
        return None
    measures = _measured(a, b)
    return measures if plainly_apart(measures, pair.may) else None


def _looked_at(pair: messages.PairToProve, gallery: PairPictures) -> Measures:
    """The measures of both files, decoded."""
    measures = _measured(*_both(pair, lambda path, content: gallery.picture(path, content, SIDE)))
    copy, burst = worth_a_closer_look(measures), pair.may.burst and alike_as_a_burst(measures)
    if copy or burst:
        measures = _looked_at_closely(pair, gallery, measures, copy=copy, burst=burst)
    return measures


def _looked_at_closely(
    pair: messages.PairToProve, gallery: PairPictures, measures: Measures, *, copy: bool, burst: bool
) -> Measures:
    one, two = _both(pair, lambda path, content: gallery.picture(path, content, FINE_SIDE))
    look = align.CloseLook(one, two, measures)
    if copy:
        measures = look.fine(measures, *_both(pair, gallery.whole))
    if burst and not copy_or_bracket(measures, pair.may):
        measures = look.writing(measures)
    if may_hide_a_change(measures, pair.may):
        measures = look.islands(measures, *_both(pair, gallery.large))
    return measures


def _measured(a: align.Prepared, b: align.Prepared) -> Measures:
    """A moving picture or a document of pages counts as not aligned: its first frame proves nothing about the
    rest."""
    if a.several or b.several:
        return Measures(holds_a=a.holding, holds_b=b.holding)
    return align.measure(a, b)


def _both(pair: messages.PairToProve, read: Callable[[str, str], T]) -> tuple[T, T]:
    a, b = os.fsdecode(pair.path_a), os.fsdecode(pair.path_b)
    return read(a, pair.a), read(b, pair.b)
