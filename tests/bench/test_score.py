"""Scoring: what counts as found, wrong, unscored, torn; byte-equal pairs credit only the labelled copy."""

from __future__ import annotations

from typing import Any

import pytest

from dedupd.bench.score import score


def label(path: str, group: str, relation: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "group_id": group, "relation": relation, **more}


def group(keep: str, *duplicates: str, review: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"keep": keep, "duplicates": list(duplicates), "review": list(review)}


TRUTH = [
    label("a.jpg", "a", "original", sha256="1"),
    label("a_copy.jpg", "a", "exact", sha256="1"),
    label("a_small.jpg", "a", "resized", sha256="2"),
    label("b.jpg", "b", "none", scene_id="s"),
]


def test_copies_moved_beside_their_original_are_found() -> None:
    result = score(TRUTH, [group("a.jpg", "a_copy.jpg", "a_small.jpg")])
    assert (result.moved["exact"], result.moved["resized"], result.wrong) == (1, 1, [])


def test_a_move_beside_another_photo_is_wrong() -> None:
    assert score(TRUTH, [group("a.jpg", "b.jpg")]).wrong == [("b.jpg", "a.jpg")]


def test_equal_bytes_credit_the_copy_whichever_is_kept_and_nothing_else() -> None:
    result = score(TRUTH, [group("a_copy.jpg", "a.jpg")])
    assert sum(result.moved.values()) == result.moved["exact"] == 1


def test_what_waits_in_review_is_found_but_not_moved() -> None:
    result = score(TRUTH, [group("a.jpg", review=("a_small.jpg",))])
    assert (result.moved["resized"], result.found["resized"]) == (0, 1)


def test_an_original_beside_a_lesser_copy_is_counted() -> None:
    assert score(TRUTH, [group("a_small.jpg", "a.jpg")]).lesser_kept == 1


@pytest.mark.parametrize("doubt", [{"relation": "uncertain"}, {"cross": "uncertain", "scene_id": "s"}])
def test_what_a_careful_person_could_not_say_is_not_scored(doubt: dict[str, Any]) -> None:
    truth = [TRUTH[3], {**label("c.jpg", "c", "none", scene_id="s"), **doubt}]
    assert score(truth, [group("b.jpg", "c.jpg")]).wrong == []


def test_half_a_unit_moved_is_torn_and_a_whole_one_is_not() -> None:
    truth = [
        label("x.heic", "x", "exact", pair_id="p"),
        label("x.mov", "xm", "exact", pair_id="p"),
        label("k.heic", "x", "original"),
        label("k.mov", "xm", "original"),
    ]
    assert score(truth, [group("k.heic", "x.heic")]).torn_units == 1
    assert score(truth, [group("k.heic", "x.heic"), group("k.mov", "x.mov")]).torn_units == 0
