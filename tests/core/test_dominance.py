"""What would be lost if one file moved beside another: every aspect of P16, and the order it makes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.clusters import Node, stars
from dedupd.core.dominance import NOTHING, WAIVED, Aspect, lost
from dedupd.core.photo import Edge, Evidence, Holding, Measures, Relation, Traits

COLOURFUL = Holding(colour=12.0, tint=14.0)
PHOTO = Traits(
    content="a", recipe="1", model="", format="JPEG", width=4000, height=3000, phash=0, dhash=0, jpeg_quality=90.0
)  # fmt: skip
OTHER = replace(PHOTO, content="b")
MOVE = {relation: "review" if relation is Relation.SIMILAR else "move" for relation in Relation}


def edge(
    a: Holding = COLOURFUL, b: Holding = COLOURFUL, relation: Relation = Relation.COPY, *, one: str = "a",
    other: str = "b", **measured: Any,
) -> Edge:  # fmt: skip
    extra = {"beyond_a": 0.0, "beyond_b": 0.0, "rest": 2.0, **measured.pop("extra", {})}
    usual: dict[str, Any] = {"method": "identity", "overlap_a": 1.0, "overlap_b": 1.0, **measured}
    m = Measures(holds_a=a, holds_b=b, extra=extra, **usual)
    return Edge(
        a=one, b=other, relation=relation, unattended=True, evidence=Evidence(measures=m, confidence=0.9)
    )


def aspects(found: tuple[Any, ...]) -> set[str]:
    return {str(loss.aspect) for loss in found}


def test_equal_files_lack_nothing_of_each_other() -> None:
    assert lost(edge(), PHOTO, OTHER) == lost(edge(), OTHER, PHOTO) == ()


def dominates(one: Traits, other: Traits, pair: Edge, waived: frozenset[Aspect] = NOTHING) -> bool:
    """Whether `one` holds all that `other` holds, and more."""
    return not lost(pair, other, one, waived=waived) and bool(lost(pair, one, other, waived=waived))


@pytest.mark.parametrize(
    ("more", "aspect", "clause"),
    [
        ({"clip": "x", "clip_seconds": 2.4}, "clip", "has 2.4 s of film in it"),
        ({"further": ("gain map",)}, "further", "has a gain map behind its picture"),
        ({"further": ("12 frames",)}, "further", "has 12 frames behind its picture"),
        ({"further": ("stereo half",)}, "further", "has a stereo half behind its picture"),
        ({"depth": 16}, "depth", "has 16 bits a channel, not 8"),
        ({"transparent": True}, "transparency", "has transparency"),
    ],
    ids=str,
)
def test_what_only_one_holds_is_lost_and_it_dominates(more: dict[str, Any], aspect: str, clause: str) -> None:
    pair = edge(replace(COLOURFUL, **more))
    assert aspects(lost(pair, PHOTO, OTHER)) == {aspect}
    assert [loss.clause for loss in lost(pair, PHOTO, OTHER)] == [clause]
    assert lost(pair, OTHER, PHOTO) == ()
    assert dominates(PHOTO, OTHER, pair)
    assert not dominates(OTHER, PHOTO, pair)


@pytest.mark.parametrize("lesser", [Holding(), Holding(tint=20.0), Holding(colour=2.0, tint=2.0)], ids=str)
def test_grey_sepia_and_nearly_grey_lack_the_colours(lesser: Holding) -> None:
    pair = edge(COLOURFUL, lesser)
    assert [loss.clause for loss in lost(pair, PHOTO, OTHER)] == ["has the colours"]
    assert lost(pair, OTHER, PHOTO) == ()


@pytest.mark.parametrize(
    ("one", "hues"),
    [(12.0, 0.3), (12.0, -1.0), (26.0, 1.0), (5.0, 1.0)],
    ids=["other hues", "inverted", "more", "faded"],
)
def test_of_other_or_much_stronger_colours_a_person_decides(one: float, hues: float) -> None:
    pair = edge(replace(COLOURFUL, colour=one), COLOURFUL, hues=hues)
    assert aspects(lost(pair, PHOTO, OTHER)) == aspects(lost(pair, OTHER, PHOTO)) == {"colour"}


@pytest.mark.parametrize("colour", [8.0, 12.0, 17.0])
def test_white_balance_and_some_saturation_lose_nothing(colour: float) -> None:
    pair = edge(replace(COLOURFUL, colour=colour), COLOURFUL, hues=0.93)
    assert lost(pair, PHOTO, OTHER) == lost(pair, OTHER, PHOTO) == ()


@pytest.mark.parametrize(
    ("level", "clause"),
    [
        (20.0, "has detail in the shadows"),
        (240.0, "has detail in the highlights"),
        (128.0, "has finer steps of tone"),
    ],
)
def test_tones_that_the_other_shows_as_one_are_lost(level: float, clause: str) -> None:
    pair = edge(extra={"tones_alone_a": 1.1, "tones_level_a": level})
    assert [loss.clause for loss in lost(pair, PHOTO, OTHER)] == [clause]
    assert lost(pair, OTHER, PHOTO) == ()
    assert lost(pair, PHOTO, OTHER, waived=WAIVED), "a policy of one's own gives up no tones"
    assert lost(edge(extra={"tones_alone_a": 0.9}), PHOTO, OTHER) == ()
    other_moment = edge(relation=Relation.BURST, extra={"tones_alone_a": 9.0})
    assert lost(other_moment, PHOTO, OTHER) == ()


def test_what_a_grey_print_tells_apart_the_colours_tell_apart() -> None:
    pair = edge(Holding(), COLOURFUL, extra={"tones_alone_a": 3.0})
    assert lost(pair, PHOTO, OTHER) == ()
    assert aspects(lost(pair, OTHER, PHOTO)) == {"colour"}


def test_sepia_holds_a_tint_that_grey_lacks() -> None:
    pair = edge(Holding(tint=20.0), Holding())
    assert aspects(lost(pair, PHOTO, OTHER)) == {"colour"}
    assert lost(pair, OTHER, PHOTO) == ()


def test_a_larger_picture_holds_more_unless_it_was_enlarged() -> None:
    small = replace(OTHER, width=1000, height=750)
    assert [loss.clause for loss in lost(edge(), PHOTO, small)] == ["is 4.0 times as large"]
    assert lost(edge(), small, PHOTO) == ()
    enlarged = edge(replace(COLOURFUL, enlarged=0.97))
    assert lost(enlarged, PHOTO, small) == ()
    assert aspects(lost(enlarged, small, PHOTO)) == {"resolution"}, "the enlargement is the lesser one"
    perhaps = edge(replace(COLOURFUL, enlarged=0.7))
    assert aspects(lost(perhaps, PHOTO, small)) == aspects(lost(perhaps, small, PHOTO)) == {"resolution"}


def test_a_little_larger_without_what_a_camera_writes_may_be_made_from_the_photo() -> None:
    """Enlarged by 1.2, and no pixel tells: the photo with its camera's data waits, instead of moving for it."""
    camera = replace(PHOTO, camera="Canon|EOS 80D|", content="b")
    larger = replace(PHOTO, width=round(PHOTO.width * 1.2), height=round(PHOTO.height * 1.2), camera="")
    assert aspects(lost(edge(), larger, camera)) == aspects(lost(edge(), camera, larger)) == {"resolution"}
    assert "its camera's own data" not in "".join(loss.clause for loss in lost(edge(), larger, camera))
    same_camera = replace(larger, camera=camera.camera)
    assert lost(edge(), camera, same_camera) == (), "nothing speaks against the larger one"
    assert lost(edge(), replace(camera, camera=""), larger) == ()
    assert lost(edge(), camera, larger, waived=WAIVED) == (), "a policy of one's own"
    tellable = replace(larger, width=PHOTO.width * 2, height=PHOTO.height * 2)
    assert lost(edge(), camera, tellable) == (), "there the pixels tell"


