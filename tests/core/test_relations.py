"""Typed relations: what each bar refuses, and that in doubt a person decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.bars import BAND_STD
from dedupd.core.dominance import Aspect, lost
from dedupd.core.photo import Candidate, Edge, Measures, Relation, Traits
from dedupd.core.relations import (
    Prospect,
    classify,
    copy_or_bracket,
    may_be_asked,
    may_hide_a_change,
    plainly_apart,
    provable,
    relatable,
    similar_at_best,
    thresholds_for,
    twins,
    worth_a_closer_look,
)

LITE = thresholds_for("lite0-gem/1")
A = Traits(
    content="a",
    recipe="1",
    model="lite0-gem/1",
    format="JPEG",
    width=800,
    height=600,
    phash=0,
    dhash=0,
    texture=9.0,
    jpeg_quality=92.0,
)
B = replace(A, content="b", jpeg_quality=80.0)


def contained(edge: Edge, mover: str) -> bool:
    """Whether the other end shows all of the picture in `mover`."""
    one, other = (A, B) if mover == "a" else (B, A)
    return not any(loss.aspect in {Aspect.AREA, Aspect.MARKS} for loss in lost(edge, one, other))


CLEAN: dict[str, float] = {
    "fine_ncc": 0.97,
    "tone": 0.01,
    "local": 0.97,
    "unlike": 0.0,
    "bad": 0.0,
    "beyond_a": 0.0,
    "beyond_b": 0.0,
}
COPY = Measures(
    method="identity",
    overlap_a=1.0,
    overlap_b=1.0,
    ncc=0.999,
    mean=0.5,
    worst=1.5,
    band_ncc=0.99,
    band_std=9.0,
    fine_worst=1.0,
    extra=CLEAN,
)
STAMP = {
    **CLEAN,
    "local": -0.1,
    "unlike": 0.01,
    "sign": 1.0,
    "thick": 0.0,
    "strokes_a": 2.0,
    "strokes_b": 30.0,
    "x0": 0.7,
    "x1": 0.95,
    "y0": 0.91,
    "y1": 0.94,
    "around": 0.97,
    "ground": 2.0,
    "fine_around": 2.0,
}
SHOT = {"camera": "Maker|One|7", "captured": 1000.0}
FRAME = replace(
    COPY,
    mean=4.0,
    worst=60.0,
    band_ncc=0.7,
    extra={**CLEAN, "local": -0.4, "fine_ncc": 0.5, "bad": 0.1, "written": 0.1, "island": 0.0},
)
UNREAD = {name: value for name, value in (FRAME.extra or {}).items() if name != "written"}


def judge(
    a: Traits = A,
    b: Traits = B,
    m: Measures | None = COPY,
    *,
    cosine: float | None = 0.97,
    distance: int = 2,
    same_month: bool = True,
    model: str = "lite0-gem/1",
) -> Edge | None:
    candidate = Candidate(a="a", b="b", cosine=cosine, hash_distance=distance)
    return classify(a, b, candidate, m, thresholds_for(model), same_month)


def outcome(edge: Edge | None) -> str:
    return "none" if edge is None else f"{edge.relation}{' moves' if edge.unattended else ''}"


def measured(**changes: object) -> Measures:
    """COPY with other values; names that are no field go into extra."""
    fields = {k: v for k, v in changes.items() if k in Measures.__slots__}
    extra = {k: v for k, v in changes.items() if k not in fields}
    return replace(COPY, **fields, extra={**CLEAN, **extra})  # type: ignore[arg-type,dict-item]


def test_a_pixel_exact_pair_is_a_copy_that_moves() -> None:
    edge = judge()
    assert edge is not None and outcome(edge) == "copy moves"
    assert edge.evidence.confidence > 0.95 and edge.evidence.model == "lite0-gem/1"


@pytest.mark.parametrize(
    "change",
    [
        {"worst": 20.0},
        {"mean": 6.0},
        {"local": 0.4},
        {"worst": 8.0, "local": 0.65},
        {"band_ncc": 0.8},
        {"fine_ncc": 0.5},
        {"tone": 1.0},
        {"flow50": 0.6},
        {"overlap_a": 0.85, "overlap_b": 0.85},
        {"overlap_b": 0.2},
        {"fine_worst": 20.0},
        {"fine_worst": None},
        {"through": 0.25},
        {"margin_a": 0.004, "margin_b": 0.004},
    ],
    ids=str,
)
def test_each_bar_of_a_copy_refuses_alone(change: dict[str, float]) -> None:
    edge = judge(m=measured(**change))
    assert edge is None or not edge.unattended


def test_few_inliers_prove_nothing() -> None:
    assert outcome(judge(m=measured(method="orb", inliers=40))) == "copy moves"
    assert outcome(judge(m=measured(method="orb", inliers=9))) != "copy moves"


def test_without_measures_only_a_likeness_is_left() -> None:
    assert outcome(judge(m=None)) == "similar"
    assert outcome(judge(m=Measures())) == "similar"


@pytest.mark.parametrize("flat", [{"texture": 0.4}, None])
def test_sky_and_fog_are_never_copies(flat: dict[str, float] | None) -> None:
    a, m = (replace(A, texture=0.4), COPY) if flat else (A, measured(band_std=0.4))
    assert outcome(judge(a, B, m)) == "none"


@pytest.mark.parametrize("change", [{"texture": 0.2}, {"width": 16}, {"height": 9}], ids=str)
def test_blank_and_tiny_pictures_match_by_their_bytes_alone(change: dict[str, float]) -> None:
    a, b = replace(A, **SHOT, **change), replace(B, **SHOT)  # type: ignore[arg-type]
    assert not provable(a, b) and not provable(b, a) and provable(A, B)
    assert judge(a, b) is None


def test_text_moves_only_when_proven_at_high_resolution() -> None:
    page = replace(A, text_like=True)
    assert outcome(judge(page, m=replace(COPY, fine_worst=3.0))) == "copy moves"
    assert outcome(judge(page, m=replace(COPY, fine_worst=5.0))) == "copy"
    assert outcome(judge(page, m=replace(COPY, fine_worst=30.0))) == "copy"
    assert outcome(judge(page, m=replace(COPY, fine_worst=None))) == "copy"


def test_another_text_in_the_same_place_is_not_even_asked_about() -> None:
    page, other = replace(A, text_like=True), replace(B, text_like=True)
    receipt = measured(fine_worst=120.0, local=-0.3, unlike=0.06)
    card = measured(fine_worst=120.0, local=-0.3, unlike=0.01, sign=0.6, strokes_a=30.0, strokes_b=28.0)
    assert outcome(judge(page, other, receipt)) == "none"
    assert outcome(judge(page, other, card)) == "none"


def test_two_stamps_of_time_are_two_exposures() -> None:
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1100.0})
    assert outcome(judge(a, b)) != "copy moves"
    lost_subsec = replace(B, **{**SHOT, "captured": 1000.73})
    assert outcome(judge(a, lost_subsec)) == "copy moves"
    assert outcome(judge(a, B)) == "copy moves", "a copy without EXIF is still a copy"


def test_two_cameras_are_two_exposures() -> None:
    a, b = replace(A, **SHOT), replace(B, camera="Maker|Two|8", captured=1000.0)
    assert outcome(judge(a, b)) == "copy"


def test_a_bracket_waits_and_a_known_edit_does_not() -> None:
    a, b = replace(A, **SHOT), replace(B, **SHOT)
    darker = measured(tone=0.5, flow50=0.05, flow_share=1.0)
    assert outcome(judge(a, b, darker)) == "copy"
    assert outcome(judge(a, replace(b, software="GIMP 2.10"), darker)) == "copy moves"


def test_files_that_tell_how_they_were_exposed_settle_it() -> None:
    a, b = replace(A, **SHOT, exposure=3.0), replace(B, **SHOT, exposure=3.0)
    darker = measured(tone=0.5, flow50=0.05, flow_share=1.0)
    assert outcome(judge(a, b, darker)) == "copy moves", "one exposure: an edit"
    assert outcome(judge(a, replace(b, exposure=3.7))) == "copy", "two, though they look the same"
    assert outcome(judge(a, replace(b, captured=1000.5, exposure=4.0), FRAME)) == "burst"


TWIN = replace(A, content="b")
SHOT_AGAIN = {"rest": 1.5, "rest_worst": 4.0}


@pytest.mark.parametrize("measure", [SHOT_AGAIN, {"rest": 0.2, "rest_worst": 6.0}, {}], ids=str)
def test_two_frames_of_a_fixed_camera_without_a_clock_wait(measure: dict[str, float]) -> None:
    assert outcome(judge(A, TWIN, measured(**measure))) == "similar"
    assert outcome(judge(replace(A, **SHOT), TWIN, measured(**measure))) == "similar"


def test_twins_that_hardly_differ_are_one_photo_saved_again() -> None:
    assert outcome(judge(A, TWIN, measured(rest=0.3, rest_worst=1.0))) == "copy moves"


@pytest.mark.parametrize(
    "change",
    [
        {"jpeg_quality": 85.0},
        {"width": 640},
        {"format": "PNG"},
        {"subsampling": "4:4:4"},
        {"jpeg_quality": None},
    ],
    ids=str,
)
def test_another_size_or_compression_is_no_twin(change: dict[str, object]) -> None:
    other = replace(TWIN, **change)  # type: ignore[arg-type]
    assert twins(A, TWIN) and not twins(A, other)
    assert outcome(judge(A, other, measured(**SHOT_AGAIN))) == "copy moves"


def test_a_turned_twin_is_a_twin_and_two_clocks_make_none() -> None:
    assert twins(A, replace(TWIN, width=A.height, height=A.width))
    assert not twins(replace(A, **SHOT), replace(TWIN, **SHOT))
    by_hand = {"captured": 1000.0}
    assert twins(replace(A, **by_hand), replace(TWIN, **by_hand)), "a date that no camera wrote is no clock"


@pytest.mark.parametrize(
    "change",
    [
        {"worst": 30.0, "local": 0.1},
        {"mean": 6.0},
        {"fine_ncc": 0.3},
        {"band_std": 0.4},
        {"method": "none"},
        {"tone": 1.2},
    ],
    ids=str,
)
def test_a_closer_look_is_spared_where_it_could_prove_nothing(change: dict[str, object]) -> None:
    assert worth_a_closer_look(COPY)
    assert not worth_a_closer_look(measured(**change))


def test_a_date_stamp_moves_beside_the_plain_photo_and_never_the_other_way() -> None:
    stamped = measured(worst=30.0, **STAMP)
    edge = judge(m=stamped)
    assert edge is not None and outcome(edge) == "copy moves"
    assert contained(edge, "b") and not contained(edge, "a")


@pytest.mark.parametrize(
    "change",
    [
        {"sign": 0.7, "strokes_a": 5.0},
        {"strokes_a": 25.0},
        {"thick": 0.3},
        {"y0": 0.4, "y1": 0.45},
        {"y0": 0.8, "y1": 0.97},
        {"x0": 0.9},
        {"around": 0.6},
        {"unlike": 0.05},
        {"ground": 0.9},
        {"fine_around": 20.0},
        {"fine_worst": None},
        {"mean": 3.0},
    ],
    ids=str,
)
def test_what_is_no_stamp_waits(change: dict[str, float]) -> None:
    edge = judge(m=measured(**{"worst": 30.0, **STAMP, **change}))
    assert edge is not None and not edge.unattended


def test_a_stamp_too_faint_for_the_first_look_is_found_by_the_closer_one() -> None:
    faint = measured(worst=5.0, fine_worst=48.0, **{**STAMP, "local": 0.9})
    edge = judge(m=faint)
    assert edge is not None and outcome(edge) == "copy moves"
    assert contained(edge, "b") and not contained(edge, "a"), "the stamped one moves, not the clean one"
    assert outcome(judge(m=measured(worst=5.0, fine_worst=48.0))) == "copy"


def test_a_stamp_with_a_shadow_is_known_by_its_strokes() -> None:
    assert outcome(judge(m=measured(worst=30.0, **{**STAMP, "sign": 0.5}))) == "copy moves"


def test_a_watermark_may_lie_anywhere_when_the_picture_shows_through() -> None:
    mark = {**STAMP, "y0": 0.4, "y1": 0.52, "unlike": 0.04}
    assert outcome(judge(m=measured(worst=30.0, **mark, through=0.85))) == "copy moves"
    assert outcome(judge(m=measured(worst=30.0, **mark, through=0.4))) == "copy"
    assert outcome(judge(m=measured(worst=30.0, **{**mark, "sign": 0.7}, through=0.85))) == "copy"
    assert outcome(judge(m=measured(worst=30.0, **{**mark, "thick": 0.5}, through=0.85))) == "copy"


def test_what_was_written_on_even_ground_waits_unless_it_stands_alone_on_a_sky() -> None:
    alone = {**STAMP, "ground": 0.6, "ink": 0.001}
    assert outcome(judge(m=measured(worst=30.0, **alone))) == "copy moves"
    assert outcome(judge(m=measured(worst=30.0, **{**alone, "ink": 0.02}))) == "copy"
    assert outcome(judge(m=measured(worst=30.0, **{**alone, "ground": 0.4}))) == "copy"


def test_a_stamp_that_reads_like_text_makes_no_page_of_the_photo() -> None:
    stamped, page = replace(B, text_like=True), replace(A, text_like=True)
    assert outcome(judge(A, stamped, m=measured(worst=30.0, fine_worst=60.0, **STAMP))) == "copy moves"
    assert outcome(judge(page, stamped, m=measured(worst=30.0, fine_worst=60.0, **STAMP))) == "copy"
    alone = {**STAMP, "ink": 0.001}
    assert outcome(judge(page, stamped, m=measured(worst=30.0, fine_worst=60.0, **alone))) == "copy moves"


def test_text_with_something_written_on_it_waits_however_well_the_rest_agrees() -> None:
    page = replace(A, text_like=True)
    assert outcome(judge(page, m=measured(worst=30.0, **STAMP))) == "copy"
    around = {**STAMP, "fine_around": 40.0}
    assert outcome(judge(page, m=measured(worst=30.0, fine_worst=60.0, **around))) == "copy"
    assert outcome(judge(page, m=measured(worst=30.0, fine_worst=60.0, **STAMP))) == "copy"
    assert outcome(judge(page, m=measured(worst=30.0, fine_worst=3.0, **STAMP))) == "copy"


def test_a_template_and_what_was_made_of_it_are_twins() -> None:
    assert outcome(judge(A, TWIN, measured(worst=30.0, rest=2.0, rest_worst=40.0, **STAMP))) == "similar"


def burst(seconds: float = 0.5, m: Measures = FRAME, cosine: float = 0.95, model: str = "lite0-gem/1") -> str:
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1000.0 + seconds})
    return outcome(judge(a, b, m, cosine=cosine, model=model))


def frame(**changes: object) -> Measures:
    fields = {k: v for k, v in changes.items() if k in Measures.__slots__}
    extra = {k: v for k, v in changes.items() if k not in fields}
    return replace(FRAME, **fields, extra={**(FRAME.extra or {}), **extra})  # type: ignore[arg-type,dict-item]


def test_another_frame_of_the_same_moment_moves() -> None:
    assert burst() == "burst moves"


def test_what_is_no_sure_burst_waits() -> None:
    assert burst(seconds=6.0) == "burst"
    assert burst(cosine=0.8) == "burst"
    assert burst(m=frame(overlap_a=0.7)) == "burst"
    assert burst(m=frame(mean=13.0)) == "burst"
    assert burst(m=frame(bad=0.6)) == "burst"
    assert burst(m=frame(tone=0.5)) == "burst"


def test_other_writing_in_the_same_place_is_no_burst() -> None:
    assert burst(m=frame(written=0.3)) == "burst moves"
    assert burst(m=frame(written=0.6)) == "burst"


def test_people_before_a_bright_wall_are_no_page() -> None:
    page = replace(A, **SHOT, text_like=True), replace(B, **{**SHOT, "captured": 1000.5}, text_like=True)
    assert outcome(judge(*page, frame(worst=60.0))) == "burst moves"


def test_what_was_changed_in_its_place_is_no_burst() -> None:
    assert burst(m=frame(island=0.07)) == "burst moves"
    assert burst(m=frame(island=0.1)) == "burst"
    unseen = {name: value for name, value in (FRAME.extra or {}).items() if name != "island"}
    assert burst(m=replace(FRAME, extra=unseen)) == "burst", "it was not looked for"


def test_nor_a_copy_where_the_clock_says_that_it_was_shot_twice() -> None:
    changed = measured(island=0.3)
    one = replace(A, **SHOT)
    assert (
        outcome(judge(one, replace(B, **{**SHOT, "captured": 1000.3}), measured(island=0.0))) == "copy moves"
    )
    assert outcome(judge(one, replace(B, **{**SHOT, "captured": 1000.3}), changed)) != "copy moves"
    assert outcome(judge(one, replace(B, **SHOT), changed)) == "copy moves", (
        "what was drawn on a copy is judged elsewhere"
    )
    twin = replace(
        B, **SHOT, width=A.width, height=A.height, jpeg_quality=A.jpeg_quality, subsampling=A.subsampling
    )
    assert outcome(judge(one, twin, changed)) != "copy moves", "a clock that counts whole seconds"


def test_a_change_is_looked_for_where_two_shots_would_move() -> None:
    may = Prospect(burst=True, shot_twice=True)
    assert may_hide_a_change(FRAME, may) and may_hide_a_change(measured(), may)
    assert not may_hide_a_change(measured(), Prospect(burst=True)), "a sure copy"
    assert not may_hide_a_change(FRAME, Prospect())
    assert not may_hide_a_change(frame(written=0.6), may) and not may_hide_a_change(frame(bad=0.6), may)


def test_a_burst_at_all_its_bars_at_once_waits_and_lessons_may_free_it() -> None:
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1002.0})
    edge = judge(
        a,
        b,
        frame(overlap_a=0.82, overlap_b=0.82, ncc=0.88, mean=10.0, worst=200.0, flow50=0.6, flow_share=0.5),
        cosine=0.88,
        distance=30,
    )
    assert edge is not None and edge.relation is Relation.BURST and not edge.unattended
    assert edge.graded and edge.why.endswith("% sure")


def test_a_burst_whose_difference_was_not_read_waits() -> None:
    assert burst(m=replace(FRAME, extra=UNREAD)) == "burst"


def test_a_page_that_took_too_long_for_a_burst_is_no_matter_of_degree() -> None:
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1006.0})
    for text, graded in ((True, False), (False, True)):
        by_hand = replace(FRAME, extra={**UNREAD, "flow50": 0.6, "flow_share": 0.5})
        edge = judge(replace(a, text_like=text), b, by_hand)
        assert edge is not None and not edge.unattended and edge.graded is graded


def test_a_fixed_camera_sees_somebody_else_after_a_moment() -> None:
    fixed = {"flow50": 0.02, "flow_share": 0.9}
    assert burst(seconds=0.5, m=frame(**fixed)) == "burst moves"
    assert burst(seconds=1.5, m=frame(**fixed)) == "burst"
    assert burst(seconds=1.5) == "burst", "frames that needed no refining did not move at all"
    assert burst(seconds=1.5, m=frame(flow50=0.6, flow_share=0.5)) == "burst moves", "a hand moves"


def test_an_edit_of_one_shot_is_no_burst() -> None:
    assert burst(seconds=0.0, m=frame(flow50=0.02, flow_share=0.95)) == "burst"


def test_bursts_need_the_camera_and_the_time_of_both() -> None:
    without = [(replace(A, camera=""), B), (replace(A, **SHOT), B), (A, B)]
    for a, b in without:
        assert outcome(judge(a, b, FRAME)) != "burst moves"
    assert burst(seconds=3600.0) == "similar"


def test_an_unknown_embedder_moves_no_burst_and_hashes_alone_neither() -> None:
    assert burst(model="open_clip:other") == "burst"
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1000.5})
    assert outcome(judge(a, b, FRAME, cosine=None, model="")) == "burst"
    assert thresholds_for("open_clip:other").calibrated is False


def test_similar_needs_the_cosine_and_the_month() -> None:
    apart = replace(FRAME, method="none", extra=None, overlap_a=0.0, overlap_b=0.0)
    assert outcome(judge(m=apart, cosine=0.86)) == "similar"
    assert outcome(judge(m=apart, cosine=0.84)) == "none"
    assert outcome(judge(m=apart, cosine=0.86, same_month=False)) == "none"
    assert outcome(judge(same_month=False)) == "copy moves"


def test_a_person_may_widen_review_but_not_moves() -> None:
    wide = thresholds_for("lite0-gem/1", similar=0.5)
    assert wide.similar == 0.5 and wide.burst == LITE.burst
    candidate = Candidate(a="a", b="b", cosine=0.6, hash_distance=30)
    edge = classify(A, B, candidate, None, wide, True)
    assert edge is not None and edge.relation is Relation.SIMILAR and not edge.unattended


def test_the_order_of_the_traits_does_not_matter() -> None:
    candidate = Candidate(a="a", b="b", cosine=0.97, hash_distance=2)
    assert classify(A, B, candidate, COPY, LITE, True) == classify(B, A, candidate, COPY, LITE, True)


SHARES = st.floats(0.0, 1.0)
MEASURES = st.builds(
    lambda extra, fields: measured(**fields, **extra),
    st.fixed_dictionaries(
        {}, optional={"local": st.floats(-1, 1), "fine_ncc": SHARES, "tone": st.floats(0, 2), "flow50": SHARES, "flow_share": SHARES}
    ),
    st.fixed_dictionaries(
        {"method": st.sampled_from(["identity", "orb", "none"]), "inliers": st.integers(0, 300)},
        optional={"overlap_a": SHARES, "overlap_b": SHARES, "ncc": SHARES, "mean": st.floats(0, 20), "worst": st.floats(0, 60),
                  "band_ncc": SHARES, "band_std": st.floats(0, 20), "fine_worst": st.floats(0, 99)},
    ),
)  # fmt: skip
MOMENTS = st.one_of(st.none(), st.floats(0, 200))


@given(
    m=MEASURES,
    one=MOMENTS,
    other=MOMENTS,
    cosine=st.floats(0.7, 1.0),
    camera=st.sampled_from(["", SHOT["camera"]]),
)
def test_what_is_not_aligned_for_its_clock_could_be_nothing_across_months(
    m: Measures, one: float | None, other: float | None, cosine: float, camera: str
) -> None:
    a, b = replace(A, captured=one, camera=camera), replace(B, captured=other, camera=camera)
    if not relatable(a, b, 18, same_month=False):
        assert judge(a, b, m, cosine=cosine, distance=18, same_month=False) is None


@given(
    m=MEASURES,
    apart=st.floats(0, 200),
    cosine=st.floats(0.7, 1.0),
    distance=st.integers(0, 32),
    cameras=st.sampled_from(
        [("", ""), (SHOT["camera"], ""), (SHOT["camera"], "Other|Two|8"), (SHOT["camera"],) * 2]
    ),
    text=st.booleans(),
)
def test_what_is_not_aligned_within_a_month_is_what_it_would_be_aligned(
    m: Measures, apart: float, cosine: float, distance: int, cameras: tuple[str, str], text: bool
) -> None:
    a = replace(A, captured=1000.0, camera=cameras[0], text_like=text)
    b = replace(B, captured=1000.0 + apart, camera=cameras[1])
    if not similar_at_best(a, b, Candidate(a="a", b="b", cosine=cosine, hash_distance=distance)):
        return
    aligned, bare = (judge(a, b, x, cosine=cosine, distance=distance) for x in (m, None))
    if aligned is None:  # too little texture where they overlap
        assert bare is None or m.band_std < 1.0
        return
    assert bare is not None
    assert (outcome(bare), bare.why) == (outcome(aligned), aligned.why) == ("similar", aligned.why)


def test_what_is_worth_aligning_within_a_month() -> None:
    one = replace(A, **SHOT)  # type: ignore[arg-type]
    soon, later = replace(one, content="b", captured=1040.0), replace(one, content="b", captured=1046.0)
    far = Candidate(a="a", b="b", cosine=0.9, hash_distance=18)
    assert similar_at_best(one, later, far)
    assert not similar_at_best(one, soon, far), "may be a burst"
    assert similar_at_best(one, replace(soon, camera="Other|Two|8"), far), "no burst of two cameras"
    assert not similar_at_best(one, replace(later, captured=1001.0, camera=""), far), "may be a copy"
    assert not similar_at_best(one, replace(later, captured=None), far), "may be a copy without its date"
    assert not similar_at_best(one, replace(later, text_like=True), far), "may be another page"
    assert not similar_at_best(one, later, replace(far, hash_distance=6)), "nearly the same picture"
    assert not similar_at_best(one, later, replace(far, cosine=None)), "only an alignment tells"


def test_what_is_worth_aligning_across_months() -> None:
    one, other = replace(A, **SHOT), replace(B, **SHOT)  # type: ignore[arg-type]
    seconds_later, days_later = replace(other, captured=1040.0), replace(other, captured=1e6)
    assert relatable(one, other, 18, same_month=False)
    assert relatable(one, seconds_later, 18, same_month=False)
    assert not relatable(one, replace(seconds_later, camera="Other|Two|8"), 18, same_month=False)
    assert not relatable(one, days_later, 0, same_month=False)
    assert relatable(one, days_later, 18, same_month=True)
    assert relatable(one, B, 18, same_month=False)
    twin = replace(A, content="b")
    assert relatable(A, twin, 6, same_month=False) and relatable(A, twin, 18, same_month=True)
    assert not relatable(A, twin, 8, same_month=False)
    assert not relatable(replace(A, texture=0.1), B, 0, same_month=True)


LOST = Measures()
"""Nothing of one could be laid over the other."""


@pytest.mark.parametrize("m", [LOST, replace(FRAME, ncc=0.5), replace(FRAME, overlap_a=0.4, overlap_b=0.4)])
@pytest.mark.parametrize("apart", [0.0, 0.4, 1.0, 3.0])
def test_one_camera_a_moment_later_is_asked_about_however_far_the_hand_moved(
    m: Measures, apart: float
) -> None:
    a, b = replace(A, **SHOT), replace(B, **{**SHOT, "captured": 1000.0 + apart})
    edge = judge(a, b, m, cosine=0.78)
    assert edge is not None
    assert (edge.relation, edge.unattended, edge.graded) == (Relation.BURST, False, False)


@pytest.mark.parametrize(
    ("later", "cosine"), [({"captured": 1003.2}, 0.78), ({}, 0.74), ({"camera": "Maker|Two|9"}, 0.78)]
)
def test_another_moment_camera_or_subject_is_not(later: dict[str, object], cosine: float) -> None:
    a, b = replace(A, **SHOT), replace(B, **(SHOT | later))
    assert outcome(judge(a, b, LOST, cosine=cosine)) == "none"


def test_text_in_a_frame_that_moved_by_hand_is_asked_about() -> None:
    sign, again = replace(A, text_like=True), replace(B, text_like=True)
    differs = {**CLEAN, "local": -0.3, "unlike": 0.08, "fine_ncc": 0.2}
    moved = replace(
        FRAME, method="orb", inliers=60, overlap_b=0.92, ncc=0.96, fine_worst=120.0, extra=differs
    )
    assert outcome(judge(sign, again, moved, cosine=0.93)) == "similar"
    for layout in (replace(moved, overlap_b=0.99), replace(moved, ncc=0.85), replace(moved, inliers=9)):
        assert outcome(judge(sign, again, layout, cosine=0.93)) == "none"
    an_hour = replace(sign, captured=1000.0), replace(again, captured=4600.0)
    assert outcome(judge(*an_hour, moved, cosine=0.93)) == "none"


def test_few_details_that_agree_to_the_finest_are_asked_about() -> None:
    bubble = measured(method="orb", inliers=10, overlap_b=0.5)
    assert outcome(judge(m=bubble)) == "copy"
    for doubtful in (replace(bubble, band_ncc=0.9), measured(method="orb", inliers=10, fine_ncc=0.8)):
        assert outcome(judge(m=doubtful, cosine=0.8)) == "none"


def test_a_raw_and_what_was_developed_from_it_are_one_photo_in_two_forms() -> None:
    """RAW in one folder and JPEG in another are no thousand questions (P10); a picture that lost its camera is asked about."""
    raw = replace(A, format="RAW", camera="Maker|One|123", captured=1000.0)
    picture = replace(B, camera="Maker|One|", captured=1000.4)
    same = Candidate(a="a", b="b", cosine=0.99, hash_distance=0)
    assert not relatable(raw, picture, 0, same_month=True)
    assert classify(raw, picture, same, measured(), LITE, same_month=True) is None
    for other in (
        replace(picture, camera=""), replace(picture, captured=None), replace(picture, camera="Maker|Two|"),
        replace(picture, format="RAW"), replace(picture, captured=1005.0),
    ):  # fmt: skip
        assert relatable(raw, other, 0, same_month=True)


NOT_ASKED, STRANGERS = Prospect(asked=False), Prospect(asked=False, by_hashes=False)
_SEEN = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["identity", "orb"]),
        "inliers": st.integers(10, 60),
        "mean": st.floats(0, 4.5),
        "worst": st.floats(0, 20),
        **{name: st.floats(0.8, 1) for name in ("overlap_a", "overlap_b", "ncc", "band_ncc", "fine_ncc")},
        **{name: st.floats(0.4, 1) for name in ("local", "around", "through")},
        **{name: st.floats(0.5, 1) for name in ("sign", "y0", "x0")},
        **{name: st.floats(0, 0.4) for name in ("tone", "flow50")},
        **{name: st.floats(0, 0.004) for name in ("margin_a", "margin_b", "ink")},
        **{name: st.floats(0, 0.04) for name in ("thick", "unlike")},
        **{name: st.floats(0, 20) for name in ("strokes_a", "strokes_b")},
        "ground": st.floats(0, 3),
        "high": st.floats(0, 0.2),
        "wide": st.floats(0, 0.5),
    }
)


@given(_SEEN, st.floats(0.98, 1.02))
def test_what_is_worth_a_closer_look_is_never_settled_by_kept_pictures(
    seen: dict[str, float], off: float
) -> None:
    seen = {**seen, "y1": seen["y0"] + seen.pop("high"), "x1": seen["x0"] + seen.pop("wide")}
    kept = {**seen, **{name: off * seen[name] for name in ("mean", "worst", "band_ncc", "fine_ncc", "local")}}
    if worth_a_closer_look(measured(**seen)):
        assert not plainly_apart(measured(**kept), STRANGERS)


def test_kept_pictures_settle_what_is_far_from_every_bar() -> None:
    assert plainly_apart(Measures(), Prospect())
    assert plainly_apart(replace(FRAME, band_ncc=0.6, fine_worst=None), Prospect())
    assert plainly_apart(measured(worst=60.0, local=-0.4), NOT_ASKED)
    assert not plainly_apart(measured(worst=60.0, local=-0.4), Prospect()), (
        "a person is asked, and may say yes"
    )
    assert plainly_apart(measured(overlap_a=0.6, overlap_b=0.5), Prospect())


_WRITTEN = [{}, {"written": 0.1}, {"written": 0.9}]


@given(
    seen=st.fixed_dictionaries(
        {
            "mean": st.floats(0, 4.2),
            "worst": st.floats(0, 12.5),
            "fine_worst": st.floats(0, 5),
            **{
                name: st.floats(0.88, 1) for name in ("overlap_a", "overlap_b", "ncc", "band_ncc", "fine_ncc")
            },
            **{name: st.floats(0.65, 1) for name in ("local", "through")},
            **{name: st.floats(0, 0.25) for name in ("tone", "flow50")},
            **{name: st.floats(0, 0.05) for name in ("beyond_a", "beyond_b")},
        }
    ),
    apart=st.floats(0, 1.2),
    stops=st.sampled_from([0.0, 0.1, 1.0]),
    text=st.booleans(),
    cosine=st.floats(0.7, 1),
)
def test_where_writing_is_not_asked_about_it_would_change_nothing(
    seen: dict[str, float], apart: float, stops: float, text: bool, cosine: float
) -> None:
    one = replace(A, **SHOT, exposure=9.0)
    other = replace(B, **{**SHOT, "captured": 1000.0 + apart}, exposure=9.0 + stops, text_like=text)
    if copy_or_bracket(measured(**seen), Prospect(burst=True, asked=may_be_asked(one, other))):
        edges = [judge(one, other, measured(**seen, **written), cosine=cosine) for written in _WRITTEN]
        assert len({edge and (edge.relation, edge.unattended, edge.why, edge.graded) for edge in edges}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"fine_worst": 5.0}, {"fine_worst": None}, {"tone": 0.25}, {"beyond_a": 0.04, "beyond_b": 0.04}, {"mean": 5.0},
        {"through": 0.3}, {"worst": 14.0},
    ],
)  # fmt: skip
def test_writing_is_asked_about_where_a_copy_may_be_doubted(change: dict[str, object]) -> None:
    assert copy_or_bracket(measured(), Prospect(burst=True))
    assert not copy_or_bracket(measured(**change), Prospect(burst=True))
    assert not copy_or_bracket(measured(), Prospect(burst=True, asked=False))


@pytest.mark.parametrize(
    "change",
    [
        {"worst": 14.0}, {"mean": 4.5}, {"worst": 8.0, "local": 0.65}, {"band_ncc": 0.82}, {"fine_ncc": 0.5}, {"flow50": 0.35},
        {"worst": 10.0, "local": 0.6}, {"overlap_a": 0.87, "overlap_b": 0.87}, {"tone": 0.85},
        {"margin_a": 0.003, "margin_b": 0.01}, {"margin_a": 0.01, "margin_b": 0.003},
    ],
)  # fmt: skip
def test_what_lies_near_a_bar_is_decoded(change: dict[str, float]) -> None:
    assert not worth_a_closer_look(measured(**change))
    assert not plainly_apart(measured(**change), STRANGERS)


@pytest.mark.parametrize(
    "change",
    [
        {"around": 0.78},
        {"y0": 0.79, "y1": 0.83},
        {"y0": 0.87, "y1": 0.995},
        {"ink": 0.006, "ground": 0.68},
        {"ink": 0.002, "ground": 0.4},
        {"strokes_a": 5.0, "sign": 0.85},
        {"strokes_a": 10.0, "sign": 0.92},
        {"strokes_a": 13.0},
        {"y0": 0.5, "y1": 0.6, "through": 0.65},
        {"thick": 0.03},
        {"unlike": 0.04},
        {"mean": 2.5},
    ],
)
def test_what_is_nearly_a_stamp_is_decoded(change: dict[str, float]) -> None:
    assert worth_a_closer_look(measured(**STAMP))
    assert not worth_a_closer_look(measured(**STAMP | change))
    assert not plainly_apart(measured(**STAMP | change), STRANGERS)
    assert plainly_apart(measured(**STAMP | {"around": 0.4}), NOT_ASKED)


def test_whether_a_person_is_asked_is_not_settled_near_that_bar() -> None:
    near, below = (measured(band_ncc=band, mean=9.0) for band in (0.72, 0.6))
    assert not plainly_apart(near, Prospect())
    assert plainly_apart(near, STRANGERS)
    assert plainly_apart(below, Prospect())


def test_a_hint_of_an_alignment_is_decoded() -> None:
    """Of two kept pictures with few features seven may agree, and of their files twelve."""
    assert plainly_apart(Measures(extra={"faint": 5.0}), Prospect())
    assert not plainly_apart(Measures(extra={"faint": 6.0}), STRANGERS)


def test_alike_and_with_little_texture_is_decoded() -> None:
    """Dark ones and skies measured 20 grey levels apart by kept pictures, and 7 by their files."""
    seen = measured(worst=22.0, local=0.6)
    assert plainly_apart(replace(seen, band_std=9.0), STRANGERS)
    assert not plainly_apart(replace(seen, band_std=2.4), STRANGERS)


def test_so_faint_that_kept_pictures_show_half_of_it_is_decoded() -> None:
    """Less texture than a copy needs is left of it by their compression, where whole pictures are not that alike either."""
    faint = measured(ncc=0.8, local=0.95)
    assert not plainly_apart(replace(faint, band_std=0.5 * BAND_STD), STRANGERS)
    assert plainly_apart(replace(faint, band_std=0.45 * BAND_STD), STRANGERS)


def test_what_hashes_alone_may_show_as_look_alikes_is_not_settled_near_that_bar() -> None:
    near = replace(FRAME, method="orb", inliers=11, overlap_b=0.1, ncc=0.99, band_ncc=0.9)
    assert plainly_apart(near, Prospect(by_hashes=False))
    assert not plainly_apart(near, Prospect())
    assert plainly_apart(replace(near, inliers=30), Prospect())


def test_a_person_is_asked_about_what_is_neither_of_two_moments_nor_of_one_pipeline() -> None:
    one = replace(A, captured=None, camera="")
    other = replace(one, width=900)
    assert may_be_asked(one, other)
    assert not may_be_asked(one, replace(other, width=one.width))
    assert not may_be_asked(replace(one, captured=1000.0), replace(other, captured=1002.0))


@pytest.mark.parametrize(("ncc", "settled"), [(0.55, True), (0.65, False), (0.8, False)])
def test_a_burst_is_not_settled_near_its_bar(ncc: float, settled: bool) -> None:
    assert plainly_apart(replace(FRAME, band_ncc=0.5, ncc=ncc), Prospect(moment=True)) == settled
