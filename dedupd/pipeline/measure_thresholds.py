"""Measures the thresholds of a model on the library, and says which thresholds are in force.

Must never change a group: it only measures, and records the result with its samples. The sample is
chosen by content, so that the same library gives the same numbers.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from dedupd.core.photo import Measures, Traits
from dedupd.core.relations import Prospect, Thresholds, thresholds_for
from dedupd.core.thresholds import (
    NEIGHBOUR_SECONDS,
    NEIGHBOURS,
    SAMPLE,
    OwnThresholds,
    derive,
    framed_alike,
    shipped,
)
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, FileRequest, Progress, ProofRequest, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_AT_ONCE = 8
_STRANGER_SECONDS = 86_400.0
_STRANGER_BITS = 16
"""Perceptual hashes of unrelated photos differ in 32 of 64 bits, give or take 4."""
Pair = tuple[str, str]


def own_thresholds(ledger: Ledger, model: str) -> OwnThresholds | None:
    """What this model measured on this library."""
    text = ledger.get(_key(model))
    return OwnThresholds.from_json(text) if text else None


def bars_in_force(ledger: Ledger, model: str, similar: float | None = None) -> Thresholds:
    """The thresholds in force: shipped ones, else those measured here, else none (it only proposes); with a person's `similar` bar."""
    own = None if shipped(model) else own_thresholds(ledger, model)
    if own is None:
        return thresholds_for(model, similar)
    return own.bars if similar is None else replace(own.bars, similar=similar)


def copy_thresholds(source: Ledger, target: Ledger, model: str) -> None:
    """Copy the thresholds that this model measured on one library to another."""
    if text := source.get(_key(model)):
        target.put(_key(model), text)


def _key(model: str) -> str:
    return f"thresholds {model}"


class ThresholdMeasurement:
    """The measurement of one model. Call `advance` until it returns thresholds."""

    def __init__(self, ledger: Ledger, vision: Vision, clock: Clock) -> None:
        self._ledger, self._vision, self._clock = ledger, vision, clock
        self.model = vision.status().model
        self._sample: list[str] | None = None
        self._copied = 0
        self._copies: list[float] = []

    def advance(self, on_progress: Progress, stop: Stop = never) -> OwnThresholds | None:
        """Go on measuring. Returns the thresholds at the end (recorded, unless dedupd ships some); None: stopped.

        Raises NotCalibrated when the library is too small, or the model tells nothing apart.
        """
        if self._sample is None:
            self._sample = self._choose()
        while self._copied < len(self._sample):
            if stop():
                return None
            chunk = self._sample[self._copied : self._copied + _AT_ONCE]
            for cosines in self._vision.copies(self._requests(chunk)):
                self._copies += cosines
            self._copied += len(chunk)
            on_progress("calibrate", self._copied, len(self._sample))
        found = derive(
            self.model, len(self._sample), self._copies, self._strangers(self._sample), self._neighbours(),
            self._clock.now(),
        )  # fmt: skip
        if not shipped(self.model):
            self._ledger.put(_key(self.model), found.to_json())
        return found

    # ---- the sample

    def _choose(self) -> list[str]:
        """The sample: contents are hashes, so the first ones in order are random, and the same each time."""
        sample: list[str] = []
        for chunk in self._ledger.contents.live_pages(SAMPLE):
            lacking = set(self._vision.missing(chunk))
            sample += [c for c in chunk if c not in lacking and self._request(c) is not None]
            if len(sample) >= SAMPLE:
                break
        return sample[:SAMPLE]

    def _request(self, content: str) -> FileRequest | None:
        online = {r.id: r.path for r in self._ledger.roots.all() if r.online}
        for file in self._ledger.files.decoded_with_content(content):
            if file.root in online:
                return FileRequest(
                    key=file.id, path=os.path.join(online[file.root], file.path), stat=file.stat
                )
        return None

    def _requests(self, contents: Sequence[str]) -> list[FileRequest]:
        return [r for c in contents if (r := self._request(c)) is not None]

    # ---- pairs

    def _strangers(self, sample: Sequence[str]) -> list[float]:
        traits = self._ledger.contents.traits(sample)
        known = [traits[c] for c in sample if c in traits]
        pairs = [(a.content, b.content) for i, a in enumerate(known) for b in known[:i] if _strange(a, b)]
        return self._cosines(pairs)

    def _neighbours(self) -> list[float]:
        shots = sorted(self._dated())
        near = [
            (min(a, b), max(a, b))
            for (camera, earlier, a), (other, later, b) in pairwise(shots)
            if camera == other and later - earlier <= NEIGHBOUR_SECONDS and a != b
        ]
        near = sorted(near)[:NEIGHBOURS]
        return self._cosines([pair for pair, m in self._measured(near) if framed_alike(m)])

    def _dated(self) -> Iterator[tuple[str, float, str]]:
        for page in self._ledger.contents.live_pages():
            for content, traits in self._ledger.contents.traits(page).items():
                if traits.captured is not None and traits.camera:
                    yield traits.camera, traits.captured, content

    def _measured(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Measures]]:
        unknown: list[ProofRequest] = []
        for a, b in pairs:
            known = self._ledger.pairs.measures(a, b)
            one, other = self._request(a), self._request(b)
            if known is not None:
                yield (a, b), known
            elif one is not None and other is not None:
                unknown.append(
                    ProofRequest(a=a, b=b, path_a=one.path, path_b=other.path, may=Prospect(moment=True))
                )
        for proof in self._vision.prove(unknown):
            if proof.measures is not None:
                yield (proof.a, proof.b), proof.measures

    def _cosines(self, pairs: Sequence[Pair]) -> list[float]:
        return [cosine for cosine in self._vision.cosines(pairs) if cosine is not None]


def _strange(a: Traits, b: Traits) -> bool:
    """Whether the two are strangers: other hashes, another day."""
    if a.captured is not None and b.captured is not None and abs(a.captured - b.captured) < _STRANGER_SECONDS:
        return False
    return (a.phash ^ b.phash).bit_count() > _STRANGER_BITS and (
        a.dhash ^ b.dhash
    ).bit_count() > _STRANGER_BITS