def test_size_is_measured_over_what_both_show() -> None:
    letterboxed = replace(PHOTO, height=4000)
    pair = edge(overlap_a=0.75, extra={"beyond_a": 0.0})
    assert lost(pair, letterboxed, OTHER) == ()


def test_a_few_pixels_more_are_equal() -> None:
    assert lost(edge(), replace(PHOTO, width=4200, height=3150), OTHER) == ()


def test_what_shows_more_of_the_scene_is_lost_from_three_percent_on() -> None:
    assert lost(edge(extra={"beyond_a": 0.03}), PHOTO, OTHER) == ()
    assert aspects(lost(edge(extra={"beyond_a": 0.04}), PHOTO, OTHER)) == {"area"}


def test_a_small_copy_that_shows_a_strip_more_and_the_large_one_each_lack_something() -> None:
    small = replace(OTHER, width=480, height=360)
    pair = edge(extra={"beyond_b": 0.065})
    assert aspects(lost(pair, small, PHOTO)) == {"area"}
    assert aspects(lost(pair, PHOTO, small)) == {"resolution"}


def test_blurred_at_the_same_size_is_less() -> None:
    pair = edge(replace(COLOURFUL, blurred=True))
    assert lost(pair, PHOTO, OTHER) == ()
    assert aspects(lost(pair, OTHER, PHOTO)) == {"resolution"}


