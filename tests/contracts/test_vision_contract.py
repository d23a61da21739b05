"""What every Vision keeps to: the worker on real pictures, its in-memory twin on pseudo-photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision.client import VisionWorker
from dedupd.core.descriptions import Description
from dedupd.core.photo import Candidate, FileStat, Traits, Unreadable
from dedupd.core.relations import Prospect
from dedupd.core.xmp import to_xmp
from dedupd.ports import FileRequest, Ingested, ProofRequest, Vision
from tests.fakes.vision import FakeVision, pseudo_photo


@dataclass
class Studio:
    """A Vision, a folder, and a way to take pictures it can read."""

    vision: Vision
    folder: Path
    shoot: Callable[[Path, str, str], None]
    """shoot(path, scene, rendering): renderings of one scene are copies with other bytes."""

    def photo(self, name: str, scene: str, rendering: str = "original") -> Path:
        path = self.folder / name
        self.shoot(path, scene, rendering)
        return path

    def look(self, *paths: Path) -> list[Ingested]:
        answers = {
            look.key: look for look in self.vision.ingest([request(k, p) for k, p in enumerate(paths)])
        }
        return [answers[key] for key in range(len(paths))]

    def traits(self, *paths: Path) -> list[Traits]:
        results = [look.result for look in self.look(*paths)]
        assert all(isinstance(result, Traits) for result in results), results
        return [result for result in results if isinstance(result, Traits)]


def request(key: int, path: Path) -> FileRequest:
    found = os.lstat(path)
    stat = FileStat(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        dev=found.st_dev,
        ino=found.st_ino,
    )
    return FileRequest(key=key, path=os.fspath(path), stat=stat)


def shoot_pixels(path: Path, scene: str, rendering: str) -> None:
    rng = np.random.default_rng(list(scene.encode()))
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(coarse, np.int16) + rng.integers(-20, 20, (480, 640, 1))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(path, "JPEG", quality=92 if rendering == "original" else 70)


def shoot_pseudo(path: Path, scene: str, rendering: str) -> None:
    path.write_bytes(pseudo_photo(scene, rendering=rendering))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VisionWorker]:
    state = tmp_path_factory.mktemp("state")
    vision = VisionWorker(state / "index", state / "cache", "hashes")
    yield vision
    vision.rest()


@pytest.fixture(params=["worker", "twin"])
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    if request.param == "twin":
        return Studio(FakeVision(), tmp_path, shoot_pseudo)
    return Studio(request.getfixturevalue("worker"), tmp_path, shoot_pixels)


def test_every_file_is_answered_once_under_its_own_key(studio: Studio) -> None:
    paths = [studio.photo(f"{n}.jpg", f"keys {n}") for n in range(5)]
    (studio.folder / "note.jpg").write_text("no picture")
    requests = [request(100 + n, path) for n, path in enumerate([*paths, studio.folder / "note.jpg"])]
    assert sorted(look.key for look in studio.vision.ingest(requests)) == [100, 101, 102, 103, 104, 105]


def test_content_is_a_matter_of_bytes_alone(studio: Studio) -> None:
    first = studio.photo("a.jpg", "bytes")
    second = studio.folder / "b.png"
    second.write_bytes(first.read_bytes())
    third = studio.photo("c.jpg", "bytes", "smaller")
    a, b, c = studio.traits(first, second, third)
    assert a == b
    assert a.content != c.content


def test_known_content_is_answered_alike_without_work(studio: Studio) -> None:
    path = studio.photo("a.jpg", "again")
    (before,) = studio.look(path)
    renamed = path.rename(studio.folder / "renamed.jpg")
    (after,) = studio.look(renamed)
    assert after.result == before.result
    assert (before.decoded, after.decoded) == (True, False)


def test_a_file_other_than_the_ledger_saw_is_to_be_tried_again(studio: Studio) -> None:
    path = studio.photo("a.jpg", "early")
    stale = request(0, path)
    studio.shoot(path, "late, with more to it", "original")
    os.utime(path, ns=(1, 1))
    (look,) = studio.vision.ingest([stale])
    assert isinstance(look.result, Unreadable)
    assert look.result.retry


def test_a_vanished_file_is_to_be_tried_again(studio: Studio) -> None:
    path = studio.photo("a.jpg", "gone")
    stale = request(0, path)
    path.unlink()
    (look,) = studio.vision.ingest([stale])
    assert isinstance(look.result, Unreadable)
    assert look.result.retry


def test_what_is_no_picture_says_so_with_its_content(studio: Studio) -> None:
    path = studio.folder / "note.jpg"
    path.write_text("not a picture at all")
    (look,) = studio.look(path)
    assert isinstance(look.result, Unreadable)
    assert not look.result.retry
    assert len(look.result.content) == 64


def test_odd_names_are_seen(studio: Studio) -> None:
    odd = os.fsdecode(b"caf\xe9 \n\x1b[31m.jpg")
    path = studio.photo(odd, "odd name")
    assert len(studio.traits(path)) == 1


def proposed(studio: Studio, fresh: list[str], among: list[str] | None) -> list[Candidate]:
    parts = list(studio.vision.propose(fresh, among))
    assert sorted(content for part in parts for content in part.fresh) == sorted(fresh)
    return [pair for part in parts for pair in part.pairs]


def test_copies_are_proposed_and_strangers_are_not(studio: Studio) -> None:
    one, copy, stranger = studio.traits(
        studio.photo("a.jpg", "beach"),
        studio.photo("b.jpg", "beach", "smaller"),
        studio.photo("c.jpg", "forest"),
    )
    contents = [one.content, copy.content, stranger.content]
    pairs = proposed(studio, contents, contents)
    assert [(pair.a, pair.b) for pair in pairs] == [tuple(sorted((one.content, copy.content)))]


def test_a_pair_is_proposed_alike_from_either_side_and_in_any_company(studio: Studio) -> None:
    a, b = studio.traits(studio.photo("a.jpg", "sides"), studio.photo("b.jpg", "sides", "smaller"))
    there = proposed(studio, [a.content], [b.content])
    back = proposed(studio, [b.content], [a.content])
    both = proposed(studio, [a.content, b.content], [a.content, b.content])
    assert len(there) == 1
    assert there == back == both
    everywhere = proposed(studio, [a.content], None)
    assert everywhere == [pair for part in studio.vision.candidates([a.content], None) for pair in part]
    assert [(pair.a, pair.b) for pair in everywhere] == [(pair.a, pair.b) for pair in there]


def test_months_that_are_searched_at_once_share_no_pair(studio: Studio) -> None:
    seen = studio.traits(
        studio.photo("a.jpg", "sea"), studio.photo("b.jpg", "sea", "smaller"), studio.photo("c.jpg", "sea", "frame")
    )  # fmt: skip
    a, b, c = (traits.content for traits in seen)
    parts = studio.vision.propose([a, b, c], [a, c, b], None, None, None, [2, 1])
    assert {(pair.a, pair.b) for part in parts for pair in part.pairs} == {(min(a, c), max(a, c))}


def test_the_next_part_of_all_pairs_can_be_asked_for_after_a_rest(
    worker: VisionWorker, tmp_path: Path
) -> None:
    shoot_pixels(tmp_path / "0.jpg", "many", "original")
    paths = [tmp_path / f"{number}.jpg" for number in range(210)]
    for path in paths[1:]:
        path.write_bytes((tmp_path / "0.jpg").read_bytes() + path.name.encode())
    names = sorted(traits.content for traits in Studio(worker, tmp_path, shoot_pixels).traits(*paths))
    parts: list[list[tuple[str, str]]] = []
    for part in worker.candidates(names, names):
        parts.append([(pair.a, pair.b) for pair in part])
        if len(parts) == 1:
            worker.rest()
    assert len(parts) == 2
    assert sorted(pair for part in parts for pair in part) == list(combinations(names, 2))


def test_unknown_contents_propose_nothing(studio: Studio) -> None:
    assert proposed(studio, ["0" * 64], ["0" * 64, "1" * 64]) == []


def test_missing_names_what_was_never_stored(studio: Studio) -> None:
    (held,) = studio.traits(studio.photo("a.jpg", "held"))
    assert studio.vision.missing(["0" * 64, held.content]) == ["0" * 64]


def test_a_copy_aligns_better_than_a_stranger(studio: Studio) -> None:
    paths = [
        studio.photo("a.jpg", "lake"),
        studio.photo("b.jpg", "lake", "smaller"),
        studio.photo("c.jpg", "hill"),
    ]
    one, copy, stranger = (traits.content for traits in studio.traits(*paths))
    pairs = [proof(paths[0], one, paths[1], copy), proof(paths[0], one, paths[2], stranger)]
    measured = {answer.b: answer.measures for answer in studio.vision.prove(pairs)}
    near, far = measured[copy], measured[stranger]
    assert near is not None
    assert far is not None
    assert near.ncc > 0.9 > far.ncc


def test_a_pair_is_not_proven_on_other_bytes(studio: Studio) -> None:
    paths = [studio.photo("a.jpg", "swap"), studio.photo("b.jpg", "swap", "smaller")]
    one, copy = (traits.content for traits in studio.traits(*paths))
    studio.photo("b.jpg", "something else")
    (answer,) = studio.vision.prove([proof(paths[0], one, paths[1], copy)])
    assert answer.measures is None
    assert answer.error


def test_what_differs_in_a_burst_is_asked_whether_it_is_writing(studio: Studio) -> None:
    paths = [studio.photo("a.jpg", "lake"), studio.photo("b.jpg", "lake", "smaller")]
    one, copy = (traits.content for traits in studio.traits(*paths))
    for may in (Prospect(asked=False), Prospect(burst=True, asked=False)):
        (answer,) = studio.vision.prove([proof(paths[0], one, paths[1], copy, may=may)])
        assert answer.measures is not None
        assert ("written" in (answer.measures.extra or {})) is may.burst
        assert ("island" in (answer.measures.extra or {})) is may.burst, (
            "and whether something small was changed"
        )


def test_a_sure_copy_is_not_asked_whether_it_is_writing(studio: Studio) -> None:
    paths = [studio.photo("a.jpg", "lake"), studio.photo("b.jpg", "lake", "smaller")]
    one, copy = (traits.content for traits in studio.traits(*paths))
    (answer,) = studio.vision.prove([proof(paths[0], one, paths[1], copy, may=Prospect(burst=True))])
    assert answer.measures is not None and answer.measures.fine_worst is not None
    assert not {"written", "island"} & set(answer.measures.extra or {})


def proof(path_a: Path, a: str, path_b: Path, b: str, *, may: Prospect | None = None) -> ProofRequest:
    return ProofRequest(a=a, b=b, path_a=os.fspath(path_a), path_b=os.fspath(path_b), may=may or Prospect())


def test_photos_and_sidecars_say_what_they_know(studio: Studio) -> None:
    photo, sidecar, gone = studio.photo("a.jpg", "told"), studio.folder / "a.jpg.xmp", studio.folder / "b.jpg"
    known = Description(rating=4, keywords=("sea",))
    sidecar.write_text(to_xmp(known))
    gone.write_bytes(photo.read_bytes())
    requests = [request(key, path) for key, path in ((7, photo), (8, sidecar), (9, gone))]
    gone.unlink()
    answers = studio.vision.describe(requests)
    assert answers == {7: Description(), 8: known, 9: Description()}


def test_what_is_no_photo_any_more_is_forgotten_and_may_be_seen_again(studio: Studio) -> None:
    paths = [studio.photo(f"{name}.jpg", f"forget {name}") for name in "ab"]
    gone, stays = (traits.content for traits in studio.traits(*paths))
    asked: list[str] = []

    def of_no_file(contents: Sequence[str]) -> list[str]:
        asked.extend(contents)
        return [content for content in contents if content == gone]

    assert studio.vision.forget(of_no_file) == 1
    assert {gone, stays} <= set(asked) and len(asked) == len(set(asked))
    assert studio.vision.missing([gone, stays]) == [gone]
    assert [look.decoded for look in studio.look(*paths)] == [True, False]
    assert studio.vision.missing([gone, stays]) == []
