"""What was made of the whole index takes in rows that were added since: it answers as one that is made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupd.adapters.index import heads, lance
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.vision.candidates import across_library, found_before, search, whole_index
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures
from dedupd.adapters.vision.candidates.whole_index import WholeIndex
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

DIMENSIONS = 64
BAR = 0.8


def content(number: int) -> str:
    return f"{number * 2654435761 % (1 << 32):08x}".rjust(64, "5")


def rows(numbers: list[int], rng: np.random.Generator) -> list[PhotoRow]:
    """Of each family some photos; other vectors, hashes and clocks each time."""
    made: list[PhotoRow] = []
    for number in numbers:
        family = np.random.default_rng(number % 7)
        vector = family.standard_normal(DIMENSIONS) + rng.uniform(0.1, 0.9) * rng.standard_normal(DIMENSIONS)
        hashes = family.integers(0, np.iinfo(np.uint64).max, 8, dtype=np.uint64)
        hashes ^= np.uint64(int(rng.integers(0, 1 << int(rng.integers(1, 40)))))
        clock = None if rng.random() < 0.4 else float(rng.integers(0, 4) * 40)
        traits = Traits(
            content=content(number), recipe="1", model="m", format="JPEG", width=4, height=3, phash=int(hashes[0]),
            dhash=0, captured=clock,
        )  # fmt: skip
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        made.append(PhotoRow(traits=traits, phashes=hashes, vector=vector))
    return made


def unseen(contents: Any) -> GreyPictures:
    count = len(contents)
    return GreyPictures(pixels=np.zeros((count, SIDE, SIDE), np.uint8), shapes=np.zeros(count, np.float32))


def answers(index: PhotoIndex, insides: PhotoIndex, fresh: list[str], bar: float | None) -> list[Any]:
    asked = search.Search(fresh=fresh, among=None, bar=bar)
    found = search.propose(index, insides, unseen, asked)
    return [sorted(found.pairs, key=lambda pair: (pair.a, pair.b)), found.left, found.cut]


def all_that_is_known(whole: WholeIndex) -> list[Any]:
    assert whole._heads is not None
    directions, found = whole._heads
    return [
        whole.ids, whole.phashes, np.nan_to_num(whole.captured, nan=-1), whole.contents(np.arange(len(whole))),
        whole.places([name.decode() for name in whole.contents(np.arange(len(whole)))]), whole.places_of(whole.ids),
        whole._by_clock, whole._times, whole._undated, directions.steps, found.where(slice(None)).columns(),
    ]  # fmt: skip


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each of them had that was made anew."""
    made: list[int] = []
    usual = WholeIndex.__init__

    def counted(self: WholeIndex, index: PhotoIndex) -> None:
        usual(self, index)
        made.append(len(self))

    monkeypatch.setattr(WholeIndex, "__init__", counted)
    return made


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_whatever_was_added_removed_and_written_anew_it_answers_as_one_made_anew(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("grown")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HEAD", 24)
        patch.setattr(heads, "FIRST", 9)
        patch.setattr(heads, "_SAMPLE", 20)
        patch.setattr(heads, "_FEW", data.draw(st.sampled_from([1, 1000])))
        patch.setattr(lance, "_MOST_MORE", data.draw(st.sampled_from([12, 1000])))
        patch.setattr(whole_index, "_ROOM", 1)
        patch.setattr(whole_index, "_TIMES", data.draw(st.sampled_from([0, 3])))
        patch.setattr(whole_index, "_A_FEW", data.draw(st.sampled_from([0, 30])))
        patch.setattr(whole_index, "_MOST_BESIDE", data.draw(st.sampled_from([0, 5, 1000])))
        patch.setattr(whole_index, "FEW", 2)
        patch.setattr(whole_index, "MANY", data.draw(st.sampled_from([0, 1_000_000])))
        patch.setattr(across_library, "_WORTH_KEEPING", 2)
        patch.setattr(found_before, "_WORTH", 100)
        index, insides = (PhotoIndex(folder, name, "1", lambda: DIMENSIONS) for name in ("m", "inside"))
        held: list[int] = []
        for _ in range(data.draw(st.integers(2, 7))):
            act = data.draw(st.sampled_from(["add", "add", "add", "remove", "replace", "compact"]))
            free = [number for number in range(90) if number not in held]
            some = list(data.draw(st.lists(st.sampled_from(free), unique=True, min_size=1, max_size=20)))
            if act in ("remove", "replace") and held:
                some = list(data.draw(st.lists(st.sampled_from(held), unique=True, min_size=1, max_size=9)))
                index.remove([content(number) for number in some])
                held = [number for number in held if number not in some]
            if act == "compact":
                index._compact(len(index))
                index._changed()
            elif act != "remove":
                index.add(rows(some, rng))
                insides.add([row for row in rows(some, rng) if row.traits.phash % 3 == 0])
                held += some
            if not held or data.draw(st.booleans()):
                continue
            for bar in (BAR, None):
                fresh = [
                    content(number) for number in data.draw(st.lists(st.sampled_from(held), unique=True))
                ]
                told = answers(index, insides, fresh, bar)
                again = index.made(WholeIndex)
                anew = WholeIndex(index)
                known = zip(all_that_is_known(again), all_that_is_known(anew), strict=True)
                assert all(np.array_equal(one, other) for one, other in known)
                patch.setattr(index, "_made", (WholeIndex, anew))
                assert answers(index, insides, fresh, bar) == told
                patch.setattr(index, "_made", (WholeIndex, again))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotoIndex:
    monkeypatch.setattr(heads, "_SAMPLE", 20)
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    index.add(rows(list(range(90)), np.random.default_rng(0)))
    index.made(WholeIndex)
    return index


@pytest.mark.parametrize("bar", [BAR, None])
@pytest.mark.parametrize("tables", [True, False])
def test_one_more_photo_is_taken_in_and_found(
    index: PhotoIndex, made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bar: float | None, *, tables: bool
) -> None:  # fmt: skip
    monkeypatch.setattr(whole_index, "FEW", 1)
    monkeypatch.setattr(whole_index, "MANY", 0 if tables else 1_000_000)
    monkeypatch.setattr(whole_index, "_TIMES", 0)
    insides = PhotoIndex(tmp_path, "inside", "1", lambda: 0)
    for number in range(8):  # tables and first coordinates are made
        answers(index, insides, [content(number)], bar)
    twins = rows([90, 91], np.random.default_rng(1))
    twins = [replace(row, traits=replace(row.traits, captured=None)) for row in twins]
    again = [
        replace(
            row, traits=replace(row.traits, content=content(92 + at)), phashes=~row.phashes if bar else row.phashes
        )
        for at, row in enumerate(twins)
    ]  # fmt: skip
    index.add(twins)
    index.add(again)
    pairs = answers(index, insides, [content(90)], bar)[0]
    assert {content(90), content(92)} in [{pair.a, pair.b} for pair in pairs]
    assert made == [0], "of what is inside margins, where there is none"
    whole = WholeIndex(index)
    assert len(whole) == 94
    index._made = (WholeIndex, whole)
    assert answers(index, insides, [content(90)], bar)[0] == pairs


def too_many(index: PhotoIndex) -> None:
    index.add(rows(list(range(100, 106)), np.random.default_rng(1)))


def removed(index: PhotoIndex) -> None:
    index.add(rows([100], np.random.default_rng(1)))
    index.remove([content(3)])


def compacted(index: PhotoIndex) -> None:
    index._compacted, index._commits = 10, lance._MOST_COMMITS
    index.add(rows([100], np.random.default_rng(1)))


def heads_written_anew(index: PhotoIndex) -> None:
    index.remove([content(3)])
    index.made(WholeIndex)
    index.add(rows([3], np.random.default_rng(1)))  # what is kept of its old vector goes


@pytest.mark.parametrize("act", [too_many, removed, compacted, heads_written_anew])
def test_when_more_has_changed_it_is_made_anew(
    index: PhotoIndex, made: list[int], act: Callable[[PhotoIndex], None]
) -> None:
    act(index)
    whole = index.made(WholeIndex)
    assert len(made) == 1 + (act is heads_written_anew)
    expected = all_that_is_known(WholeIndex(index))
    assert all(np.array_equal(o, e) for o, e in zip(all_that_is_known(whole), expected, strict=True))


def test_no_half_of_it_is_used_after_an_error(
    index: PhotoIndex, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(rows([100], np.random.default_rng(1)))

    def fails(*asked: Any) -> NDArray[Any]:
        raise VisionError("damaged")

    with monkeypatch.context() as patch:
        patch.setattr(index, "vectors_by_id", fails)
        with pytest.raises(VisionError, match="damaged"):
            index.made(WholeIndex)
    assert len(index.made(WholeIndex)) == 91
    assert made == [91]
