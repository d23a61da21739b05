"""Stars: one keeper, every member proven against it, vetoes and pins kept, whatever the order."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.core.bars import SIMILAR_LIMIT
from dedupd.core.clusters import Node, Star, numbers_apart, stars
from dedupd.core.photo import Edge, Evidence, Measures, Relation, Traits

MOVE = {relation: "review" if relation is Relation.SIMILAR else "move" for relation in Relation}


def traits(content: str, side: int = 100) -> Traits:
    return Traits(
        content=content, recipe="1", model="", format="JPEG", width=side, height=side, phash=0, dhash=0
    )


def node(
    id: int, content: str = "", *, side: int = 100, root: int = 1, path: str = "", **flags: object
) -> Node:
    content = content or f"c{id:03}"
    path = path or f"2024/06/p{id:03}.jpg"
    return Node(
        id=id,
        root=root,
        month="2024-06",
        path=path,
        content=content,
        traits=traits(content, side),
        size=side,
        mtime=float(id),
        **flags,  # type: ignore[arg-type]
    )


def edge(
    a: str,
    b: str,
    relation: Relation = Relation.COPY,
    *,
    unattended: bool = True,
    confidence: float = 0.9,
    beyond: tuple[float, float] = (0.0, 0.0),
) -> Edge:
    if a > b:
        a, b, beyond = b, a, (beyond[1], beyond[0])
    measures = Measures(
        method="identity", overlap_a=1.0, overlap_b=1.0, extra={"beyond_a": beyond[0], "beyond_b": beyond[1]}
    )
    evidence = Evidence(measures=measures, confidence=confidence)
    return Edge(a=a, b=b, relation=relation, unattended=unattended, evidence=evidence)


def shape(found: list[Star]) -> dict[int, list[tuple[int, bool]]]:
    return {star.keeper.id: [(m.node.id, m.unattended) for m in star.members] for star in found}


def test_the_same_bytes_gather_around_the_best_without_an_edge() -> None:
    nodes = [replace(node(i, "x", path=path), mtime=0.0) for i, path in ((1, "a (1).jpg"), (2, "a.jpg"))]
    found = stars(nodes, [], [], MOVE)
    assert shape(found) == {2: [(1, True)]}
    assert found[0].members[0].edge.relation is Relation.EXACT


def test_a_chain_is_not_a_group() -> None:
    nodes = [node(1, side=400), node(2, side=300), node(3, side=200)]
    found = stars(nodes, [edge("c001", "c002"), edge("c002", "c003")], [], MOVE)
    assert shape(found) == {1: [(2, True)]}, "3 is proven against 2 only, which moves away"


def test_files_of_other_roots_stay_apart() -> None:
    assert stars([node(1, "x"), node(2, "x", root=2)], [], [], MOVE) == []


def test_vetoed_photos_do_not_meet_even_through_a_third() -> None:
    nodes = [node(1, side=400), node(2, side=300), node(3, side=200)]
    edges = [edge("c001", "c002"), edge("c001", "c003")]
    assert shape(stars(nodes, edges, [("c003", "c002")], MOVE)) == {1: [(2, True)]}


def test_a_veto_of_a_content_with_itself_parts_its_files() -> None:
    assert stars([node(1, "x"), node(2, "x")], [], [("x", "x")], MOVE) == []


def test_a_better_newcomer_waits_beside_the_pinned_keeper() -> None:
    nodes = [node(1, pinned=True), node(2, side=900)]
    assert shape(stars(nodes, [edge("c001", "c002")], [], MOVE)) == {1: [(2, False)]}
    nodes = [node(1, side=900, pinned=True), node(2)]
    assert shape(stars(nodes, [edge("c001", "c002")], [], MOVE)) == {1: [(2, True)]}, "a lesser one moves"


def test_an_uncropped_original_never_moves_beside_its_crop() -> None:
    nodes = [node(1, side=900, pinned=True), node(2)]
    assert shape(stars(nodes, [edge("c001", "c002", beyond=(0.0, 0.3))], [], MOVE)) == {1: [(2, False)]}


def test_a_reason_says_which_of_the_two_is_meant() -> None:
    (star,) = stars([node(1, pinned=True), node(2)], [edge("c001", "c002", beyond=(0.2, 0.3))], [], MOVE)
    assert star.members[0].why == ("it shows 30% more of the scene; its keeper shows 20% more of the scene")
    assert star.reasons[0] == "shows 20% more of the scene"


def test_two_pinned_keepers_stay_apart() -> None:
    assert stars([node(1, pinned=True), node(2, pinned=True)], [edge("c001", "c002")], [], MOVE) == []


def test_what_must_stay_waits_with_its_reason() -> None:
    for flags, why in (
        ({"stay": "it has other hard links"}, "it has other hard links"),
        ({"kept_by_person": True}, "somebody put it back"),
    ):
        (star,) = stars([node(1, side=400), node(2, **flags)], [edge("c001", "c002")], [], MOVE)
        assert [(m.node.id, m.unattended, m.why) for m in star.members] == [(2, False, why)]


def test_a_protected_photo_keeps_and_does_not_move() -> None:
    nodes = [node(1), node(2, protected=True), node(3, protected=True)]
    (star,) = stars(nodes, [edge("c001", "c002"), edge("c002", "c003")], [], MOVE)
    assert shape([star]) == {2: [(1, True), (3, False)]}


def test_what_holds_more_than_a_protected_photo_waits_beside_it() -> None:
    nodes = [node(1, side=900), node(2, protected=True)]
    assert shape(stars(nodes, [edge("c001", "c002")], [], MOVE)) == {2: [(1, False)]}


def test_an_original_keeps_beside_its_crop_even_when_the_crop_ranks_higher() -> None:
    crop = replace(node(1, side=300), traits=replace(traits("c001", 300), camera="M|1|", captured=0.0))
    nodes = [crop, node(2, side=300)]
    assert shape(stars(nodes, [edge("c001", "c002", beyond=(0.0, 0.4))], [], MOVE)) == {2: [(1, True)]}


def test_a_near_circle_of_crops_still_ends() -> None:
    nodes = [node(1), node(2), node(3)]
    edges = [
        edge("c001", "c002", beyond=(0.1, 0.0)),
        edge("c002", "c003", beyond=(0.1, 0.0)),
        edge("c003", "c001", beyond=(0.1, 0.0)),
    ]
    assert stars(nodes, edges, [], MOVE)


def test_tiers_decide_what_moves_and_what_is_seen() -> None:
    nodes = [node(1, side=400), node(2)]
    assert shape(stars(nodes, [edge("c001", "c002")], [], {**MOVE, Relation.COPY: "review"})) == {
        1: [(2, False)]
    }
    assert stars(nodes, [edge("c001", "c002")], [], {**MOVE, Relation.COPY: "off"}) == []
    assert stars([node(1, "x"), node(2, "x")], [], [], {**MOVE, Relation.EXACT: "off"}) == []


def test_a_photo_joins_the_keeper_it_is_strongest_with() -> None:
    nodes = [node(1, side=900), node(2, side=800), node(3)]
    burst, copy = edge("c001", "c003", Relation.BURST), edge("c002", "c003")
    assert shape(stars(nodes, [burst, copy], [], MOVE)) == {2: [(3, True)]}
    weak, strong = edge("c001", "c003", confidence=0.6), edge("c002", "c003", confidence=0.9)
    assert shape(stars(nodes, [weak, strong], [], MOVE)) == {2: [(3, True)]}


def test_of_two_keepers_it_is_as_sure_about_a_photo_joins_the_better() -> None:
    sure, surer = edge("c001", "c003", confidence=0.9999996), edge("c002", "c003", confidence=0.9999999)
    found = stars([node(1, side=300), node(2, side=200), node(3)], [sure, surer], [], MOVE)
    assert shape(found) == {1: [(3, True)]}


def test_copies_of_a_burst_frame_go_before_the_burst() -> None:
    nodes = [node(1, side=900), node(2, side=800), node(3)]
    edges = [edge("c001", "c002", Relation.BURST), edge("c002", "c003")]
    found = stars(nodes, edges, [], MOVE)
    assert shape(found) == {2: [(3, True), (1, False)]}, "and the better frame waits beside it"


def test_the_sharpest_of_a_burst_keeps() -> None:
    dull, sharp = node(1), node(2)
    sharp = replace(sharp, traits=replace(sharp.traits, sharpness=900.0))
    assert shape(stars([dull, sharp], [edge("c001", "c002", Relation.BURST)], [], MOVE)) == {2: [(1, True)]}
    assert shape(stars([dull, sharp], [edge("c001", "c002")], [], MOVE)) == {1: [(2, True)]}, (
        "copies do not compete"
    )


def test_frames_that_the_camera_numbered_far_apart_are_no_burst_to_move_unasked() -> None:
    one = node(1, path="2024/06/DSC_1454.JPG")
    for other, moves in (
        ("DSC_1456.JPG", True),
        ("DSC_1644.JPG", False),
        ("IMG_9.jpg", True),
        ("img_1644.JPG", True),
    ):
        nodes = [one, node(2, path=f"2024/06/{other}")]
        (star,) = stars(nodes, [edge("c001", "c002", Relation.BURST)], [], MOVE)
        (member,) = star.members
        assert member.unattended is moves and ("numbered" in member.why) is not moves, other


def test_counters_begin_again_and_times_are_no_counters() -> None:
    assert numbers_apart("a/DSC_9999.JPG", "b/DSC_0001.JPG") == 2
    assert numbers_apart("DSC01616.JPG", "DSC01626.JPG") == 10
    assert numbers_apart("IMG_20170212_204937000.jpg", "IMG_20170212_204937200.jpg") == 0
    assert numbers_apart("1454.jpg", "1600.jpg") == 146


def test_a_family_of_look_alikes_stays_in_small_groups() -> None:
    nodes = [node(i) for i in range(60)]
    edges = [
        edge(a.content, b.content, Relation.SIMILAR, unattended=False)
        for a in nodes
        for b in nodes
        if a.id < b.id
    ]
    found = stars(nodes, edges, [], MOVE)
    assert len(found) > 3
    assert max(len(star.members) for star in found) <= SIMILAR_LIMIT


@pytest.mark.parametrize("tier", ["move", "review"])
def test_thousands_of_files_of_the_same_bytes_take_no_time_to_group(tier: str) -> None:
    nodes = [node(i, "x" if i % 2 else "y", side=100 + i % 2) for i in range(4000)]
    before = time.process_time()
    (star,) = stars(nodes, [edge("x", "y")], [], {**MOVE, Relation.EXACT: tier})
    assert len(star.members) == 3999
    assert time.process_time() - before < 10, "by the square of their number it takes minutes"


def test_however_many_copies_of_a_crop_there_are_the_original_keeps() -> None:
    crops = [replace(node(i, "crop"), traits=replace(traits("crop"), camera="M|1|")) for i in (1, 2, 3)]
    whole = [node(i, "whole") for i in (4, 5)]
    (star,) = stars([*crops, *whole], [edge("whole", "crop", beyond=(0.2, 0.0))], [], MOVE)
    assert shape([star]) == {4: [(5, True), (1, True), (2, True), (3, True)]}


RELATIONS = st.sampled_from([Relation.COPY, Relation.BURST, Relation.SIMILAR])


@st.composite
def libraries(draw: st.DrawFn) -> tuple[list[Node], list[Edge], list[tuple[str, str]]]:
    contents = [f"c{i}" for i in range(draw(st.integers(2, 7)))]
    nodes = [
        node(
            id,
            draw(st.sampled_from(contents)),
            side=draw(st.sampled_from([100, 200])),
            root=draw(st.integers(1, 2)),
            pinned=draw(st.integers(0, 5)) == 0,
            protected=draw(st.integers(0, 5)) == 0,
            kept_by_person=draw(st.integers(0, 5)) == 0,
            stay=draw(st.sampled_from(["", "", "", "doubt"])),
        )
        for id in range(draw(st.integers(2, 10)))
    ]
    # One content has one set of traits.
    known = {n.content: n.traits for n in nodes}
    nodes = [replace(n, traits=known[n.content]) for n in nodes]
    pairs = [(a, b) for i, a in enumerate(contents) for b in contents[i + 1 :]]
    edges = [
        edge(
            a,
            b,
            relation := draw(RELATIONS),
            unattended=relation is not Relation.SIMILAR and draw(st.booleans()),
            confidence=draw(st.sampled_from([0.5, 0.9])),
            beyond=draw(st.sampled_from([(0.0, 0.0), (0.2, 0.0), (0.0, 0.2), (0.2, 0.2)])),
        )
        for a, b in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12))
    ]
    vetoes = draw(st.lists(st.sampled_from(pairs + [(c, c) for c in contents]), unique=True, max_size=4))
    return nodes, edges, vetoes


@settings(max_examples=250)
@given(libraries(), st.sampled_from(["best", "oldest", "newest", "largest", "smallest", "lexi"]))
def test_every_star_keeps_the_promises(
    library: tuple[list[Node], list[Edge], list[tuple[str, str]]], policy: str
) -> None:
    nodes, edges, vetoes = library
    found = stars(nodes, edges, vetoes, MOVE, policy)
    known = {(e.a, e.b): e for e in edges}
    seen: set[int] = set()
    for star in found:
        group = [star.keeper, *(m.node for m in star.members)]
        assert star.members
        assert not seen & {n.id for n in group}, "a file is in one group at most"
        seen |= {n.id for n in group}
        assert len({n.root for n in group}) == 1
        for i, one in enumerate(group):
            for other in group[i + 1 :]:
                assert not {(one.content, other.content), (other.content, one.content)} & set(vetoes)
        for member in star.members:
            ends = tuple(sorted((member.node.content, star.keeper.content)))
            assert (member.edge.a, member.edge.b) == ends, "proven directly against the keeper"
            assert ends[0] == ends[1] or known[ends] == member.edge
            assert not member.node.pinned
            if member.unattended:
                assert member.edge.unattended and member.edge.relation is not Relation.SIMILAR
                assert not (member.node.protected or member.node.kept_by_person or member.node.stay)


@settings(max_examples=150)
@given(libraries(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    library: tuple[list[Node], list[Edge], list[tuple[str, str]]], chance: random.Random
) -> None:
    nodes, edges, vetoes = library
    first = stars(nodes, edges, vetoes, MOVE)
    turned = [(b, a) for a, b in vetoes]
    for items in (nodes, edges, turned):
        chance.shuffle(items)
    assert stars(nodes, edges, turned, MOVE) == first
