"""What verdicts teach: their own kind of pair, no more; and an error rate that holds."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.bars import PROMISED_RATE
from dedupd.core.confidence import calibration_for
from dedupd.core.lessons import (
    Lesson,
    Lessons,
    distrusted_bar,
    lesson,
    likeness,
    pair_of,
    promised_bar,
)
from dedupd.core.photo import Edge, Evidence, Measures, Relation, Traits

SHIPPED = calibration_for("lite0-gem/1")
COPY = Measures(
    method="identity", overlap_a=1.0, overlap_b=1.0, ncc=0.999, mean=0.5, worst=1.5, band_ncc=0.99, band_std=9.0,
    extra={"fine_ncc": 0.97, "tone": 0.01, "local": 0.97, "flow50": 0.05},
)  # fmt: skip
ALIKE = replace(COPY, ncc=0.8, mean=9.0, worst=60.0, band_ncc=0.3, extra={"fine_ncc": 0.1, "local": -0.2})
WHITEBOARDS, BEACHES = 0, (1 << 128) - 1
"""Gists of two families: opposite directions."""


def photo(content: str, family: int = WHITEBOARDS, flipped: int = 0) -> Traits:
    """Of a family: `flipped` of the 128 bits of its gist differ."""
    gist = family ^ ((1 << flipped) - 1)
    return Traits(
        content=content, recipe="2", model="lite0-gem/1", format="JPEG", width=800, height=600, phash=0, dhash=0,
        texture=9.0, simhash=f"{gist:032x}",
    )  # fmt: skip


def pair(
    measures: Measures = ALIKE, relation: Relation = Relation.SIMILAR, *, unattended: bool = False
) -> Edge:
    proof = Evidence(cosine=0.9, hash_distance=12, measures=measures, confidence=0.5)
    return Edge(a="a", b="b", relation=relation, unattended=unattended, evidence=proof)


def said(
    count: int, edge: Edge, *, duplicates: bool = False, family: int = WHITEBOARDS, first: int = 1
) -> list[Lesson]:
    return [
        lesson(first + n, photo("a", family, n % 9), photo("b", family, n % 7), edge, SHIPPED, duplicates=duplicates)
        for n in range(count)
    ]  # fmt: skip


def left(lessons: list[Lesson], edge: Edge, family: int = WHITEBOARDS) -> Edge | None:
    taught = Lessons(shipped=SHIPPED, lessons=tuple(lessons))
    return taught.judged(edge, photo("a", family, 5), photo("b", family, 3))


def test_one_veto_is_about_its_own_pair() -> None:
    assert left(said(1, pair()), pair()) is not None


def test_vetoes_of_a_family_end_the_asking_about_it() -> None:
    assert left(said(5, pair()), pair()) is None


def test_two_vetoes_of_pairs_half_alike_are_a_family_and_one_is_none() -> None:
    half = [
        lesson(n, photo("a", flipped=42), photo("b", flipped=40), pair(), SHIPPED, duplicates=False)
        for n in (1, 2)
    ]
    assert 0.35 < likeness(half[0].pair, pair_of(photo("a", flipped=5), photo("b", flipped=3), pair())) < 0.5
    assert left(half[:1], pair()) is not None
    assert left(half, pair()) is None
    assert left(said(1, pair()), pair()) is not None, "however alike"


def test_another_family_is_still_asked_about() -> None:
    assert left(said(50, pair()), pair(), family=BEACHES) == pair()


def test_copies_of_the_same_family_still_move() -> None:
    copy = pair(COPY, Relation.COPY, unattended=True)
    found = left(said(50, pair()), copy)
    assert found == copy


def test_approvals_speak_for_what_vetoes_speak_against() -> None:
    assert left([*said(5, pair()), *said(9, pair(), duplicates=True, first=50)], pair()) is not None


def test_vetoes_of_what_moved_unasked_make_its_kind_wait() -> None:
    """A shipped proof that was wrong weighs by how sure it was."""
    copy = pair(COPY, Relation.COPY, unattended=True)
    found = left(said(5, copy), copy)
    assert found is not None and not found.unattended and "you said" in found.why


def test_equal_bytes_are_beyond_any_lesson() -> None:
    exact = pair(COPY, Relation.EXACT, unattended=True)
    assert left(said(200, exact), exact) == exact


@given(st.randoms(use_true_random=False), st.integers(0, 12), st.integers(0, 12))
def test_lessons_are_a_set(order: random.Random, against: int, for_it: int) -> None:
    """Their order does not tell, so that forgetting one restores exactly what would be without it."""
    given_ = [*said(against, pair()), *said(for_it, pair(), duplicates=True, first=100)]
    shuffled = order.sample(given_, len(given_))
    one, other = left(given_, pair()), left(shuffled, pair())
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert abs(one.evidence.confidence - other.evidence.confidence) < 1e-12


def test_likeness_is_whole_for_the_pair_itself_either_way_round() -> None:
    a, b = photo("a", flipped=30), photo("b", flipped=9)
    assert likeness(pair_of(a, b, pair()), pair_of(b, a, pair())) == 1.0
    assert likeness(pair_of(a, b, pair()), pair_of(a, b, pair(COPY))) < 0.4
    assert likeness(pair_of(a, b, pair()), pair_of(a, b, pair(COPY, Relation.COPY, unattended=True))) == 0.0
    assert likeness(pair_of(a, b, pair()), pair_of(a, photo("c", BEACHES), pair())) < 0.5
    assert likeness(pair_of(a, b, pair()), pair_of(photo("c", BEACHES), photo("d", BEACHES), pair())) == 0.0


def test_hash_only_photos_are_compared_by_their_hashes() -> None:
    a, b = (replace(photo(c), simhash="", phash=7, dhash=9) for c in "ab")
    assert likeness(pair_of(a, b, pair()), pair_of(b, a, pair())) == 1.0
    assert likeness(pair_of(a, b, pair()), pair_of(photo("a"), photo("b"), pair())) > 0.5


# ---- the promised error rate of bursts


def burst(confidence_like: Measures, *, unattended: bool, graded: bool = False) -> Edge:
    return replace(pair(confidence_like, Relation.BURST, unattended=unattended), graded=graded)


def test_too_few_outcomes_promise_nothing() -> None:
    assert promised_bar([(0.9, True)] * 298) is None
    assert promised_bar([(0.9, True)] * 299) == 0.9


def test_wrong_outcomes_keep_the_bar_up() -> None:
    good = [(0.9, True)] * 400
    assert promised_bar(good + [(0.5, False)] * 20 + [(0.5, True)] * 20) == 0.9
    assert promised_bar([*good[:300], *[(0.95, False)] * 10]) is None


def test_a_wrong_burst_among_few_is_heard_and_among_many_is_not() -> None:
    assert distrusted_bar([(0.8, False)]) == 0.8
    assert distrusted_bar([(0.8, False)] + [(0.9, True)] * 3) == 0.8
    assert distrusted_bar([(0.8, False)] + [(0.9, True)] * 300) is None
    assert distrusted_bar([(0.9, True)] * 3) is None


def test_bursts_no_surer_than_a_wrong_one_wait() -> None:
    wrong = burst(ALIKE, unattended=True)
    taught = Lessons(shipped=SHIPPED, lessons=tuple(said(1, wrong)))
    # Another family: only the outcome speaks, not likeness.
    found = taught.judged(wrong, photo("a", BEACHES), photo("b", BEACHES))
    assert found is not None and not found.unattended and "wrong" in found.why


def test_enough_right_outcomes_let_bursts_of_a_lesser_degree_move() -> None:
    waiting = burst(ALIKE, unattended=False, graded=True)
    few, many = (said(n, waiting, duplicates=True, family=BEACHES) for n in (100, 300))
    for lessons, moves in ((few, False), (many, True)):
        taught = Lessons(shipped=SHIPPED, lessons=tuple(lessons))
        found = taught.judged(waiting, photo("a"), photo("b"))
        assert found is not None and found.unattended is moves
    # What is wrong in kind stays with a person however often its like was right.
    kind = replace(waiting, graded=False)
    found = Lessons(shipped=SHIPPED, lessons=tuple(many)).judged(kind, photo("a"), photo("b"))
    assert found is not None and not found.unattended


def test_the_promise_is_broken_in_few_runs() -> None:
    """Reviewers whose bursts are wrong the more often the less sure: the bar taken is too low in at most 5 % of runs."""
    seeds, broken = 400, 0
    for seed in range(seeds):
        chance = random.Random(seed)

        def wrong_at(confidence: float) -> float:
            return 0.05 * (1 - confidence)  # 1 % at 0.8, 2.5 % at 0.5

        outcomes = [(c, chance.random() >= wrong_at(c)) for c in (chance.uniform(0.5, 1) for _ in range(900))]
        bar = promised_bar(outcomes)
        if bar is not None:
            # The mean over confidences from the bar to 1 of a linear error is the error at their middle.
            broken += wrong_at((bar + 1) / 2) > PROMISED_RATE
    assert broken <= 0.05 * seeds
