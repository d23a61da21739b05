"""Rows compared where they were made: the search at home finds the same pairs, and no damaged file hides one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index import heads, known_pairs
from dedupd.adapters.index.adopt import adopt
from dedupd.adapters.index.chunk_file import to_file
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow, PhotoRows
from dedupd.adapters.stores.backfill_records import NEAR, ChunkFile, Commit, mark, pair_commit
from dedupd.adapters.stores.store import LocalStore
from dedupd.adapters.vision import messages, near_pairs
from dedupd.adapters.vision.candidates import across_library, search
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.bulk.chunk_worker import ChunkWorker
from dedupd.bulk.compare_rows import PairsOutcome, blocks_of, compare_rows
from dedupd.bulk.plan import ModelAndRecipe, Strip
from dedupd.bulk.pool import FailedChunk, Finished
from dedupd.core.adoption import Adoption
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.core.photo import Candidate, Traits

DIMENSIONS, BAR = 64, 0.8
EYES = ModelAndRecipe(model="m", recipe="1")
MARGINS = "m1"


def photos(count: int, vectors: bool = True) -> list[PhotoRow]:
    """Scenes of several photos each: some near by vector, some by hash, some at one moment, some apart."""
    random = np.random.default_rng(7)
    middles = random.standard_normal((count // 6 + 1, DIMENSIONS))
    hashes = random.integers(0, 1 << 63, (count // 6 + 1, 8), dtype=np.uint64)
    rows: list[PhotoRow] = []
    for number in range(count):
        scene = number // 6
        vector = middles[scene] + random.standard_normal(DIMENSIONS) * random.choice([0.2, 0.5, 0.8])
        flipped = sum(1 << int(bit) for bit in random.choice(63, int(random.integers(0, 16)), replace=False))
        traits = Traits(
            content=blake3(b"%d" % number).hexdigest(), recipe="1", model="m", format="JPEG", width=4, height=3,
            phash=int(hashes[scene][0]) ^ flipped, dhash=0, simhash="0" * 32,
            captured=random.choice([None, 1e9 + 1000 * scene, 1e9 + 1000 * scene + 30, 1e9 + number * 9000]),
        )  # fmt: skip
        turned = hashes[scene] ^ np.uint64(flipped)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        rows.append(PhotoRow(traits=traits, phashes=turned, vector=vector if vectors else None))
    return rows


class Worker:
    """In the place of a worker process."""

    def pair(self, order: messages.PairBlocks) -> messages.Paired:
        return near_pairs.compare_blocks(order)


class Archive:
    """Rows in files of seven, and an index that may adopt them."""

    def __init__(self, folder: Path, rows: Sequence[PhotoRow]) -> None:
        self.to, self.store = folder / "rows", LocalStore(str(folder / "rows"))
        mark(self.store)
        self.compared: list[str] = []
        self.put(rows)
        dimensions = 0 if rows[0].vector is None else DIMENSIONS
        self.index = PhotoIndex(folder / "index", "m", "1", lambda: dimensions)
        self.insides = PhotoIndex(folder / "index", "inside", "1", lambda: 0)

    def put(self, rows: Sequence[PhotoRow], commit: str = "one") -> None:
        files: list[ChunkFile] = []
        for at in range(0, len(rows), 7):
            data = to_file(rows[at : at + 7], {}, MARGINS)
            digest = blake3(data).hexdigest()
            self.store.write(f"chunks/{digest}.arrow", data)
            files.append(ChunkFile(file=f"{digest}.arrow", digest=digest, rows=len(rows[at : at + 7])))
        said = msgspec.json.encode(Commit(model="m", recipe="1", chunks=files))
        self.store.write(f"commits/{commit}.json", said)

    def engine(self, strips: Sequence[Strip]) -> Iterator[Finished]:
        comparing = ChunkWorker.__new__(ChunkWorker)
        comparing._worker = Worker()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        for strip in strips:
            self.compared.append(strip.key)
            yield comparing.pair(strip)

    def compare(self, engine: Callable[[Sequence[Strip]], Iterator[Finished]] | None = None) -> PairsOutcome:
        bar = BAR if self.index.dimensions else None
        return compare_rows(str(self.to), EYES, bar, engine or self.engine, rows=20, blocks=2)

    def adopt(self) -> Adoption:
        *_, (last, _, _) = adopt(self.store, self.index, self.insides, "m", "1", MARGINS)
        return last

    def found(self, fresh: Sequence[str]) -> list[Candidate]:
        bar = BAR if self.index.dimensions else None
        asked = search.Search(fresh=list(fresh), among=None, bar=bar)
        answer = search.propose(self.index, self.insides, _unseen, asked)
        assert (answer.left, answer.cut) == ([], [])
        return sorted(answer.pairs, key=lambda pair: (pair.a, pair.b))


def _unseen(contents: Sequence[str]) -> GreyPictures:
    count = len(contents)
    return GreyPictures(pixels=np.zeros((count, SIDE, SIDE), np.uint8), shapes=np.zeros(count, np.float32))


def contents(rows: Sequence[PhotoRow]) -> list[str]:
    return sorted(row.traits.content for row in rows)


@pytest.mark.parametrize(("vectors", "head"), [(True, heads.HEAD), (True, 8), (False, 8)])
def test_the_search_at_home_finds_the_same_and_does_not_look(
    vectors: bool, head: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD", head)
    rows = photos(120, vectors)
    archive = Archive(tmp_path, rows[:110])
    archive.put([*rows[40:47]], "two")  # the same contents once more
    archive.adopt()
    archive.index.add(rows[110:])  # seen here
    everything, some = contents(rows), contents(rows[30:70])
    expected = archive.found(everything), archive.found(some), archive.found(contents(rows[115:]))
    assert len(expected[0]) > 60 and archive.index.near_pairs is None

    outcome = archive.compare()
    assert outcome.missing == 0 and outcome.strips == len(archive.compared) > 2
    adopted = archive.adopt()
    assert (adopted.pairs_left, adopted.taken) == ("", 0) and adopted.pairs > 50
    assert archive.index.near_pairs is not None
    assert (archive.found(everything), archive.found(some)) == expected[:2]
    assert archive.found(contents(rows[115:])) == expected[2]

    monkeypatch.setattr(across_library, "_across", _never)
    assert archive.found(some) == expected[1], "what is covered is not searched for"


def _never(*_: object, **__: object) -> Iterator[object]:
    raise AssertionError


def test_a_second_run_compares_nothing_again_and_a_new_file_its_own_blocks_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(160))
    first = archive.compare()
    commit = pair_commit(archive.store, "m", "1")
    again = archive.compare()
    assert (again.compared_now, again.pairs) == (0, first.pairs)
    assert pair_commit(archive.store, "m", "1") == commit
    before = set(archive.compared)
    archive.put(photos(167)[160:], "two")
    archive.compared.clear()
    more = archive.compare()
    assert 0 < len(archive.compared) < more.strips, "not all of them"
    assert not before & set(archive.compared)


def test_what_is_not_finished_is_not_said_to_be(tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(120))

    def failing(strips: Sequence[Strip]) -> Iterator[Finished]:
        for number, seen in enumerate(archive.engine(strips)):
            yield seen if number % 2 else FailedChunk(chunk=strips[number], reason="no power")

    outcome = archive.compare(failing)
    assert 0 < outcome.missing < outcome.strips and outcome.problems == ["no power"]
    assert pair_commit(archive.store, "m", "1") is None
    assert archive.adopt().pairs == 0 and archive.index.near_pairs is None
    assert archive.compare().missing == 0


@pytest.mark.parametrize("part", ["pairs", "chunks"])
@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_of_damaged_files_nothing_is_taken_in(part: str, harm: str, tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(60))
    archive.compare()
    file = min((archive.to / part).iterdir())
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    adopted = archive.adopt()
    assert adopted.pairs == 0 and file.name in adopted.pairs_left
    assert archive.index.near_pairs is None


def with_commit(archive: Archive, **changes: object) -> str:
    """Why nothing was taken in of a commit with these changes."""
    archive.compare()
    commit = pair_commit(archive.store, "m", "1")
    assert commit is not None
    changed = {name: change(commit) if callable(change) else change for name, change in changes.items()}
    (path,) = (archive.to / "pair-commits").iterdir()
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(commit, **changed)))
    adopted = archive.adopt()
    assert adopted.pairs == 0 and archive.index.near_pairs is None
    return adopted.pairs_left


def test_pairs_that_do_not_cover_every_block_or_come_by_another_rule_are_not_taken_in(tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(60))
    assert "not every block" in with_commit(archive, strips=lambda commit: commit.strips[1:])
    assert "another version" in with_commit(archive, rule="0")
    assert "not as this version" in with_commit(
        archive, strips=lambda commit: [msgspec.structs.replace(s, pairs=s.pairs + 1) for s in commit.strips]
    )
    assert "not there" in with_commit(archive, blocks=lambda commit: [block[:1] for block in commit.blocks])


def test_a_file_beside_the_index_that_is_not_whole_is_not_used(tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(60))
    archive.compare()
    archive.adopt()
    file = archive.index.path / known_pairs._NAME
    whole = file.read_bytes()
    for harmed in (whole[:-4], whole[:-1] + b"?", b"", whole[:600], b"x" + whole[1:]):
        file.write_bytes(harmed)
        assert known_pairs.known_pairs(archive.index.path) is None
    file.write_bytes(whole)
    found = known_pairs.known_pairs(archive.index.path)
    assert found is not None and found.answers(NEAR, BAR) and found.answers(NEAR, 0.9)
    assert not found.answers(NEAR, 0.79) and not found.answers("0", BAR)


def test_a_lost_index_takes_its_pairs_along(tmp_path: Path) -> None:
    archive = Archive(tmp_path, photos(60))
    archive.compare()
    archive.adopt()
    assert archive.index.near_pairs is not None
    archive.index.set_aside()
    assert archive.index.near_pairs is None
    shutil.rmtree(archive.index.path)


def test_blocks_hold_every_file_once_and_none_is_much_too_large() -> None:
    files = [ChunkFile(file=f"{n:04}", digest="", rows=7) for n in range(500)]
    blocks = list(blocks_of(files, 70))
    assert [file for block in blocks for file in block] == files
    assert all(5 <= len(block) <= 20 for block in blocks[:-1])


def test_the_rule_is_named_by_its_numbers() -> None:
    assert f"1/{RADIUS}/{ONE_MOMENT_SECONDS:g}" == NEAR


def test_a_few_directions_lose_no_pair_and_spare_most_products(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = bare_of(photos(300), clocks=np.full(300, np.nan))
    measured = list[int]()
    real = near_pairs._reach
    monkeypatch.setattr(near_pairs, "_reach", lambda *given: measured.append(len(given[1])) or real(*given))

    def found(head: int) -> set[tuple[int, int]]:
        monkeypatch.setattr(heads, "HEAD", head)
        measured.clear()
        _, ones, twos = near_pairs.near_rows(bare, [bare], BAR).tolist()
        return set(zip(ones, twos, strict=True))

    whole = found(DIMENSIONS)
    assert len(whole) > 400
    assert found(16) == whole and len(whole) < sum(measured) < 300 * 300 / 4


def test_photos_whose_clocks_differ_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """One subject, taken once an hour: near by vector all of them, and no pair."""
    bare = bare_of(photos(300), clocks=3600.0 * np.arange(300))
    alike = np.repeat(bare.vectors[:1] if bare.vectors is not None else [], 300, axis=0)
    bare = replace(bare, vectors=alike)
    looked_at = list[float]()
    real = near_pairs._of_one_moment

    def noted(left: PhotoRows, right: near_pairs.BareRows, parts: Iterator[Any]) -> Iterator[Any]:
        for ones, others in parts:
            looked_at.extend(np.abs(left.captured[ones] - right.captured[others]))
            yield from real(left, right, [(ones, others)])

    monkeypatch.setattr(near_pairs, "_of_one_moment", noted)
    _, ones, twos = near_pairs.near_rows(bare, [bare], BAR)
    assert (ones == twos).all() and len(ones) == 300
    assert len(looked_at) >= 300 and max(looked_at) <= ONE_MOMENT_SECONDS + 1
    unknown = replace(bare, captured=np.where(np.arange(300) == 7, np.nan, bare.captured))
    _, ones, twos = near_pairs.near_rows(unknown, [unknown], BAR)
    assert set(zip(ones.tolist(), twos.tolist(), strict=True)) == {
        (one, two) for one in range(300) for two in range(300) if one == two or 7 in (one, two)
    }


@pytest.mark.parametrize("most_passing", [0.0, 1.0])
def test_many_pairs_are_multiplied_together_and_few_one_by_one_to_the_same_end(
    most_passing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_pairs, "_MOST_PASSING", most_passing)
    vectors = bare_of(photos(60), clocks=np.full(60, np.nan)).vectors
    assert vectors is not None
    ones, others = np.nonzero(np.ones((60, 60), bool))
    told = near_pairs._reach(vectors, ones, vectors, others, BAR)
    assert (told == (vectors @ vectors.T >= BAR).ravel()).all() and 60 < told.sum() < 1800


def bare_of(rows: Sequence[PhotoRow], clocks: NDArray[np.float64]) -> near_pairs.BareRows:
    """Their vectors with these clocks, and hashes of which no two are near."""
    hashes = np.random.default_rng(1).integers(0, 1 << 63, (len(rows), 8), dtype=np.uint64)
    vectors = np.stack([row.vector for row in rows if row.vector is not None])
    return near_pairs.BareRows(phashes=hashes, vectors=vectors, captured=clocks)


def test_a_slack_below_the_bar_is_kept(tmp_path: Path) -> None:
    """Vectors at home may differ by a step of float16."""
    one = np.zeros(DIMENSIONS, np.float32)
    one[0] = 1
    other: NDArray[np.float32] = np.zeros(DIMENSIONS, np.float32)
    other[:2] = BAR - 5e-4, np.sqrt(1 - (BAR - 5e-4) ** 2)
    bare = [
        near_pairs.BareRows(
            phashes=np.full((1, 8), hashes, np.uint64), vectors=vector[None], captured=np.array([np.nan])
        )
        for vector, hashes in ((one, 0), (other, (1 << 32) - 1))
    ]
    assert near_pairs.near_rows(bare[0], [bare[1]], BAR).tolist() == [[0], [0], [0]]
    assert near_pairs.near_rows(bare[0], [bare[1]], BAR + 1e-3).size == 0
