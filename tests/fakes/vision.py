"""An in-memory twin of the Vision port, for pseudo-photos whose bytes say what they show.

`pseudo_photo(scene, exposure, …)` makes the bytes of such a file. Two of one exposure are copies, two of one
scene resemble each other, any others do not. Files of any other kind are unreadable, as for the real eyes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from dedupd.core.descriptions import Description
from dedupd.core.formats import decodable
from dedupd.core.media import HEAD, kind_of, traits_of
from dedupd.core.photo import IN_THE_CLOUD, Candidate, FileStat, Measures, Traits, Unreadable
from dedupd.core.relations import alike_as_a_burst, copy_or_bracket, worth_a_closer_look
from dedupd.core.xmp import from_xmp
from dedupd.ports import FileRequest, Ingested, Proof, ProofRequest, Proposal, Vision, VisionStatus

_MAGIC = b"pseudo-photo\n"
COPY = Measures(
    method="identity",
    inliers=200,
    overlap_a=1.0,
    overlap_b=1.0,
    ncc=0.999,
    mean=0.4,
    worst=2.0,
    band_ncc=0.97,
    band_std=12.0,
    extra={"local": 0.95, "fine_ncc": 0.9, "tone": 0.02, "flow50": 0.05},
)
_SAME_SCENE = replace(
    COPY, method="orb", inliers=60, ncc=0.8, mean=6.0, worst=45.0, band_ncc=0.4, extra={"local": 0.2}
)


def pseudo_photo(scene: str, exposure: str = "1", rendering: str = "original", **traits: Any) -> bytes:
    """Bytes of a file that shows `exposure` of `scene`; `rendering` makes other bytes of the same exposure.

    `said`: what it says of itself, fields of a Description.
    """
    said = traits.pop("said", None)
    shown = {"scene": scene, "exposure": exposure, "rendering": rendering, "traits": traits}
    if said is not None:
        shown["said"] = said
    return _MAGIC + json.dumps(shown, sort_keys=True).encode()


class FakeVision(Vision):
    """Sees pseudo-photos. `poison` names files that would crash a worker; `measures` overrides proofs by pair."""

    sees_here = ""

    def __init__(self, model: str = "fake/1", recipe: str = "fake") -> None:
        self.model = model
        self.recipe = recipe
        self.index: dict[str, dict[str, Any]] = {}
        self.poison: set[str] = set()
        self.clouds: set[str] = set()
        """Names whose bytes are in the cloud only."""
        self.measures: dict[frozenset[str], Measures] = {}
        self.unreadable: set[str] = set()
        """Contents that cannot be read for a proof now."""
        self.installed = ""
        """Libraries of extras: with any, RAW is a picture for a worker that started since."""
        self._started_with: str | None = None
        """The extras that were there when the worker started; None: it does not run."""
        self.trusted: set[int] = set()
        self.looked: list[int] = []
        """Keys in the order they were answered, for tests that count work."""
        self.at_once = 1000
        """Contents that one part of a proposal answers."""
        self.proved: list[tuple[str, str]] = []
        """Pairs in the order they were measured."""

    def trust(self, devices: Iterable[int]) -> None:
        self.trusted = set(devices)

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        for request in requests:
            self.looked.append(request.key)
            yield self._look(request)

    def _look(self, request: FileRequest) -> Ingested:
        if self._started_with is None:
            self._started_with = self.installed
        if os.path.basename(request.path) in self.poison:
            return Ingested(key=request.key, result=Unreadable(reason="crashed (SIGSEGV) on it twice"))
        if os.path.basename(request.path) in self.clouds and request.stat.dev not in self.trusted:
            return Ingested(key=request.key, result=Unreadable(reason=IN_THE_CLOUD, retry=True))
        try:
            data = _read(request.path, request.stat)
        except OSError:
            return Ingested(key=request.key, result=Unreadable(reason="no longer there", retry=True))
        if data is None:
            reason = Unreadable(reason="changed while being read", retry=True)
            return Ingested(key=request.key, result=reason)
        content = blake3(data).hexdigest()
        if content in self.index:
            return Ingested(key=request.key, result=self._traits(content), decoded=False)
        if kind := kind_of(data[:HEAD], request.path):
            if self._started_with and decodable(kind):
                self.index[content] = {"scene": content, "exposure": "1", "traits": {"format": "RAW"}}
                return Ingested(key=request.key, result=self._traits(content))
            return Ingested(key=request.key, result=traits_of(content, kind), decoded=False)
        if not data.startswith(_MAGIC):
            return Ingested(
                key=request.key, result=Unreadable(reason="not a picture dedupd reads", content=content)
            )
        self.index[content] = json.loads(data.removeprefix(_MAGIC))
        return Ingested(key=request.key, result=self._traits(content))

    def _traits(self, content: str) -> Traits:
        shown = self.index[content]
        usual: dict[str, Any] = {
            "format": "JPEG",
            "width": 4000,
            "height": 3000,
            "sharpness": 100.0,
            "texture": 12.0,
            "simhash": blake3(shown["scene"].encode()).hexdigest()[:32] if self.model else "",
        }
        picture = blake3(f"{shown['scene']}/{shown['exposure']}".encode()).digest()
        hashes = {"phash": int.from_bytes(picture[:8], "big"), "dhash": int.from_bytes(picture[8:16], "big")}
        return Traits(
            content=content, recipe=self.recipe, model=self.model, **(usual | hashes | shown["traits"])
        )

    def propose(
        self,
        fresh: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
        sizes: Sequence[int] = (),
    ) -> Iterator[Proposal]:
        numbers = [number for number, size in enumerate(sizes) for _ in range(size)]
        months = dict(zip(among or (), numbers, strict=False))
        pairs = [p for p in self._pairs(fresh, among) if months.get(p.a) == months.get(p.b)]
        for start in range(0, len(fresh), self.at_once):
            part = list(fresh[start : start + self.at_once])
            mine = [p for p in pairs if p.a in part or p.b in part]
            yield Proposal(fresh=part, pairs=mine, cut=[])

    def candidates(
        self,
        contents: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
    ) -> Iterator[list[Candidate]]:
        yield self._pairs(contents, among)

    def _pairs(self, fresh: Sequence[str], among: Sequence[str] | None) -> list[Candidate]:
        others = list(self.index) if among is None else [each for each in among if each in self.index]
        pairs = {
            (min(one, other), max(one, other))
            for one in fresh
            for other in others
            if one in self.index and one != other
        }
        return [candidate for a, b in sorted(pairs) if (candidate := self._candidate(a, b)) is not None]

    def _candidate(self, a: str, b: str) -> Candidate | None:
        one, other = self.index[a], self.index[b]
        if one["scene"] != other["scene"]:
            return None
        same = one["exposure"] == other["exposure"]
        cosine = 0.98 if same else 0.88
        return Candidate(a=a, b=b, cosine=cosine if self.model else None, hash_distance=0 if same else 18)

    def copies(self, requests: Sequence[FileRequest]) -> Iterator[list[float]]:
        for request in requests:
            yield [] if _read(request.path, request.stat) is None else [0.8, 0.9, 0.95]

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        return [self._cosine(a, b) for a, b in pairs]

    def _cosine(self, a: str, b: str) -> float | None:
        if not self.model or a not in self.index or b not in self.index:
            return None
        found = self._candidate(a, b)
        # Strangers lie about 0.3, each pair where its contents put it.
        return found.cosine if found else 0.2 + 0.2 * (int(a[:4] + b[:4], 16) % 1000) / 1000

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        for request in requests:
            self.proved.append((request.a, request.b))
            a, b = self._found(request.path_a, request.a), self._found(request.path_b, request.b)
            if a is None or b is None:
                yield Proof(a=request.a, b=request.b, measures=None, error="changed since it was looked at")
                continue
            usual = COPY if a["exposure"] == b["exposure"] else _SAME_SCENE
            if a["scene"] != b["scene"]:
                usual = Measures()
            measures = self.measures.get(frozenset((request.a, request.b)), usual)
            if worth_a_closer_look(measures):
                measures = replace(measures, fine_worst=measures.worst)
            burst = request.may.burst and alike_as_a_burst(measures)
            if burst and not copy_or_bracket(measures, request.may):
                measures = replace(measures, extra={"written": 0.0, "island": 0.0, **(measures.extra or {})})
            yield Proof(a=request.a, b=request.b, measures=measures)

    def _found(self, path: str, content: str) -> dict[str, Any] | None:
        if content in self.unreadable:
            return None
        try:
            with open(path, "rb") as file:
                return self.index.get(content) if blake3(file.read()).hexdigest() == content else None
        except OSError:
            return None

    def missing(self, contents: Sequence[str]) -> list[str]:
        return [content for content in contents if content not in self.index]

    def thumbnails(self, requests: Sequence[tuple[str, str]], side: int = 512) -> dict[str, Path]:
        return {content: Path(path) for path, content in requests if self._found(path, content) is not None}

    def describe(self, requests: Sequence[FileRequest]) -> dict[int, Description]:
        return {request.key: self._said(request) for request in requests}

    def _said(self, request: FileRequest) -> Description:
        try:
            data = _read(request.path, request.stat) or b""
        except OSError:
            return Description()
        if request.path.endswith(".xmp"):
            return from_xmp(data)
        said = json.loads(data.removeprefix(_MAGIC)).get("said", {}) if data.startswith(_MAGIC) else {}
        return Description(**{name: tuple(v) if isinstance(v, list) else v for name, v in said.items()})

    def forget(self, gone: Callable[[Sequence[str]], Sequence[str]]) -> int:
        lost = gone(sorted(self.index))
        for content in lost:
            del self.index[content]
        return len(lost)

    def status(self) -> VisionStatus:
        return VisionStatus(model=self.model, recipe=self.recipe, calibrated=True, note="")

    def extras(self) -> str:
        if self._started_with != self.installed:
            self.rest()
        return self.installed

    def rest(self) -> None:
        self._started_with = None


def _read(path: str, expected: FileStat) -> bytes | None:
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        same = (found.st_size, found.st_mtime_ns, found.st_ino) == (
            expected.size,
            expected.mtime_ns,
            expected.ino,
        )
        return file.read() if same else None