@pytest.mark.parametrize(
    ("one", "other", "aspect"), [(93.0, 75.0, set[str]()), (90.0, 60.0, {"loss"}), (60.0, 30.0, {"loss"})]
)
def test_compression_counts_where_it_can_be_seen(one: float, other: float, aspect: set[str]) -> None:
    a, b = replace(PHOTO, jpeg_quality=one), replace(OTHER, jpeg_quality=other)
    assert aspects(lost(edge(), a, b)) == aspect
    assert lost(edge(), b, a) == ()


def test_compression_does_not_count_where_the_pixels_are_the_same_or_far_more() -> None:
    png = edge(replace(COLOURFUL, lossless=True))
    assert lost(edge(replace(COLOURFUL, lossless=True), extra={"rest": 0.2}), PHOTO, OTHER) == (), (
        "a JPEG saved as PNG"
    )
    small = replace(PHOTO, width=1000, height=750)
    assert lost(png, small, OTHER) == (), "a small PNG made of the large photo"
    assert aspects(lost(png, OTHER, PHOTO)) == aspects(lost(png, PHOTO, OTHER)) == {"loss"}, (
        "one size: nobody knows"
    )
    assert lost(png, replace(OTHER, jpeg_quality=60.0), PHOTO) == ()
    assert aspects(lost(png, small, replace(OTHER, jpeg_quality=20.0))) == {"loss"}


def test_a_webp_with_hardly_a_bit_a_pixel_never_takes_the_place_of_a_fine_jpeg() -> None:
    webp = replace(PHOTO, format="WEBP", jpeg_quality=None)
    starved = edge(replace(COLOURFUL, bits=0.15), replace(COLOURFUL, bits=2.0))
    assert aspects(lost(starved, OTHER, webp)) == {"loss"}
    assert lost(starved, webp, OTHER) == ()
    usual = edge(replace(COLOURFUL, bits=0.8), replace(COLOURFUL, bits=2.0))
    assert lost(usual, OTHER, webp) == lost(usual, webp, OTHER) == ()


def test_further_pictures_of_one_kind_are_told_apart_by_their_bytes() -> None:
    pair = edge(
        replace(COLOURFUL, further=("gain map",), further_ids=("x",)),
        replace(COLOURFUL, further=("gain map",), further_ids=("y",)),
    )
    assert aspects(lost(pair, PHOTO, OTHER)) == aspects(lost(pair, OTHER, PHOTO)) == {"further"}


def test_a_palette_made_of_a_photo_is_no_better_for_being_lossless() -> None:
    pair = edge(replace(COLOURFUL, lossless=True, palette=64))
    assert lost(pair, PHOTO, OTHER) == ()
    assert aspects(lost(pair, OTHER, PHOTO)) == {"depth", "loss"}


def test_a_person_s_own_policy_gives_up_resolution_and_loss_alone() -> None:
    small = replace(OTHER, width=1000, height=750, jpeg_quality=30.0)
    assert lost(edge(replace(COLOURFUL, lossless=True)), PHOTO, small, waived=WAIVED) == ()
    for more in (
        {"clip": "x"},
        {"further": ("gain map",)},
        {"depth": 10},
        {"transparent": True},
        {"colour": 30.0},
    ):
        assert lost(edge(replace(COLOURFUL, **more)), PHOTO, small, waived=WAIVED), more  # type: ignore[arg-type]
    assert frozenset((Aspect.RESOLUTION, Aspect.LOSS)) == WAIVED


