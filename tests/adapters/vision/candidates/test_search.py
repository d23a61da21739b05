"""Which pairs are proposed: all within the bars, none beyond, the same from every side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupd.adapters.index import heads
from dedupd.adapters.index.content_set import ContentSet, packed_ids
from dedupd.adapters.index.known_pairs import KnownPairs, _About
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.stores.backfill_records import NEAR
from dedupd.adapters.vision.candidates import (
    across_library,
    coarse,
    cosines,
    found_before,
    inside_margins,
    nearest,
    search,
    small_tests,
    whole_index,
    within_month,
)
from dedupd.adapters.vision.candidates import (
    answer as telling,
)
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures
from dedupd.adapters.vision.candidates.hash_join import hash_distances
from dedupd.adapters.vision.candidates.pairs import Pairs
from dedupd.adapters.vision.candidates.whole_index import WholeIndex
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.core.photo import Candidate, Traits
from dedupd.errors import VisionError

DIMENSIONS = 256
BAR = 0.8
ROOMS = (telling, cosines, inside_margins, across_library, within_month, search, small_tests)


def limit(patch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Wherever the search knows this by name."""
    rooms = [room for room in ROOMS if hasattr(room, name)]
    assert rooms
    for room in rooms:
        patch.setattr(room, name, value)


def content(number: int) -> str:
    return f"{number * 2654435761 % (1 << 32):08x}".rjust(64, "5")


def store(
    index: PhotoIndex,
    vectors: NDArray[np.float32] | None,
    phashes: NDArray[np.uint64],
    start: int = 0,
    captured: tuple[float | None, ...] = (),
) -> list[str]:
    rows: list[PhotoRow] = []
    for number, turned in enumerate(phashes):
        traits = Traits(
            content=content(start + number),
            recipe="1",
            model="m",
            format="JPEG",
            width=4,
            height=3,
            phash=int(turned[0]),
            dhash=0,
            captured=captured[number] if captured else None,
        )
        rows.append(
            PhotoRow(traits=traits, phashes=turned, vector=None if vectors is None else vectors[number])
        )
    index.add(rows)
    return [each.traits.content for each in rows]


def empty(folder: Path) -> PhotoIndex:
    """Of a library without a margin anywhere."""
    return PhotoIndex(folder, "inside", "1", lambda: 0)


def found(
    index: PhotoIndex,
    fresh: list[str],
    among: list[str] | None,
    bar: float | None = BAR,
    insides: PhotoIndex | None = None,
) -> list[Candidate]:
    asked = search.Search(fresh=fresh, among=among, bar=bar)
    answer = search.propose(index, insides or empty(index.path.parent), unseen, asked)
    assert (answer.left, answer.cut) == ([], [])
    return sorted(answer.pairs, key=lambda pair: (pair.a, pair.b))


def unseen(contents: Sequence[str]) -> GreyPictures:
    """Of rows that an older dedupd wrote."""
    count = len(contents)
    return GreyPictures(pixels=np.zeros((count, SIDE, SIDE), np.uint8), shapes=np.zeros(count, np.float32))


def far_hashes(count: int, seed: int = 0) -> NDArray[np.uint64]:
    """Random hashes: some 24 bits apart in the nearest orientation."""
    return np.random.default_rng(seed).integers(0, np.iinfo(np.uint64).max, (count, 8), dtype=np.uint64)


