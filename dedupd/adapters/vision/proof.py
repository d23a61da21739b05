"""Proves pairs: reads both pictures from the given paths and aligns them.

Owns the reading; align.py owns the measuring. Must never measure other bytes than those it was asked about.
Worker process only.
"""

from __future__ import annotations

import os
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock

from dedupd.adapters.vision import align, messages
from dedupd.adapters.vision.decode import Picture, Refused, area_resize, content_of, decode, opened
from dedupd.adapters.vision.metadata import says
from dedupd.adapters.vision.pixels import pixels_of
from dedupd.adapters.vision.profiles import beyond_srgb, in_srgb
from dedupd.core.photo import Measures
from dedupd.core.relations import alike_as_a_burst, worth_a_closer_look

SIDE = 400
FINE_SIDE = 1200
_CACHE_BYTES = {SIDE: 64 << 20, FINE_SIDE: 96 << 20}
"""Bytes of the cache for each size: one large picture takes as much as twenty small ones."""


class PairPictures:
    """Recently read pictures with their features, so that each is read once for all its pairs. Thread-safe."""

    def __init__(self) -> None:
        self._shelves = {side: _RecentPictures(most) for side, most in _CACHE_BYTES.items()}

    def picture(self, path: str, content: str, side: int) -> align.Prepared:
        """The picture with `content`, read at `path`. Raises Refused, also when the file has other content
        now."""
        return self._shelves[side].get(content, lambda: _prepared(path, content, side))


class _RecentPictures:
    """Pictures of one size; the least recently used one is dropped first. A caller waits for one that is
    being read."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._lock = Lock()
        self._pictures: OrderedDict[str, Future[align.Prepared]] = OrderedDict()

    def get(self, content: str, read: Callable[[], align.Prepared]) -> align.Prepared:
        mine: Future[align.Prepared] = Future()
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

    def _make_room(self, picture: align.Prepared) -> None:
        with self._lock:
            self._bytes += _cost(picture)
            for content, other in list(self._pictures.items())[:-1]:
                if self._bytes <= self._most:
                    break
                if other.done() and other.exception() is None:
                    self._bytes -= _cost(self._pictures.pop(content).result())


def _prepared(path: str, content: str, side: int) -> align.Prepared:
    # What the file holds is read once, at the first look.
    whole = read_picture(path, content, 2 * side, holds=side == SIDE)
    pixels = pixels_of(whole.image)
    small = area_resize(pixels, side)
    grey = None if side < FINE_SIDE or small is pixels else align.grey_of(pixels)
    # Done here and not where photos are indexed: hashes and vectors hardly change, and every library would be
    # read again.
    holding = whole.holding
    if side == SIDE:
        holding = replace(holding, beyond_srgb=beyond_srgb(small, whole.profile))
    return align.Prepared(in_srgb(small, whole.profile), holding, grey, several=whole.several)


def _cost(picture: align.Prepared) -> int:
    # Pixels and what comparisons share of them (eight times their grey copy), and about 900 features of 32
    # bytes, twice.
    return picture.rgb.nbytes * 11 // 3 + picture.whole.nbytes + 100_000


def read_picture(path: str, content: str, long_side: int, *, holds: bool = False) -> Picture:
    """The picture at `path`, decoded, once its bytes are known to be `content`. Raises Refused. `holds`: as `decode`."""
    with opened(path) as file:
        if content_of(file) != content:
            raise Refused("changed since it was looked at", retry=True)
        picture = decode(file, path, long_side=long_side, holds=holds)
        return replace(picture, holding=replace(picture.holding, says=says(file))) if holds else picture


def prove(pair: messages.PairToProve, gallery: PairPictures) -> messages.Proven:
    """Measure one pair; when a file cannot be read, the answer has an error instead of measures."""
    try:
        measures = _measured(*_both(pair, gallery, SIDE))
        if worth_a_closer_look(measures):
            measures = align.measure_fine(*_both(pair, gallery, FINE_SIDE), measures)
        if pair.burst and alike_as_a_burst(measures):
            measures = align.measure_writing(*_both(pair, gallery, FINE_SIDE), measures)
    except Refused as refused:
        return messages.Proven(key=pair.key, measures=None, error=refused.reason)
    except Exception as error:  # noqa: BLE001
        # One odd pair must not keep the others from being measured.
        traceback.print_exc()
        return messages.Proven(key=pair.key, measures=None, error=f"could not be measured ({error})"[:200])
    return messages.Proven(key=pair.key, measures=measures, error="")


def _measured(a: align.Prepared, b: align.Prepared) -> Measures:
    """A moving picture or a document of pages counts as not aligned: its first frame proves nothing about the
    rest."""
    if a.several or b.several:
        return Measures(holds_a=a.holding, holds_b=b.holding)
    return align.measure(a, b)


def _both(
    pair: messages.PairToProve, gallery: PairPictures, side: int
) -> tuple[align.Prepared, align.Prepared]:
    a, b = os.fsdecode(pair.path_a), os.fsdecode(pair.path_b)
    return gallery.picture(a, pair.a, side), gallery.picture(b, pair.b, side)