def test_a_coloured_stamp_is_not_another_colour() -> None:
    strokes = {
        "sign": 1.0,
        "strokes_a": 30.0,
        "strokes_b": 3.0,
        "thick": 0.0,
        "around": 0.95,
        "ground": 2.0,
        "ink": 0.0,
    }
    line = {"y0": 0.9, "y1": 0.95, "x0": 0.7, "x1": 0.95, "unlike": 0.01, "through": 0.0, "local": 0.1}
    extra = {
        **strokes,
        **line,
        "hues_most": 0.99,
        "fine_around": 1.0,
        "colour_alone_a": 60.0,
        "tones_alone_a": 5.0,
    }
    pair = edge(hues=0.6, extra=extra, mean=0.5, worst=30.0, fine_worst=40.0)
    assert lost(pair, PHOTO, OTHER) == (), "the stamped one"
    assert aspects(lost(pair, OTHER, PHOTO)) == {"marks"}


def test_a_part_with_other_colours_is_lost() -> None:
    assert aspects(lost(edge(extra={"colour_alone_a": 25.0}), PHOTO, OTHER)) == {"colour"}
    assert lost(edge(extra={"colour_alone_a": 25.0}), OTHER, PHOTO) == ()
    assert lost(edge(extra={"colour_alone_a": 23.0}), PHOTO, OTHER) == ()


def test_of_other_colours_in_a_few_pixels_nothing_tells_which_are_right() -> None:
    pair = edge(extra={"colour_spot": 29.0})
    assert aspects(lost(pair, PHOTO, OTHER)) == aspects(lost(pair, OTHER, PHOTO)) == {"colour"}
    assert lost(edge(extra={"colour_spot": 27.0}), PHOTO, OTHER) == ()
    assert lost(edge(relation=Relation.BURST, extra={"colour_spot": 90.0}), PHOTO, OTHER) == ()
    faded = edge(COLOURFUL, Holding(), extra={"colour_spot": 90.0})
    assert lost(faded, OTHER, PHOTO) == (), "it has no colours at all"


def test_another_moment_has_its_own_colours_but_not_none() -> None:
    moved = edge(relation=Relation.BURST, hues=0.5, extra={"colour_alone_a": 90.0})
    assert lost(moved, PHOTO, OTHER) == ()
    assert aspects(lost(edge(COLOURFUL, Holding(), Relation.BURST), PHOTO, OTHER)) == {"colour"}


def test_of_a_burst_the_other_moment_is_given_up_and_nothing_else() -> None:
    pair = edge(relation=Relation.BURST, overlap_a=0.85, extra={"beyond_a": 0.15})
    assert lost(pair, PHOTO, OTHER) == ()
    pair = edge(replace(COLOURFUL, clip="x"), relation=Relation.BURST)
    assert aspects(lost(pair, PHOTO, OTHER)) == {"clip"}


def test_the_same_bytes_lose_nothing_and_what_was_not_measured_might() -> None:
    exact = Edge(a="a", b="a", relation=Relation.EXACT, unattended=True, evidence=Evidence())
    assert lost(exact, PHOTO, PHOTO) == ()
    unmeasured = Edge(a="a", b="b", relation=Relation.COPY, unattended=True, evidence=Evidence())
    assert lost(unmeasured, PHOTO, OTHER)


def test_metadata_counts_only_where_no_sidecar_will_hold_it() -> None:
    dated = replace(PHOTO, captured=5.0, has_gps=True, camera="M|1|")
    assert lost(edge(), dated, OTHER) == ()
    assert aspects(lost(edge(), dated, OTHER, metadata=True)) == {"metadata"}
    nodes = [
        node(1, dated, "IMG_1.jpg", protected=False),
        node(2, replace(OTHER, width=8000, height=6000), "b.jpg"),
    ]
    (star,) = stars(nodes, [edge()], [], MOVE)
    assert star.members[0].unattended
    (star,) = stars(nodes, [edge()], [], MOVE, metadata_counts=True)
    assert not star.members[0].unattended


# -- the order it makes -------------------------------------------------------------------------


def node(id: int, traits: Traits, path: str = "", **flags: Any) -> Node:
    return Node(
        id=id, root=1, month="2024-06", path=path or f"2024/06/p{id}.jpg", content=traits.content, traits=traits,
        size=1000, mtime=float(id), **flags,
    )  # fmt: skip


HELD = st.builds(
    Holding,
    colour=st.sampled_from((0.0, 12.0)),
    depth=st.sampled_from((8, 10, 16)),
    transparent=st.booleans(),
    lossless=st.booleans(),
    further=st.sampled_from(((), ("gain map",), ("depth map", "gain map"))),
    clip=st.sampled_from(("", "film")),
)
PICTURES = st.tuples(
    HELD,
    st.sampled_from((1000, 2000, 4000)),
    st.sampled_from((20.0, 60.0, 90.0)),
    st.booleans(),  # rich metadata
)
LIBRARIES = st.lists(PICTURES, min_size=2, max_size=5)