def families(count: int, seed: int = 0, each: int = 3) -> NDArray[np.float32]:
    """Unit vectors in families of so many, whose cosines lie on both sides of the bar."""
    rng = np.random.default_rng(seed)
    heads = rng.standard_normal((count // each + 1, DIMENSIONS))
    spread = rng.uniform(0.1, 0.9, (count, 1))
    vectors = np.repeat(heads, each, axis=0)[:count] + spread * rng.standard_normal((count, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=["within", "across"])
def among(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_all_pairs_above_the_bar_and_none_below(tmp_path: Path, among: str) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    vectors = families(120)
    names = store(index, vectors, far_hashes(120))
    # As stored: half precision.
    stored = index.rows(names).vectors
    assert stored is not None
    order = {name: place for place, name in enumerate(index.rows(names).contents)}
    cosines = np.round(stored.astype(np.float64) @ stored.T, 5)
    expected = {
        tuple(sorted(pair))
        for pair in combinations(names, 2)
        if cosines[order[pair[0]], order[pair[1]]] >= BAR
    }
    pairs = found(index, names, names if among == "within" else None)
    assert len(expected) > 20
    assert {(pair.a, pair.b) for pair in pairs} == expected
    assert all(earlier != later for earlier, later in pairwise(pairs))


@pytest.mark.parametrize("fresh_of_each", [4, 99])
def test_months_that_are_searched_at_once_are_told_as_if_each_were_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_of_each: int
) -> None:
    """Photos of one family lie in several months, by vector, by hash and inside margins."""
    limit(monkeypatch, "LOOK_ALIKES", 3)
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    phashes = far_hashes(90)
    phashes[::7] = phashes[0]
    names = store(index, families(90, each=9), phashes)
    framed = far_hashes(90, seed=1)
    framed[::5] = framed[0]
    store(insides, None, framed)
    months = [names[start::4] for start in range(4)]
    asked = [month[:fresh_of_each] for month in months]
    alone = [
        pair
        for fresh, month in zip(asked, months, strict=True)
        for pair in search.propose(
            index, insides, never_alike, search.Search(fresh=fresh, among=month, bar=BAR, spared=BAR)
        ).pairs
    ]
    at_once = search.Search(
        fresh=[name for fresh in asked for name in fresh], among=[name for month in months for name in month],
        bar=BAR, spared=BAR, sizes=[len(month) for month in months],
    )  # fmt: skip
    told = search.propose(index, insides, never_alike, at_once).pairs
    assert {pair.unlike for pair in told} == {False, True}
    assert sorted(told, key=repr) == sorted(alone, key=repr)


def test_a_lower_bar_only_adds_pairs(tmp_path: Path) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    names = store(index, families(60), far_hashes(60))
    strict, loose = found(index, names, names, 0.9), found(index, names, names, 0.7)
    assert len(strict) < len(loose)
    assert set(strict) < set(loose)


@pytest.mark.parametrize(("bits", "near"), [(RADIUS, True), (RADIUS + 1, False)])
@pytest.mark.parametrize("orientation", [0, 3, 7])
def test_hashes_propose_within_the_radius_in_any_orientation(
    tmp_path: Path, among: str, bits: int, orientation: int, *, near: bool
) -> None:
    index = PhotoIndex(tmp_path, "", "1", lambda: 0)
    phashes = far_hashes(2)
    flipped = sum(1 << place for place in range(bits))
    phashes[1, 0] = phashes[0, orientation] ^ np.uint64(flipped)
    names = store(index, None, phashes)
    pairs = found(index, names, names if among == "within" else None, None)
    assert [pair.hash_distance for pair in pairs] == ([bits] if near else [])
    assert all(pair.cosine is None for pair in pairs)


def test_a_pair_near_by_hash_alone_carries_its_exact_cosine(tmp_path: Path, among: str) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    phashes = far_hashes(2)
    phashes[1] = phashes[0]
    vectors = np.zeros((2, DIMENSIONS), np.float32)
    vectors[0, 0] = vectors[1, 1] = 1.0
    names = store(index, vectors, phashes)
    (pair,) = found(index, names, names if among == "within" else None)
    assert (pair.cosine, pair.hash_distance) == (0.0, 0)


@pytest.mark.parametrize("framed", ["one", "other", "both"])
@pytest.mark.parametrize(("bits", "near"), [(RADIUS, True), (RADIUS + 1, False)])
def test_what_margins_surround_proposes_and_the_numbers_stay_those_of_the_whole(
    tmp_path: Path, among: str, framed: str, bits: int, *, near: bool
) -> None:
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    phashes, within = far_hashes(3), far_hashes(3, seed=1)
    vectors = np.eye(3, DIMENSIONS, dtype=np.float32)
    names = store(index, vectors, phashes)
    seen = {"one": within[0], "other": phashes[0], "both": within[0]}[framed].copy()
    seen[0] ^= np.uint64(sum(1 << place for place in range(bits)))
    if framed != "other":
        store(insides, None, within[:1])
    if framed != "one":
        store(insides, None, np.stack([seen]), start=1)
    else:
        phashes = phashes.copy()
        phashes[1] = seen
        index = PhotoIndex(tmp_path / "again", "m", "1", lambda: DIMENSIONS)
        names = store(index, vectors, phashes)
    others = names if among == "within" else None
    pairs = found(index, names, others, insides=insides)
    assert [(pair.a, pair.b) for pair in pairs] == ([tuple(sorted(names[:2]))] if near else [])
    assert all(pair.cosine == 0.0 and pair.hash_distance > RADIUS for pair in pairs)
    assert pairs == found(index, [names[1]], others, insides=insides)


def test_a_pair_near_as_a_whole_and_inside_is_proposed_once(tmp_path: Path, among: str) -> None:
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    phashes = far_hashes(2)
    phashes[1] = phashes[0]
    names = store(index, families(2), phashes)
    store(insides, None, phashes)
    (pair,) = found(index, names, names if among == "within" else None, insides=insides)
    assert pair.hash_distance == 0


def test_what_outlived_its_row_is_no_candidate(tmp_path: Path, among: str) -> None:
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    phashes = far_hashes(2)
    phashes[1] = phashes[0]
    names = store(index, families(2)[:1], phashes[:1])
    store(insides, None, phashes)
    assert found(index, names, names if among == "within" else None, insides=insides) == []


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("clocks", "across"),
    [((100.0, 144.0), True), ((100.0, 146.0), False), ((100.0, None), True), ((None, None), True)],
)
def test_across_months_two_clocks_must_tell_of_one_moment(
    tmp_path: Path, clocks: tuple[float | None, float | None], *, across: bool, inside: bool
) -> None:
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    near, far = np.repeat(far_hashes(1), 2, axis=0), far_hashes(2, seed=1)
    vectors = (
        np.eye(2, DIMENSIONS, dtype=np.float32) if inside else np.full((2, DIMENSIONS), 1 / 16, np.float32)
    )
    names = store(index, vectors, far if inside else near, captured=clocks)
    if inside:
        store(insides, None, near, captured=clocks)
    assert len(found(index, names, None, insides=insides)) == across
    assert len(found(index, names, names, insides=insides)) == 1


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_sides_and_company_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    index = cached_index(tmp_path_factory)
    names = sorted(name for rows in index.scan() for name in rows.contents)
    everything = {(pair.a, pair.b): pair for pair in found(index, names, None)}
    fresh = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=12))
    company = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=40))
    expected = {
        key: pair
        for key, pair in everything.items()
        if (key[0] in fresh and key[1] in company) or (key[1] in fresh and key[0] in company)
    }
    pairs = found(index, fresh, company)
    assert {(pair.a, pair.b): pair for pair in pairs} == expected


_shared: list[PhotoIndex] = []


def cached_index(factory: pytest.TempPathFactory) -> PhotoIndex:
    """One index of sixty photos: families by vector, and every fourth close to the next by hash, seen from one side."""
    if not _shared:
        index = PhotoIndex(factory.mktemp("index"), "m", "1", lambda: DIMENSIONS)
        phashes = far_hashes(60)
        phashes[1::4, 0] = phashes[0::4, 5] ^ np.uint64(0b1011)
        store(index, families(60), phashes)
        _shared.append(index)
    return _shared[0]


