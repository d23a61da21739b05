"""Files with the small grey pictures of the index: stored when a photo is read, or when a pair of an older
row is measured.

Owns where they are. A content without one is never rejected by the coarse test, so none need be made in
advance. Worker process only.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.record_file import RecordFile
from dedupd.adapters.index.recovery import folder_name
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures, small_picture
from dedupd.core.photo import Traits

if TYPE_CHECKING:
    from dedupd.adapters.vision import messages
    from dedupd.adapters.vision.proof import PairPictures

SMALL = "small-1"
"""Name and version of these pictures: other versions are never mixed in."""


class SmallFiles:
    """Small pictures by content. Never raises when a disk is full or read-only: then a pair costs a proof."""

    def __init__(self, index_dir: Path, recipe: str) -> None:
        path = index_dir.absolute() / folder_name(SMALL, recipe) / "pictures.bin"
        self._file = RecordFile(path, [("shape", "<f4"), ("pixels", "u1", (SIDE, SIDE))])

    def of(self, contents: Sequence[str]) -> GreyPictures:
        """The small pictures of contents, in order."""
        try:
            records, _ = self._file.get(contents)
        except OSError as error:
            _note("read", error)
            records = np.zeros(len(contents), self._file.dtype)
        return GreyPictures(pixels=records["pixels"], shapes=records["shape"])

    def add(self, seen: Sequence[tuple[Traits, NDArray[np.uint8]]]) -> None:
        """Keep the small pictures of photos that were read."""
        shapes = [traits.width / traits.height for traits, _ in seen]
        self.keep([traits.content for traits, _ in seen], shapes, [pixels for _, pixels in seen])

    def remove(self, contents: Iterable[str]) -> None:
        """Remove those of contents that are gone. One that stays wastes a kilobyte."""
        try:
            self._file.remove(contents)
        except OSError as error:
            _note("removed", error)

    def of_proofs(self, gallery: PairPictures, pairs: Sequence[messages.PairToProve]) -> FromProofs:
        """Collects the missing small pictures of these pairs while they are measured."""
        contents = sorted({content for pair in pairs for content in (pair.a, pair.b)})
        try:
            lacking = set(self._file.lacks(contents))
        except OSError as error:
            _note("read", error)
            lacking = set[str]()
        return FromProofs(self, gallery, lacking)

    def keep(
        self, contents: Sequence[str], shapes: Sequence[float], pixels: Sequence[NDArray[np.uint8]]
    ) -> None:
        """Keep these small pictures, each with the shape of its whole."""
        if not contents:
            return
        try:
            self._file.add(contents, shape=np.array(shapes, np.float32), pixels=np.stack(pixels))
        except OSError as error:
            _note("kept", error)


def _note(what: str, error: OSError) -> None:
    print(f"small pictures not {what}: {error}", file=sys.stderr, flush=True)


class FromProofs:
    """Makes the small pictures of rows that an older dedupd wrote, from pairs that are measured now."""

    def __init__(self, files: SmallFiles, gallery: PairPictures, lacking: set[str]) -> None:
        self._files, self._gallery, self._lacking = files, gallery, lacking
        self._made: dict[str, tuple[float, NDArray[np.uint8]]] = {}

    def remember(self, pair: messages.PairToProve) -> None:
        """Make those of this pair, from the pictures that its measuring has just read. Called from several
        threads."""
        from dedupd.adapters.vision.decode import Refused
        from dedupd.adapters.vision.kept_looks import SIDE as LOOK

        for content, path in ((pair.a, pair.path_a), (pair.b, pair.path_b)):
            if content not in self._lacking or content in self._made:
                continue
            try:
                decoded = pair.may.on_files_at_once
                picture = None if decoded else self._gallery.glance(os.fsdecode(path), content)
                picture = picture or self._gallery.picture(os.fsdecode(path), content, LOOK)
                self._made[content] = picture.width / picture.height, small_picture(picture.rgb)
            except Refused:
                continue
            except Exception:  # noqa: BLE001
                # The pair is answered already: nobody would learn which photo ended the process.
                traceback.print_exc()

    def store(self) -> None:
        """Store what was made."""
        contents = sorted(self._made)
        shapes, pixels = [self._made[c][0] for c in contents], [self._made[c][1] for c in contents]
        self._files.keep(contents, shapes, pixels)