def library(pictures: list[Any]) -> tuple[list[Node], list[Edge]]:
    nodes: list[Node] = []
    for number, (_, side, quality, rich) in enumerate(pictures):
        seen = replace(PHOTO, content=f"c{number}", width=side, height=side, jpeg_quality=quality)
        if rich:
            seen = replace(seen, camera="M|1|", captured=100.0, metadata_fields=50, has_gps=True)
        nodes.append(node(number, seen))
    edges = [
        edge(pictures[i][0], pictures[j][0], one=f"c{i}", other=f"c{j}")
        for i, j in itertools.combinations(range(len(pictures)), 2)
    ]
    return nodes, edges


def between(edges: list[Edge], a: str, b: str) -> Edge:
    return next(e for e in edges if {e.a, e.b} == {a, b})


@given(LIBRARIES)
def test_dominance_is_a_partial_order(pictures: list[Any]) -> None:
    nodes, edges = library(pictures)
    above = {
        (one.content, other.content)
        for one, other in itertools.permutations(nodes, 2)
        if dominates(one.traits, other.traits, between(edges, one.content, other.content))
    }
    assert not any((b, a) in above for a, b in above)
    # Quality gives way to far more pixels, so that three of them need not be one chain; without that they are.
    if len({quality for _, _, quality, _ in pictures}) == 1 and not any(
        held.lossless for held, *_ in pictures
    ):
        assert all((a, d) in above for a, b in above for c, d in above if b == c)


@given(LIBRARIES, st.randoms())
def test_a_keeper_is_never_dominated_and_what_moves_loses_nothing_in_any_order(
    pictures: list[Any], random: Any
) -> None:
    nodes, edges = library(pictures)
    found = stars(nodes, edges, [], MOVE)
    for star in found:
        for member in star.members:
            pair = between(edges, star.keeper.content, member.node.content)
            assert not dominates(member.node.traits, star.keeper.traits, pair)
            if member.unattended:
                assert lost(pair, member.node.traits, star.keeper.traits) == ()
    random.shuffle(nodes)
    random.shuffle(edges)
    assert stars(nodes, edges, [], MOVE) == found


@given(LIBRARIES, st.data())
def test_adding_metadata_never_makes_a_better_picture_move(pictures: list[Any], data: Any) -> None:
    nodes, edges = library(pictures)
    richer = data.draw(st.integers(0, len(nodes) - 1))
    nodes[richer] = replace(
        nodes[richer],
        traits=replace(nodes[richer].traits, camera="M|9|", captured=1.0, metadata_fields=400, has_gps=True),
    )
    for star in stars(nodes, edges, [], MOVE):
        for member in star.members:
            if member.unattended:
                pair = between(edges, star.keeper.content, member.node.content)
                assert lost(pair, member.node.traits, star.keeper.traits) == ()
                assert not dominates(member.node.traits, star.keeper.traits, pair, waived=NOTHING)


RAW = replace(PHOTO, content="r", format="RAW", jpeg_quality=None)
SENSOR = replace(COLOURFUL, depth=14, lossless=True)


def test_a_raw_moves_for_nothing_but_its_own_bytes_and_nothing_unasked_for_a_raw() -> None:
    """Whatever the policy: what was compared of it is one way to develop it (P16)."""
    pair = edge(COLOURFUL, SENSOR, one="a", other="r")
    for waived in (NOTHING, WAIVED):
        assert "source" in aspects(lost(pair, RAW, PHOTO, waived=waived))
        assert aspects(lost(pair, PHOTO, RAW, waived=waived)) >= {"source"}
    document = replace(RAW, format="Photoshop")
    assert lost(pair, document, PHOTO)[0].clause == "is the Photoshop file"
    assert lost(pair, PHOTO, document)[0].clause == "is a picture that any program shows"
    same = edge(replace(COLOURFUL), replace(COLOURFUL), one="r", other="s")
    assert aspects(lost(same, RAW, replace(RAW, content="s"))) == {"source"}
    assert lost(replace(same, relation=Relation.EXACT), RAW, RAW) == ()