def test_blocks_change_nothing(tmp_path: Path, among: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    names = store(index, families(50), far_hashes(50))
    others = names if among == "within" else None
    whole = found(index, names, others)
    limit(monkeypatch, "FRESH_BLOCK", 7)
    limit(monkeypatch, "OTHER_BLOCK", 11)
    assert found(index, names, others) == whole


def in_parts(index: PhotoIndex, fresh: list[str], among: list[str] | None) -> list[search.FoundPairs]:
    """The answers that a client asks for one after another."""
    answers: list[search.FoundPairs] = []
    while fresh:
        asked = search.Search(fresh=fresh, among=among, bar=BAR)
        answers.append(search.propose(index, empty(index.path.parent), unseen, asked))
        assert len(answers[-1].left) < len(fresh)
        fresh = answers[-1].left
    return answers


def every_pair(index: PhotoIndex, fresh: list[str], among: list[str] | None) -> list[Candidate]:
    """All pairs of theirs, page by page."""
    found, after, more = list[Candidate](), "", True
    while more:
        asked = search.Search(fresh=fresh, among=among, bar=BAR, after=after)
        answer = search.propose(index, empty(index.path.parent), unseen, asked)
        assert len(answer.pairs) <= max(telling.AT_ONCE, len(fresh))
        assert answer.after > after or not answer.after
        assert (answer.left, answer.cut) == ([], [])
        found += answer.pairs
        after = answer.after
        more = bool(after)
    return found


@pytest.fixture
def alike(tmp_path: Path) -> tuple[PhotoIndex, list[str]]:
    """Twenty photos of which each resembles every other."""
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    vectors = np.ones((20, DIMENSIONS)) + np.random.default_rng(0).normal(0, 0.2, (20, DIMENSIONS))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return index, store(index, vectors, far_hashes(20))


@pytest.mark.parametrize("gathered", [50, 10_000])
def test_an_answer_in_parts_holds_every_pair(
    alike: tuple[PhotoIndex, list[str]], among: str, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    others = names if among == "within" else None
    limit(monkeypatch, "AT_ONCE", 60)
    limit(monkeypatch, "_MOST_GATHERED", gathered)
    limit(monkeypatch, "OTHER_BLOCK", 9)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    answers = in_parts(index, names, others)
    assert len(answers) > 2
    assert all(len(answer.pairs) <= 60 and not answer.cut for answer in answers)
    assert {(p.a, p.b) for answer in answers for p in answer.pairs} == set(combinations(sorted(names), 2))


@pytest.mark.parametrize("gathered", [50, 10_000])
def test_what_is_cut_of_a_large_family_is_named_and_can_be_asked_for(
    alike: tuple[PhotoIndex, list[str]], among: str, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    others = names if among == "within" else None
    every = set(combinations(sorted(names), 2))
    cosines = {(p.a, p.b): p.cosine or 0.0 for p in found(index, names, others)}
    limit(monkeypatch, "EACH", 7)
    limit(monkeypatch, "_MOST_GATHERED", gathered)
    limit(monkeypatch, "OTHER_BLOCK", 9)
    answers = in_parts(index, names, others)
    told = {(p.a, p.b) for answer in answers for p in answer.pairs}
    cut = {content for answer in answers for content in answer.cut}
    missing = every - told
    assert missing and all(a in cut or b in cut for a, b in missing)
    first = min(names)
    nearest = sorted((pair for pair in every if first in pair), key=lambda pair: -cosines[pair])
    assert {pair for pair in told if first in pair} >= set(nearest[:7])
    limit(monkeypatch, "LOOKED_AT", 3)
    limit(monkeypatch, "IN_MONTH", 3)
    limit(monkeypatch, "AT_ONCE", 7)
    for some in (names[:1], names[1:2], names[3:9], names):
        pages = every_pair(index, some, others)
        assert len(pages) == len({(p.a, p.b) for p in pages})
        assert {(p.a, p.b) for p in pages} == {pair for pair in every if {*pair} & {*some}}


@settings(max_examples=12, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 10_000), most=st.integers(1, 12), by_bound=st.sampled_from([2, 9, 100]),
    held=st.sampled_from([8, 60, 10_000]), month=st.booleans(), at_once=st.sampled_from([9, 40, 90]),
    told_before=st.sampled_from([0, 45]), crowded=st.sampled_from([3, 1000]), dense=st.sampled_from([1, 4, 90]),
    guessed_by=st.sampled_from([7, 1024]),
)  # fmt: skip
def test_of_too_many_look_alikes_the_nearest_are_taken_and_of_whom_more_are_left_is_told(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    seed: int,
    most: int,
    by_bound: int,
    held: int,
    month: bool,
    at_once: int,
    told_before: int,
    crowded: int,
    dense: int,
    guessed_by: int,
) -> None:
    index, phashes, clocks = clocked_index(tmp_path_factory, 30)
    names = [content(number) for number in range(90)]
    rows = index.rows(names)
    assert rows.vectors is not None
    order = {name: place for place, name in enumerate(rows.contents)}
    at = [order[name] for name in names]
    cosines = np.round(rows.vectors.astype(np.float64) @ rows.vectors.T, 5)[np.ix_(at, at)]
    apart = np.abs(np.subtract.outer(clocks, clocks))
    near = hash_distances(phashes, phashes) <= RADIUS
    alike = (near | (cosines >= BAR)) & ~np.eye(90, dtype=bool)
    if not month:
        alike &= ~(apart > ONE_MOMENT_SECONDS)
    nearness = np.where(alike & ~near, cosines + 2 * (apart <= ONE_MOMENT_SECONDS), -np.inf)
    told, cut = set[tuple[str, str]](), set[str]()
    left = [names[int(place)] for place in np.random.default_rng(seed).permutation(90)]
    with pytest.MonkeyPatch.context() as patch:
        limit(patch, "LOOKED_AT", most)
        limit(patch, "IN_MONTH", most)
        limit(patch, "BY_BOUND", by_bound)
        patch.setattr(nearest, "_MOST", held)
        patch.setattr(nearest, "_PART", 7)
        patch.setattr(whole_index, "_TILE", (7, 11))
        patch.setattr(whole_index, "_ROWS", 3)
        limit(patch, "FRESH_BLOCK", 17)
        limit(patch, "OTHER_BLOCK", 11)
        limit(patch, "DENSE", dense)
        limit(patch, "_AT_THE_EDGE", 2)
        limit(patch, "_FIRST_OF_ALL", 5)
        limit(patch, "_WORTH_KEEPING", 2)
        limit(patch, "_CROWDED", crowded)
        limit(patch, "_SAMPLE", guessed_by)
        if told_before:
            patch.setitem(index.__dict__, "near_pairs", by_a_backfill(names, alike, left[:told_before]))
        index.made(WholeIndex).found_before(None)
        while left:
            asked = search.Search(fresh=left[:at_once], among=names if month else None, bar=BAR)
            answer = search.propose(index, empty(index.path.parent), unseen, asked)
            assert len(answer.left) < len(asked.fresh)
            told |= {(pair.a, pair.b) for pair in answer.pairs}
            cut |= set(answer.cut)
            left = [*answer.left, *left[at_once:]]
    number = {name: place for place, name in enumerate(names)}
    every = {tuple(sorted((names[a], names[b]))) for a, b in np.argwhere(alike)}
    assert told <= every
    assert all({a, b} <= cut for a, b in every - told), "one of two says that there is more"
    assert told >= {(a, b) for a, b in every if near[number[a], number[b]]}, "hashes always propose"
    for name in names:
        mine = nearness[number[name]]
        crowd = np.isfinite(mine).sum() > most
        if month or not told_before:
            assert (name in cut) >= crowd
        if by_bound >= 90 or month:  # of those that a backfill told of, as many again may be told
            assert (name in cut) == crowd or (not month and told_before)
            last = np.sort(mine)[-most]
            first = {
                tuple(sorted((name, names[b]))) for b in np.flatnonzero((mine > last + 1e-4) & (mine > 0))
            }
            assert told >= first


def test_in_a_crowd_the_nearest_are_chosen_by_their_vectors_and_not_by_bounds(
    alike: tuple[PhotoIndex, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    cosines = {(p.a, p.b): p.cosine or 0.0 for p in found(index, names, None)}
    limit(monkeypatch, "LOOKED_AT", 3)
    limit(monkeypatch, "BY_BOUND", 1)
    limit(monkeypatch, "_AT_THE_EDGE", 0)
    limit(monkeypatch, "_FIRST_OF_ALL", 2)
    limit(monkeypatch, "_CROWDED", 6)
    index.made(WholeIndex).found_before(None)
    answers, left = list[search.FoundPairs](), names
    while left:
        asked = search.Search(fresh=left, among=None, bar=BAR)
        answers.append(search.propose(index, empty(index.path.parent), unseen, asked))
        left = answers[-1].left
    told = {(pair.a, pair.b) for answer in answers for pair in answer.pairs}
    for name in names:
        theirs = sorted((pair for pair in cosines if name in pair), key=lambda pair: -cosines[pair])
        assert told >= set(theirs[:3])
    assert len(told) < 190 and {*names} == {c for answer in answers for c in answer.cut}
    assert [len(answer.left) for answer in answers] == [14, 8, 2, 0]


@pytest.mark.parametrize("few", [slice(0, 3), slice(0, 20, 7)], ids=["first", "scattered"])
@pytest.mark.parametrize("in_month", [3, 1024])
def test_what_a_backfill_left_is_told_by_those_who_have_room_for_it(
    alike: tuple[PhotoIndex, list[str]], monkeypatch: pytest.MonkeyPatch, in_month: int, few: slice
) -> None:
    index, names = alike
    covered = sorted(names)[few]
    cosines = {(p.a, p.b): p.cosine or 0.0 for p in found(index, names, None)}
    limit(monkeypatch, "LOOKED_AT", 3)
    limit(monkeypatch, "IN_MONTH", in_month)
    every = by_a_backfill(names, ~np.eye(20, dtype=bool), covered)
    monkeypatch.setitem(index.__dict__, "near_pairs", every)
    index.made(WholeIndex).found_before(None)
    asked = search.Search(fresh=names, among=None, bar=BAR)
    answer = search.propose(index, empty(index.path.parent), unseen, asked)
    told = {(pair.a, pair.b) for pair in answer.pairs}
    for name in names:
        theirs = sorted((pair for pair in cosines if name in pair), key=lambda pair: -cosines[pair])
        assert told >= set(theirs if name in covered and in_month == 1024 else theirs[:3])
    assert len(told) < 190 and not answer.left
    assert bool({*covered} & {*answer.cut}) == (in_month == 3)


def by_a_backfill(names: list[str], alike: NDArray[np.bool_], covered: list[str]) -> KnownPairs:
    """The pairs among these."""
    covered, place = sorted(covered), {name: place for place, name in enumerate(names)}
    among = alike[np.ix_([place[name] for name in covered], [place[name] for name in covered])]
    about = _About(rule=NEAR, bar=BAR, contents=len(covered), partners=int(among.sum()), digest="")
    starts = np.append(0, np.cumsum(among.sum(axis=1)))
    return KnownPairs(about, packed_ids(covered), starts, np.nonzero(among)[1].astype(np.uint32))


def test_a_page_that_once_was_too_long_ends_where_it_ended_then(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, "AT_ONCE", 3)
    limit(monkeypatch, "_MOST_GATHERED", 0)
    fresh, others = [f"{n:064x}" for n in (1, 2)], [f"{n:064x}" for n in range(3, 9)]
    page = telling.GatheredPairs(fresh, search.Search(fresh=fresh, among=None, bar=BAR, after=""))
    for part in ([(0, 0), (1, 0), (0, 1), (1, 1)], [(0, 4), (0, 5), (1, 5)]):
        page.add(
            Pairs(
                fresh=np.array([one for one, _ in part]),
                others=np.array([others[other] for _, other in part], "S64"),
                distances=np.zeros(len(part), np.uint8),
                apart=np.zeros(len(part)),
                cosines=np.zeros(len(part)),
                unlike=np.zeros(len(part), bool),
            )
        )
    assert {pair.b for pair in page.found().pairs} == {others[0]}, "the second was dropped with all after it"
    assert page.found().after == others[0]


def never_alike(contents: Sequence[str]) -> GreyPictures:
    """Noise, other noise for each."""
    each = [np.random.default_rng(int(c, 16)).integers(0, 255, (SIDE, SIDE), np.uint8) for c in contents]
    pixels = np.stack(each)
    return GreyPictures(pixels=pixels, shapes=np.ones(len(contents), np.float32))


def test_what_is_alike_inside_margins_is_no_look_alike_whatever_the_wholes_say(tmp_path: Path) -> None:
    index, insides = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS), empty(tmp_path)
    names = store(index, np.full((2, DIMENSIONS), 1 / 16, np.float32), far_hashes(2))
    store(insides, None, np.stack([far_hashes(1)[0]] * 2))
    asked = search.Search(fresh=names, among=names, bar=BAR, spared=BAR)
    (pair,) = search.propose(index, insides, never_alike, asked).pairs
    assert not pair.unlike


@pytest.mark.parametrize(
    ("clocks", "hash_bits", "spared", "kept"),
    [
        ((None, None), 40, None, False),
        ((None, None), RADIUS, None, True),
        ((100.0, 100.0 + ONE_MOMENT_SECONDS), 40, None, True),
        ((100.0, 101.0 + ONE_MOMENT_SECONDS), 40, None, False),
        ((None, None), 40, 0.9, True),
        ((None, None), 40, 1.1, False),
    ],
)
def test_a_small_picture_rejects_what_only_vectors_propose_and_no_burst(
    tmp_path: Path, clocks: tuple[float | None, ...], hash_bits: int, spared: float | None, *, kept: bool
) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    phashes = far_hashes(2)
    if hash_bits <= RADIUS:
        phashes[1, 0] = phashes[0, 0] ^ np.uint64((1 << hash_bits) - 1)
    names = store(index, np.full((2, DIMENSIONS), 1 / 16, np.float32), phashes, captured=clocks)
    asked = search.Search(fresh=names, among=names, bar=BAR, spared=spared)
    pairs = search.propose(index, empty(tmp_path), never_alike, asked).pairs
    assert [pair.unlike for pair in pairs] == [spared is not None] * kept
    assert len(search.propose(index, empty(tmp_path), unseen, asked).pairs) == 1, "of an older index"


def test_what_did_not_fit_into_an_answer_is_not_searched_for_again(
    alike: tuple[PhotoIndex, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    limit(monkeypatch, "AT_ONCE", 60)
    limit(monkeypatch, "_WORTH_KEEPING", 2)
    limit(monkeypatch, "_MOST_GATHERED", 50)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    monkeypatch.setattr(nearest, "_PART", 7)
    asked = search.Search(fresh=names, among=None, bar=BAR)
    assert search.propose(index, empty(index.path.parent), unseen, asked).left
    left = index.made(WholeIndex).found_before(BAR).left()
    assert left is not None and not len(left)


def test_however_many_small_pictures_there_are_each_is_compared_with_its_own(
    alike: tuple[PhotoIndex, list[str]], among: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    twins = dict(zip(names, [*names[1::2], *names[::2]], strict=True))  # of which two show one picture

    def smalls(contents: Sequence[str]) -> GreyPictures:
        return never_alike([min(content, twins[content]) for content in contents])

    asked = search.Search(fresh=names, among=names if among == "within" else None, bar=BAR)
    whole = search.propose(index, empty(index.path.parent), smalls, asked).pairs
    limit(monkeypatch, "_SMALLS", 3)
    parts = search.propose(index, empty(index.path.parent), smalls, asked).pairs
    assert 0 < len(whole) < 190
    assert {(p.a, p.b) for p in parts} == {(p.a, p.b) for p in whole}


def test_the_small_pictures_of_look_alikes_are_compared_at_once_and_each_pair_once(
    alike: tuple[PhotoIndex, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes most of the time is done for each picture once."""
    index, names = alike
    usual, asked = small_tests.may_be_copies, list[int]()

    def may_be_copies(ones: GreyPictures, others: GreyPictures, left: Any, right: Any) -> NDArray[np.bool_]:
        asked.append(len(left))
        return usual(ones, others, left, right)

    limit(monkeypatch, "may_be_copies", may_be_copies)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    monkeypatch.setattr(nearest, "_PART", 7)
    search_of_all = search.Search(fresh=names, among=None, bar=BAR)
    assert not search.propose(index, empty(index.path.parent), never_alike, search_of_all).pairs
    assert asked == [190]


def crowd(folder: Path, count: int, seed: int = 0) -> tuple[PhotoIndex, list[str]]:
    """Photos of which each resembles every other."""
    index = PhotoIndex(folder / str(count), "m", "1", lambda: DIMENSIONS)
    vectors = np.ones((count, DIMENSIONS)) + np.random.default_rng(seed).normal(0, 0.2, (count, DIMENSIONS))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return index, store(index, vectors, far_hashes(count))


def whole_or_cut(contents: Sequence[str]) -> GreyPictures:
    """Seven scenes, or the middle of one of them."""
    pixels = list[NDArray[Any]]()
    for number in (int(each, 16) for each in contents):
        scene = np.random.default_rng(number // 2 % 7).integers(0, 256, (8, 8), np.uint8)
        cut = scene[1:6, 1:6].repeat(32, axis=0).repeat(32, axis=1)[::5, ::5]
        pixels.append(cut if number % 2 else scene.repeat(4, axis=0).repeat(4, axis=1))
    return GreyPictures(pixels=np.stack(pixels), shapes=np.ones(len(pixels), np.float32))


def told_one_answer_after_another(
    index: PhotoIndex, names: Sequence[str], smalls: Any
) -> set[tuple[str, str]]:
    told, left = set[tuple[str, str]](), list(names)
    while left:
        answer = search.propose(
            index, empty(index.path.parent), smalls, search.Search(fresh=left, among=None, bar=BAR)
        )
        assert len(answer.left) < len(left)
        told |= {(pair.a, pair.b) for pair in answer.pairs}
        left = answer.left
    return told


def test_small_pictures_that_are_compared_from_either_side_in_its_turn_tell_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = crowd(tmp_path, 60)
    for name, value in (("LOOKED_AT", 6), ("_AT_THE_EDGE", 0), ("BY_BOUND", 1), ("_CROWDED", 7)):
        limit(monkeypatch, name, value)
    told: list[set[tuple[str, str]]] = []
    for products in (0, 1 << 30):
        monkeypatch.setattr(across_library, "PRODUCTS", products)
        index.made(WholeIndex).found_before(None)
        told.append(told_one_answer_after_another(index, names, whole_or_cut))
    assert told[0] and told[1] >= told[0]
    assert len(told[1] - told[0]) <= 1  # of two that are equally near
    assert len(told[0]) < 60 * 6


def asked_until_some_are_answered(
    index: PhotoIndex, left: list[str]
) -> tuple[int, list[str], set[tuple[str, str]]]:
    """How many answers were for none of them; and of the first other one what it leaves, and its pairs."""
    none, wanted = 0, search.Search(fresh=left, among=None, bar=BAR)
    while len((answer := search.propose(index, empty(index.path.parent), whole_or_cut, wanted)).left) == len(
        left
    ):
        assert not answer.pairs and not answer.cut
        none += 1
        assert none < 1000
    return none, answer.left, {(pair.a, pair.b) for pair in answer.pairs}


@pytest.mark.parametrize(("slice_of", "least"), [(1, 10), (300, 5)])
def test_what_is_chosen_for_a_whole_crowd_comes_in_slices_and_the_same_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_of: int, least: int
) -> None:
    """It took 27 seconds for 26,400 look-alikes, and people waited that long."""
    index, names = crowd(tmp_path, 36)
    for name, value in (
        ("LOOKED_AT", 6),
        ("_AT_THE_EDGE", 0),
        ("BY_BOUND", 1),
        ("_CROWDED", 7),
        ("_READ", 1),
    ):
        limit(monkeypatch, name, value)
    index.made(WholeIndex).found_before(None)
    at_once = told_one_answer_after_another(index, names, whole_or_cut)
    index.made(WholeIndex).found_before(None)
    monkeypatch.setattr(whole_index, "SLICE", slice_of)
    none, left, told = asked_until_some_are_answered(index, names)
    assert none >= least
    assert index.made(WholeIndex).choosing is None
    while left:
        none, left, more = asked_until_some_are_answered(index, left)
        assert not none, "it is chosen once for all of them"
        told |= more
    assert told == at_once


def test_a_choice_that_is_given_up_is_made_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New photos come every minute, perhaps: what is chosen in slices would never come to its end."""
    index, names = crowd(tmp_path, 36)
    for name, value in (("LOOKED_AT", 6), ("_AT_THE_EDGE", 0), ("BY_BOUND", 1), ("_CROWDED", 7)):
        limit(monkeypatch, name, value)
    monkeypatch.setattr(whole_index, "SLICE", 1)
    wanted = search.Search(fresh=names, among=None, bar=BAR)
    assert len(search.propose(index, empty(index.path.parent), whole_or_cut, wanted).left) == 36
    assert index.made(WholeIndex).choosing is not None
    none, left, _ = asked_until_some_are_answered(index, names[:30])
    assert not none and len(left) < 30
    while left:
        none, left, _ = asked_until_some_are_answered(index, left)
        assert not none
    none, _, _ = asked_until_some_are_answered(index, names)
    assert none > 5, "and the next one comes in slices again"


@pytest.mark.parametrize("read", [2, 3])
def test_a_choice_in_slices_that_could_not_read_the_index_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    """What was chosen until then would seem to be all: no pair of the others was told, and none was left for later."""
    index, names = crowd(tmp_path, 36)
    for name, value in (("LOOKED_AT", 6), ("_AT_THE_EDGE", 0), ("BY_BOUND", 1), ("_CROWDED", 7)):
        limit(monkeypatch, name, value)
    limit(monkeypatch, "_VECTORS_AT_ONCE", 7)
    index.made(WholeIndex).found_before(None)
    at_once = told_one_answer_after_another(index, names, whole_or_cut)
    index.made(WholeIndex).found_before(None)
    monkeypatch.setattr(whole_index, "SLICE", 1)
    usual, reads = index.vectors_by_id, list[int]()

    def broken(ids: NDArray[np.uint64]) -> Any:
        reads.append(len(reads))
        if len(reads) == read + 1:
            raise VisionError("too many open files")
        return usual(ids)

    monkeypatch.setattr(index, "vectors_by_id", broken)
    left, told = list(names), set[tuple[str, str]]()
    failed = 0
    while left:
        try:
            _, left, more = asked_until_some_are_answered(index, left)
        except VisionError:
            failed += 1
            continue
        told |= more
    assert failed == 1
    assert told == at_once


@pytest.mark.parametrize("slice_of", [1, 1 << 25])
def test_a_worker_that_ends_between_two_answers_leaves_no_pair_to_idle_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_of: int
) -> None:
    """What it had answered for is told to the next one, which sees to the other side of their pairs."""
    index, names = crowd(tmp_path, 60, 1)
    for name, value in (("LOOKED_AT", 6), ("_AT_THE_EDGE", 2), ("BY_BOUND", 1), ("_CROWDED", 7)):
        limit(monkeypatch, name, value)
    monkeypatch.setattr(whole_index, "SLICE", slice_of)

    def told(ends: set[int], *, knows: bool) -> set[tuple[str, str]]:
        eyes, left, done, found = index, list(names), list[str](), set[tuple[str, str]]()
        while left:
            if len(left) in ends:
                ends = ends - {len(left)}
                eyes = PhotoIndex(tmp_path / "60", "m", "1", lambda: DIMENSIONS)
            wanted = search.Search(fresh=left, among=None, bar=BAR, answered=done if knows else ())
            answer = search.propose(eyes, empty(index.path.parent), whole_or_cut, wanted)
            done += sorted({*left} - {*answer.left})
            left, found = answer.left, found | {(pair.a, pair.b) for pair in answer.pairs}
        return found

    whole = told(set(), knows=True)
    assert told({60 - 14, 60 - 35, 4}, knows=True) == whole
    assert told({60 - 14, 60 - 35, 4}, knows=False) < whole


@pytest.mark.parametrize(("name", "most"), [("_LAID", 5), ("_LAID", 20), ("MOST", 12), ("MOST", 30)])
def test_an_answer_without_room_for_all_its_photos_loses_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    """The photos that it leaves are asked about again: also of pairs that others look at, their side is compared again. And with
    more photos than the nearest are chosen for at once, an answer ends with the last of these."""
    index, names = crowd(tmp_path, 60, 1)
    for each, value in (("LOOKED_AT", 6), ("_AT_THE_EDGE", 2), ("BY_BOUND", 1), ("_CROWDED", 7)):
        limit(monkeypatch, each, value)
    monkeypatch.setattr(across_library, "PRODUCTS", 0)
    index.made(WholeIndex).found_before(None)
    alone = told_one_answer_after_another(index, names, whole_or_cut)
    monkeypatch.setattr(across_library, "PRODUCTS", 1 << 30)
    index.made(WholeIndex).found_before(None)
    assert alone <= told_one_answer_after_another(index, names, whole_or_cut)
    assert not index.made(WholeIndex).together.held(np.arange(60)).any()  # nothing is kept of them
    limit(monkeypatch, name, most)
    index.made(WholeIndex).found_before(None)
    assert alone <= told_one_answer_after_another(index, names, whole_or_cut)


def test_the_work_for_a_photo_does_not_grow_with_its_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each small picture the windows are cut out as often in a large family as in a small one, and each product of two vectors
    is computed once."""
    for name, value in (("LOOKED_AT", 12), ("_AT_THE_EDGE", 0), ("BY_BOUND", 1), ("_CROWDED", 6)):
        limit(monkeypatch, name, value)
    cut_out, products = list[int](), list[int]()
    usual, usual_products = coarse._folded_windows_of, across_library._add_products

    def folded_windows_of(pictures: NDArray[np.float32], shape: int) -> NDArray[np.float32]:
        cut_out.append(len(pictures))
        return usual(pictures, shape)

    def add_products(whole: Any, mine: Any, vectors: Any, found: Any, others: Any, *more: Any) -> None:
        products.append(len(mine) * len(others))
        usual_products(whole, mine, vectors, found, others, *more)

    monkeypatch.setattr(coarse, "_folded_windows_of", folded_windows_of)
    monkeypatch.setattr(across_library, "_add_products", add_products)
    each: list[float] = []
    for count in (48, 96):
        index, names = crowd(tmp_path, count)
        cut_out.clear()
        products.clear()
        told_one_answer_after_another(index, names, never_alike)
        each.append(sum(cut_out) / count)
        assert sum(products) <= count * (count + 12) / 2
    assert 0 < each[1] <= 6
    assert each[1] <= 1.1 * each[0]


def of_one_outline(contents: Sequence[str]) -> GreyPictures:
    """One sky and one ground, and before them blocks: of every other picture the same ones."""
    light = np.linspace(0, 160, SIDE, dtype=np.float32)[:, None]
    each = [np.random.default_rng(int(c, 16) % 2 and int(c, 16)).uniform(0, 90, (8, 8)) for c in contents]
    pixels = np.stack([light + np.kron(blocks, np.ones((4, 4))) for blocks in each])
    return GreyPictures(pixels=pixels.astype(np.uint8), shapes=np.ones(len(contents), np.float32))


@pytest.mark.parametrize("among", ["the library", "a month"])
def test_with_too_many_pairs_to_lay_over_each_other_fewer_photos_are_answered_for(
    alike: tuple[PhotoIndex, list[str]], among: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    smalls = of_one_outline
    month = None if among == "the library" else names

    def found(fresh: Sequence[str]) -> search.FoundPairs:
        asked = search.Search(fresh=fresh, among=month, bar=BAR)
        return search.propose(index, empty(index.path.parent), smalls, asked)

    every = {(pair.a, pair.b) for pair in found(names).pairs}
    unseen_pairs = search.propose(
        index, empty(index.path.parent), unseen, search.Search(fresh=names, among=month, bar=BAR)
    ).pairs
    assert 0 < len(every) < len(unseen_pairs)
    limit(monkeypatch, "_LAID", 30)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    monkeypatch.setattr(nearest, "_PART", 7)
    answers, left = 0, list(names)
    together = set[tuple[str, str]]()
    while left:
        answer = found(left)
        assert len(answer.left) < len(left)
        together |= {(pair.a, pair.b) for pair in answer.pairs}
        answers, left = answers + 1, answer.left
    assert answers > 1
    assert together == every


@pytest.mark.parametrize("among", ["the library", "a month"])
@pytest.mark.parametrize(
    ("at_once", "met"), [(4, 1000), (25, 1000), (1000, 1000), (1000, 45), (4, 100), (1000, 1)]
)
def test_all_pairs_come_in_parts_too_and_what_small_pictures_tell_apart_is_not_among_them(
    alike: tuple[PhotoIndex, list[str]], among: str, at_once: int, met: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    month = None if among == "the library" else names
    asked = search.Search(fresh=names, among=month, bar=BAR)
    every = search.propose(index, empty(index.path.parent), of_one_outline, asked).pairs
    assert 0 < len(every) < len(names) * (len(names) - 1) // 2
    limit(monkeypatch, "_LAID_IN_IDLE", 30)
    limit(monkeypatch, "AT_ONCE", at_once)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    limit(monkeypatch, "OTHER_BLOCK", 7)
    limit(monkeypatch, "_MOST_GATHERED", 9)
    laid, usual = list[int](), search.may_lie_over

    def may_lie_over(ones: GreyPictures, others: GreyPictures, left: Any, right: Any) -> NDArray[np.bool_]:
        laid.append(len(left))
        return usual(ones, others, left, right)

    limit(monkeypatch, "may_lie_over", may_lie_over)
    limit(monkeypatch, "_MET_IN_IDLE", met)
    seen, seen_small = list[int](), search.seen_small

    def counted(pairs: Pairs, *rest: Any) -> Pairs:
        seen.append(len(pairs.fresh))
        return seen_small(pairs, *rest)

    limit(monkeypatch, "seen_small", counted)
    found, after, answers = list[Candidate](), "", 0
    while after or not answers:
        asked = search.Search(fresh=names, among=month, bar=BAR, after=after)
        answer = search.propose(index, empty(index.path.parent), of_one_outline, asked)
        assert answer.after > after or not answer.after
        found, after, answers = found + answer.pairs, answer.after, answers + 1
        assert sum(laid) <= 3 * 30
        assert sum(seen) <= max(met, len(names)), "whoever comes does not wait for all of them"
        laid.clear()
        seen.clear()
    assert answers > 1
    assert sorted(found, key=lambda p: (p.a, p.b)) == sorted(every, key=lambda p: (p.a, p.b))


def test_of_look_alikes_the_nearest_of_either_are_told_and_none_twice(
    alike: tuple[PhotoIndex, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, names = alike
    cosines = {(p.a, p.b): p.cosine or 0.0 for p in found(index, names, names)}
    limit(monkeypatch, "LOOK_ALIKES", 2)
    limit(monkeypatch, "OTHER_BLOCK", 9)
    limit(monkeypatch, "_TESTED_AT_ONCE", 20)
    limit(monkeypatch, "_SMALLS", 3)
    limit(monkeypatch, "_MOST_GATHERED", 50)
    asked = search.Search(fresh=names, among=names, bar=BAR, spared=BAR)
    answer = search.propose(index, empty(index.path.parent), never_alike, asked)
    nearest: set[tuple[str, str]] = set()
    for name in names:
        mine = sorted((pair for pair in cosines if name in pair), key=lambda pair: -cosines[pair])
        nearest |= set(mine[:2])
    assert sorted((p.a, p.b) for p in answer.pairs) == sorted(nearest)
    assert all(pair.unlike for pair in answer.pairs)
    assert (answer.cut, answer.left) == ([], []), "nothing of them is left to be aligned"
    asked = search.Search(fresh=names[:1], among=names, bar=BAR, spared=BAR, after="")
    assert search.propose(index, empty(index.path.parent), never_alike, asked).pairs == []


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000), tables=st.booleans(), all_vectors=st.booleans(), few=st.integers(1, 40),
    before=st.integers(0, 4), most=st.sampled_from([40, 10_000]),
)  # fmt: skip
def test_across_the_library_the_pairs_are_those_of_each_with_each(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    seed: int,
    tables: bool,
    all_vectors: bool,
    few: int,
    before: int,
    most: int,
) -> None:
    index, phashes, clocks = clocked_index(tmp_path_factory)
    rows = index.rows([content(number) for number in range(90)])
    rng = np.random.default_rng(seed)
    fresh = [rows.contents[int(place)] for place in rng.permutation(90)[:few]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_index, "MANY", 0 if tables else 1_000_000)
        patch.setattr(whole_index, "FEW", 0)
        patch.setattr(whole_index, "_HASHES", (3, 20))
        patch.setattr(whole_index, "_GATHERED", 5)
        patch.setattr(whole_index, "_VECTORS", 4)
        patch.setattr(whole_index, "_A_FEW", 30)
        patch.setattr(whole_index, "_TILE", (7, 11))
        limit(patch, "_WHOLE_TABLE", 1000 if all_vectors else 0)
        limit(patch, "_VECTORS_AT_ONCE", 5)
        limit(patch, "_MOST_WAITING", 50)
        limit(patch, "_MEASURED_AT_ONCE", 4)
        limit(patch, "_WORTH_KEEPING", 2)
        patch.setattr(found_before, "MOST", most)
        for _ in range(before):  # what was asked before, by this bar or another, changes nothing
            asked = [rows.contents[int(place)] for place in rng.permutation(90)[: int(rng.integers(1, 50))]]
            found(index, asked, None, (BAR, BAR, BAR, 0.95, None)[int(rng.integers(5))])
        told = found(index, fresh, None)
    assert rows.vectors is not None
    cosines = np.round(rows.vectors.astype(np.float64) @ rows.vectors.T, 5)
    order = {name: int(content_number) for content_number, name in enumerate(rows.contents)}
    numbers = [next(n for n in range(90) if content(n) == name) for name in rows.contents]
    near = hash_distances(phashes[numbers], phashes[numbers]) <= RADIUS
    apart = np.abs(np.subtract.outer(clocks[numbers], clocks[numbers]))
    expected = {
        tuple(sorted((name, other)))
        for name in fresh
        for other in rows.contents
        if name != other
        and (near[order[name], order[other]] or cosines[order[name], order[other]] >= BAR)
        and not apart[order[name], order[other]] > ONE_MOMENT_SECONDS
    }
    assert {(p.a, p.b) for p in told} == expected
    assert all(p.cosine == cosines[order[p.a], order[p.b]] for p in told)


def test_however_many_look_alikes_there_are_few_pairs_are_held_with_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _, _ = clocked_index(tmp_path_factory)
    limit(monkeypatch, "_MEASURED_AT_ONCE", 10)
    limit(monkeypatch, "_MOST_WAITING", 30)
    held: list[int] = []
    usual = across_library._exact

    def exact(index: PhotoIndex, whole: Any, rows: Any, pairs: Any, bar: float | None, least: Any) -> Any:
        assert len(pairs) <= 2 * 30
        for measured in usual(index, whole, rows, pairs, bar, least):
            held.append(len(measured.fresh))
            yield measured

    limit(monkeypatch, "_exact", exact)
    assert found(index, [content(number) for number in range(90)], None)
    assert held and max(held) <= 10


_clocked: dict[int, tuple[PhotoIndex, NDArray[np.uint64], NDArray[np.float64]]] = {}


def clocked_index(
    factory: pytest.TempPathFactory, each: int = 3
) -> tuple[PhotoIndex, NDArray[np.uint64], NDArray[np.float64]]:
    """Ninety photos, two thirds with a clock, in families by vector and by hash; heads shorter than their vectors."""
    if each not in _clocked:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(heads, "HEAD", 24)
            patch.setattr(heads, "_SAMPLE", 40)
            index = PhotoIndex(factory.mktemp("clocked"), "m", "1", lambda: DIMENSIONS)
            phashes = far_hashes(90)
            phashes[1::4, 0] = phashes[0:-1:4, 5] ^ np.uint64(0b1011)
            phashes[3::9] = phashes[2::9]
            rng = np.random.default_rng(5)
            clocks = np.where(rng.random(90) < 0.66, rng.integers(0, 3, 90) * 45.0, np.nan)
            store(
                index,
                families(90, each=each),
                phashes,
                captured=tuple(None if np.isnan(c) else c for c in clocks),
            )
            index.made(WholeIndex)
        _clocked[each] = index, phashes, clocks
    return _clocked[each]


def test_what_came_since_is_found_too(tmp_path: Path) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    alike = np.full((2, DIMENSIONS), 1 / 16, np.float32)
    first = store(index, alike, far_hashes(2))
    assert len(found(index, first, None)) == 1
    more = store(index, alike, far_hashes(2, seed=1), start=2)
    assert len(found(index, more, None)) == 5
    index.remove(first)
    assert len(found(index, more, None)) == 1
    store(index, np.eye(2, DIMENSIONS, dtype=np.float32), far_hashes(2))
    assert len(found(index, [*first, *more], None)) == 1, "other vectors of the same contents"


def test_rows_that_the_index_does_not_answer_for_disturb_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = PhotoIndex(tmp_path, "m", "1", lambda: DIMENSIONS)
    names = store(index, np.full((5, DIMENSIONS), 1 / 16, np.float32), far_hashes(5))
    others = [names[0], *names[3:]]
    # As when the disk failed while two were taken out.
    monkeypatch.setattr(index, "_known", ContentSet(others))
    pairs = {(p.a, p.b) for p in found(index, others, None)}
    assert pairs >= set(combinations(sorted(others), 2))
