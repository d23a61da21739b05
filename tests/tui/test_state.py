"""What is listed, in which order; what a person's marks become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.protocol.codec import encode_request
from dedupd.protocol.limits import MAX_LINE
from dedupd.protocol.requests import Approve, ForgetLessons, Judge, Reject, Undo
from dedupd.protocol.results import Acted
from dedupd.protocol.views import EvidenceView, GroupDetail, GroupView, MonthView
from dedupd.reviewing.facts import differing, loss_warning, would_change
from dedupd.reviewing.listing import (
    GroupFilter,
    Order,
    Year,
    by_year,
    confidence,
    listed,
    lost_kinds,
    tally,
    waits_for,
)  # fmt: skip
from dedupd.tui.model.decisions import UNCOMPARED, Action, DecisionDraft, Mark
from dedupd.tui.model.review_state import ReviewState
from dedupd.tui.model.zoom import UNZOOMED, Viewport
from tests.fakes.library import make_library

SCENES = {scene.group.id: scene for scene in make_library(16, 1)}
GROUPS = [scene.group for scene in SCENES.values()]
COPY_OF_TWO = 3
"""A group with two copies beside the keeper."""


def draft(id: int = COPY_OF_TWO) -> DecisionDraft:
    scene = make_library(16, 1)[id - 1]
    return DecisionDraft(GroupDetail(group=scene.group, photos=scene.photos))


def test_months_come_newest_first_under_their_year() -> None:
    rows = by_year([MonthView(root="/r", month=m, photos=1) for m in ("2023-12", "2024-06", "2024-01")])
    assert [r.year if isinstance(r, Year) else r.month for r in rows] == [
        "2024",
        "2024-06",
        "2024-01",
        "2023",
        "2023-12",
    ]


@pytest.mark.parametrize(
    ("order", "key"),
    [
        (Order.BYTES, lambda g: -(g.bytes + g.review_bytes)),
        (Order.TIME, lambda g: g.captured),
        (Order.CONFIDENCE, lambda g: -min(e.confidence for e in g.evidence.values())),
    ],
)
def test_groups_are_sorted_by_what_was_asked(order: Order, key: object) -> None:
    found = listed(GROUPS, GroupFilter(order=order))
    assert len(found) == len(GROUPS)
    assert [key(g) for g in found] == sorted(key(g) for g in found)  # type: ignore[operator]


def test_a_group_is_as_sure_as_its_least_sure_member_of_which_any_is_told() -> None:
    never_aligned = EvidenceView(
        relation="similar", cosine=0.94, confidence=0.0
    )  # as an older daemon says it
    group = GroupView(id=1, root="/r", month="2024-06", relation="similar", state="review", keep="k")
    group.evidence = {"a": never_aligned}
    assert confidence(group) is None
    group.evidence |= {
        name: EvidenceView(relation="copy", confidence=s) for name, s in (("b", 0.9), ("c", 0.8))
    }
    assert confidence(group) == 0.8
    surest_first = [2, 3, 1]
    bare, sure, unsure = (
        GroupView(
            id=id,
            root="/r",
            month="2024-06",
            relation="copy",
            state="review",
            keep="k",
            evidence={"a": proof},
        )
        for id, proof in (
            (1, never_aligned),
            (2, EvidenceView(relation="copy", confidence=0.9)),
            (3, EvidenceView(relation="similar", overlap=0.5, confidence=0.0)),
        )
    )
    assert [g.id for g in listed([bare, unsure, sure], GroupFilter(order=Order.CONFIDENCE))] == surest_first


def test_filter_by_relation_and_by_every_word_of_a_path() -> None:
    assert {g.relation for g in listed(GROUPS, GroupFilter(relation="burst"))} == {"burst"}
    assert [g.id for g in listed(GROUPS, GroupFilter(text="img_1003 WHATSAPP"))] == [3]
    assert listed(GROUPS, GroupFilter(text="img_1003 nowhere")) == []


def test_settled_groups_are_hidden_unless_wanted_or_decided_just_now() -> None:
    groups = [GroupView(id=i, root="/r", month="m", relation="copy", state=s, keep="k") for i, s in
              enumerate(("proposed", "review", "settled", "kept"))]  # fmt: skip
    assert {g.id for g in listed(groups, GroupFilter())} == {0, 1}
    assert {g.id for g in listed(groups, GroupFilter(), frozenset({2}))} == {0, 1, 2}
    assert {g.id for g in listed(groups, GroupFilter(settled=True))} == {0, 1, 2, 3}
    assert tally(groups, settled=False)["copy"] == 2


def waiting(id: int, *reasons: str, only_here: tuple[str, ...] = (), state: str = "review") -> GroupView:
    """A group whose members each wait for one of `reasons`."""
    paths = [f"{id}-{at}.jpg" for at in range(len(reasons))]
    proof = EvidenceView(relation="copy", only_here=list(only_here))
    return GroupView(
        id=id, root="/r", month="m", relation="copy", state=state, keep="k", review=paths,
        why=dict(zip(paths, reasons, strict=True)), evidence=dict.fromkeys(paths, proof),
    )  # fmt: skip


def test_numbers_and_what_the_keeper_holds_tell_no_reasons_apart() -> None:
    six = waiting(1, "it shows 6% more of the scene; its keeper is 4.0 times as large")
    seven = waiting(2, "it shows 17% more of the scene")
    assert waits_for(six) == waits_for(seven) == {"it shows … more of the scene"}
    assert waits_for(waiting(3, "taken 88.0 s apart")) == waits_for(waiting(4, "taken 2 min apart"))
    assert waits_for(waiting(5, "it has 2.4 s of film in it")) == {"it has … of film in it"}
    assert waits_for(waiting(6, "it has the colours")) != waits_for(waiting(7, "it has other colours"))
    assert waits_for(waiting(8)) == frozenset(), "a yes is all it waits for"
    assert waits_for(waiting(9, "")), "a reason that an older daemon did not tell is one too"


def test_a_class_is_what_waits_for_one_reason_and_for_no_other() -> None:
    colours = waiting(1, "it has the colours")
    groups = [
        colours,
        waiting(2, "it has the colours", "it has the colours; its keeper shows finer detail"),
        waiting(3, "it has the colours; it is 2.0 times as large"),
        waiting(4, "it has the colours", "somebody put it back"),
        waiting(5),
        waiting(6, "somebody put it back", state="settled"),
    ]
    wanted = GroupFilter(reasons=waits_for(colours))
    assert {g.id for g in listed(groups, wanted)} == {1, 2}
    assert {g.id for g in listed(groups, wanted.changed(settled=True))} == {1, 2}
    assert {g.id for g in listed(groups, wanted, frozenset({4, 6}))} == {1, 2, 6}, "4 waits, and for more"
    assert {g.id for g in listed(groups, GroupFilter(reasons=waits_for(groups[4])))} == {5}


def test_the_filter_finds_words_of_the_reason() -> None:
    groups = [waiting(1, "it has the colours"), waiting(2, "somebody put it back")]
    assert [g.id for g in listed(groups, GroupFilter(text="Colours"))] == [1]
    assert [g.id for g in listed(groups, GroupFilter(text="back 2-0"))] == [2]


def test_what_a_class_puts_out_of_sight_is_counted_by_kind() -> None:
    groups = [
        waiting(1, "x", only_here=("has the colours", "is 4.0 times as large")),
        waiting(2, "x", "x", only_here=("is 1.5 times as large",)),
        waiting(3, "x"),
    ]
    moved = waiting(4, "x", only_here=("has the colours",))
    moved.moved_to = {"4-0.jpg": "duplicates/4-0.jpg"}
    assert lost_kinds([*groups, moved]) == (2, {"is … times as large": 2, "has the colours": 1})


def test_the_next_waiting_goes_round_and_skips_what_is_on_its_way() -> None:
    state = ReviewState(groups={g.id: g for g in GROUPS})
    ids = [g.id for g in GROUPS]
    state.acting = {2}
    assert state.next_waiting(ids, 1) == 3
    assert state.next_waiting(ids, ids[-1]) == 1
    assert state.next_waiting([5], 5) is None


def test_groups_that_are_gone_go_with_their_month_only() -> None:
    other = GroupView(id=99, root="/r", month="2020-01", relation="copy", state="review", keep="k")
    state = ReviewState(groups={g.id: g for g in [*GROUPS, other]})
    state.replace_groups((GROUPS[0].root, GROUPS[0].month), GROUPS[:2])
    assert set(state.groups) == {1, 2, 99}


def test_an_answer_that_was_overtaken_does_not_bring_a_settled_group_back() -> None:
    old = GroupView(id=1, root="/r", month="m", relation="copy", state="proposed", keep="k", version=1)
    new = GroupView(id=1, root="/r", month="m", relation="copy", state="settled", keep="k", version=2)
    state = ReviewState(groups={1: new})
    state.replace_groups(("/r", "m"), [old])
    assert state.groups[1].state == "settled"


# ---- verdicts ------------------------------------------------------------------------------------


def test_a_proposal_that_is_right_is_one_approval_of_the_version_that_was_seen() -> None:
    [request] = draft().requests()
    assert isinstance(request, Approve)
    assert (request.groups[0].id, request.groups[0].version) == (3, 1)
    assert request.key, "an acting request carries an idempotency key"


def test_what_is_only_similar_stays_unless_a_person_says_so() -> None:
    similar = next(id for id, scene in SCENES.items() if scene.group.relation == "similar")
    made = draft(similar)
    [file] = made.marks
    [request] = made.requests()
    assert isinstance(request, Judge)
    assert (request.move, request.keep) == ([], [file])
    made.toggle(file)
    assert isinstance(made.requests()[0], Approve)
    made.toggle(file)
    assert made.mark(file) is Mark.KEEP


def test_every_request_has_its_own_key() -> None:
    assert draft().requests()[0].key != draft().requests()[0].key


def test_marks_become_a_verdict_picture_by_picture() -> None:
    made = draft()
    first, second = (f for f in made.photos if f != made.keeper)
    made.toggle(first)
    made.toggle_different(second)
    [request] = made.requests()
    assert isinstance(request, Judge)
    assert (request.keep, request.different, request.move, request.keeper) == ([first], [second], [], None)


def test_all_different_rejects_the_group() -> None:
    made = draft()
    for file in list(made.marks):
        made.toggle_different(file)
    assert isinstance(made.requests()[0], Reject)


def test_another_keeper_moves_the_old_one() -> None:
    made = draft()
    old, new = made.keeper, next(iter(made.marks))
    assert made.make_keeper(new)
    [request] = made.requests()
    assert isinstance(request, Judge)
    assert request.keeper == new
    assert old in request.move
    assert new not in request.move


def holding(id: int = COPY_OF_TWO) -> DecisionDraft:
    """The first member and the keeper each hold something that the other lacks."""
    its = draft(id)
    proof = its.group.evidence[its.photos[id * 100 + 1].path]
    proof.only_here, proof.only_in_keeper = ["has the colours"], ["is 4.0 times as large"]
    return its


def lost(its: DecisionDraft) -> dict[int, list[str]]:
    return {photo.file: clauses for photo, clauses in its.losses()}


def test_what_goes_out_of_sight_follows_the_marks() -> None:
    its = holding()
    keeper, first, second = its.photos
    assert lost(its) == {first: ["has the colours"]}
    its.toggle(first)
    assert lost(its) == {}, "it stays"
    its.toggle(first)
    its.make_keeper(first)
    assert lost(its) == {keeper: ["is 4.0 times as large"], second: [UNCOMPARED]}
    its.make_keeper(keeper)
    assert lost(its) == {first: ["has the colours"]}


def test_of_same_bytes_it_does_not_matter_which_one_keeps() -> None:
    its = draft(8)
    keeper, first, _ = its.photos
    its.make_keeper(first)
    assert its.mark(keeper) is Mark.MOVE
    assert lost(its) == {}


def test_what_is_only_similar_stays_and_so_loses_nothing() -> None:
    its = holding(5)
    assert lost(its) == {}
    its.toggle(501)
    assert lost(its) == {501: ["has the colours"]}


def test_what_goes_out_of_sight_is_told_in_one_line() -> None:
    its = holding()
    line = loss_warning(its.losses(), 200)
    assert line == "a puts IMG_1003_WhatsApp.jpeg out of sight, and it alone has the colours"
    its.make_keeper(301)
    line = loss_warning(its.losses(), 200)
    assert line.startswith("a puts 2 pictures out of sight that hold more than the keeper: ")
    assert loss_warning([], 200) == ""


def test_only_what_the_rule_calls_more_makes_another_the_keeper() -> None:
    its = draft()
    enlarged = its.photos[301]
    enlarged.width, enlarged.height, enlarged.sharpness, enlarged.metadata_fields = 9000, 6000, 999.0, 99
    assert "k keeps" not in would_change(its.group, enlarged, its.lost(301))
    its = holding()
    assert "It has the colours: k keeps it instead." in would_change(
        its.group, its.photos[301], its.lost(301)
    )


def test_the_keeper_is_never_marked_to_move() -> None:
    made = draft()
    assert not made.toggle(made.keeper)
    assert not made.toggle_different(made.keeper)
    assert made.mark(made.keeper) is Mark.KEEPER


@given(st.lists(st.tuples(st.sampled_from(["toggle", "toggle_different", "make_keeper"]), st.integers(0, 2))))
def test_marks_undo_to_the_proposal_from_any_depth(steps: list[tuple[str, int]]) -> None:
    made, fresh = draft(), draft()
    files = list(made.photos)
    for name, index in steps:
        getattr(made, name)(files[index])
        assert made.keeper not in made.marks, "the keeper never moves"
        assert len(made.marks) == len(files) - 1
    while made.undo():
        pass
    assert (made.keeper, made.marks) == (fresh.keeper, fresh.marks)


def test_a_settled_group_keeps_its_keeper_and_can_be_corrected() -> None:
    scene = make_library(16, 1)[COPY_OF_TWO - 1]
    for number, photo in enumerate(scene.photos[1:], 7):
        photo.role, photo.move = "moved", number
    made = DecisionDraft(GroupDetail(group=scene.group, photos=scene.photos))
    first, second = made.marks
    assert made.requests() == []
    assert not made.make_keeper(first)
    made.toggle(first)
    assert [type(r) for r in made.requests()] == [Undo]
    assert made.requests()[0].moves == [7]  # type: ignore[union-attr]
    made.toggle_different(second)
    assert [type(r) for r in made.requests()] == [Judge, Undo]


def test_what_never_moved_is_not_said_to_come_back() -> None:
    scene = make_library(16, 1)[COPY_OF_TWO - 1]
    scene.photos[1].role, scene.photos[1].move = "moved", 7
    made = DecisionDraft(GroupDetail(group=scene.group, photos=scene.photos))
    for file in list(made.marks):
        made.toggle(file)
    assert made.summary() == "bring 1 back, 1 stay"


def test_an_action_is_taken_back_by_its_own_moves_and_lessons() -> None:
    action = Action(label="x", groups=(1,))
    assert action.undo_requests() == [], "what was not done is not undone"
    action.add(Acted(moved=2, moves=[4, 5], lessons=[9]))
    action.add(Acted(moved=1, moves=[6]))
    action.done = True
    undo, forget = action.undo_requests()
    assert isinstance(undo, Undo)
    assert isinstance(forget, ForgetLessons)
    assert (undo.moves, forget.lessons) == ([4, 5, 6], [9])


def test_an_action_on_a_whole_library_is_taken_back_by_its_batches_and_by_as_many_ids_as_a_message_takes() -> (
    None
):
    action = Action(label="x", done=True)
    action.add(Acted(moved=10**6, batches=["a", "b"]))
    (undo,) = action.undo_requests()
    assert isinstance(undo, Undo)
    assert (undo.moves, undo.batches) == ([], ["a", "b"])
    action.add(Acted(moved=300_000, moves=list(range(300_000)), lessons=list(range(30_000))))
    back = action.undo_requests()
    assert all(len(encode_request(1, request)) < MAX_LINE for request in back)
    assert sum(len(r.moves) for r in back if isinstance(r, Undo)) == 300_000
    assert sum(len(r.lessons) for r in back if isinstance(r, ForgetLessons)) == 30_000


@pytest.mark.parametrize("different", [False, True])
def test_members_that_are_not_shown_get_no_verdict(different: bool) -> None:
    marks = draft()
    marks.group.left_out = 4000
    for file in marks.marks:
        if different:
            marks.toggle_different(file)
    (request,) = marks.requests()
    assert isinstance(request, Judge), "a yes or no to the group would be one to those too"


@pytest.mark.parametrize(
    ("states", "consented", "waits"),
    [
        (["review"], True, True),
        (["proposed"], False, True),
        (["proposed"], True, False),
        (["review", "proposed"], False, True),
        (["review", "proposed"], True, False),
        (["settled"], False, False),
        ([], False, False),
    ],
)
def test_only_what_nothing_would_move_by_itself_waits_again(
    states: list[str], consented: bool, waits: bool
) -> None:
    before = [
        GroupView(id=i, root="/r", month="m", relation="copy", state=s, keep="k")
        for i, s in enumerate(states)
    ]
    assert Action(label="x", before=before).would_wait({"/r"} if consented else {"/other"}) is waits


def test_an_older_daemon_that_names_no_moves_is_asked_by_group() -> None:
    action = Action(label="x", groups=(1, 2), done=True)
    action.add(Acted(moved=2))
    assert [r.group for r in action.undo_requests() if isinstance(r, Undo)] == [1, 2]


# ---- looking -------------------------------------------------------------------------------------


def test_only_what_differs_is_told_and_better_or_worse_is_seen() -> None:
    photos = SCENES[2].photos
    facts = {fact.label: fact for fact in differing(photos)}
    assert "folder" not in facts, "the same for all"
    assert facts["pixels"].tones == ("", "bad")
    assert facts["exif"].values == ("38 fields, GPS", "4 fields")
    assert "holds" not in facts


def test_what_they_hold_is_told_where_it_differs() -> None:
    photos = make_library(2, 1)[1].photos
    photos[1].holds = ["no colours", "2.4 s of film"]
    facts = {fact.label: fact for fact in differing(photos)}
    assert facts["holds"].values == ("–", "no colours, 2.4 s of film")


@given(st.lists(st.sampled_from(["in", "out", "left", "right", "up", "down"])))
def test_zoom_and_pan_never_leave_the_picture(steps: list[str]) -> None:
    view = UNZOOMED
    moves = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    for step in steps:
        view = view.panned(*moves[step]) if step in moves else view.zoomed(1 if step == "in" else -1)
        window = view.window()
        assert window.left >= -1e-9
        assert window.top >= -1e-9
        assert window.right <= 1 + 1e-9
        assert window.bottom <= 1 + 1e-9
    assert Viewport(zoom=2.0).zoomed(-9) == UNZOOMED
