"""Reviewing: what each key asks of the daemon, and what the screen says then."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import msgspec
import pytest

from dedupd.protocol.notices import MonthChanged, StatusChanged
from dedupd.protocol.requests import Approve, Exchange, ForgetLessons, GetGroup, Judge, Reject, Request, Undo
from dedupd.protocol.views import GroupView
from dedupd.reviewing.listing import confidence, weight
from dedupd.tui.model.decisions import Mark
from dedupd.tui.screens.compare_group import CompareScreen
from dedupd.tui.screens.confirm import Confirm
from dedupd.tui.screens.groups import GroupsScreen
from dedupd.tui.screens.help import Help
from dedupd.tui.screens.history import HistoryScreen
from dedupd.tui.screens.months import MonthsScreen
from dedupd.tui.screens.picture import PictureScreen
from dedupd.tui.widgets.picture_view import PictureView
from tests.fakes.daemon import FakeDaemon
from tests.tui.conftest import Review, Reviewing


def acting(fake: FakeDaemon) -> list[Request]:
    return [
        r for r in fake.asked if isinstance(r, Approve | Exchange | Reject | Judge | Undo | ForgetLessons)
    ]


async def only(review: Review, relation_key: str) -> GroupView:
    """Show one relation and give the group under the cursor."""
    await review.press(relation_key)
    await review.calm()
    return review.rows().current  # type: ignore[no-any-return]


# ---- months and consent --------------------------------------------------------------------------


async def test_months_tell_photos_groups_waiting_and_open_with_enter(reviewing: Reviewing) -> None:
    async with reviewing(groups=16, months=2) as review:
        assert "2024-06 June" in review.text()
        assert "2024-05 May" in review.text()
        assert "16 waiting" in review.text()
        await review.press("j", "enter")
        await review.until(lambda: isinstance(review.app.screen, GroupsScreen))
        assert review.app.screen.key[1] == "2024-05"  # type: ignore[attr-defined]


async def test_the_first_yes_is_asked_for_with_counts_and_bytes(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, consented=False) as review:
        assert "files are ready to move" in review.text()
        assert "nothing moves before your yes" in review.text()
        await review.press("A")
        await review.asked()
        await review.calm()
        status = review.app.state.status
        assert f"{status.waiting_to_move} files" in review.text()
        assert "are freed" in review.text()
        await review.press("escape")
        await review.calm()
        assert acting(review.fake) == [], "no is no"
        await review.press("A")
        await review.asked()
        review.fake.hold.clear()
        await review.press("y")
        await review.until(lambda: "on its way: approved all proposed" in review.text(), "a sign of it")
        review.fake.hold.set()
        await review.settled()
        assert "on its way" not in review.text()
        [request] = acting(review.fake)
        assert isinstance(request, Approve)
        assert request.all
        await review.until(lambda: "ready to move" not in review.text(), "the banner goes")
        await review.until(lambda: review.app.state.status.bytes_saved > 0)


async def test_what_is_held_better_is_exchanged_after_a_question(reviewing: Reviewing) -> None:
    async with reviewing(
        groups=8,
    ) as review:
        await review.press("x")
        await review.calm()
        assert acting(review.fake) == [], "there is nothing to exchange"
        review.fake.held_better = 3
        await review.fake.notify(StatusChanged(status=review.fake._status()))
        await review.until(lambda: "3 moved files hold more" in review.text(), "the banner")
        await review.press("x")
        await review.asked()
        await review.press("escape")
        await review.calm()
        assert acting(review.fake) == [], "no is no"
        await review.press("x")
        await review.asked()
        await review.press("y")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Exchange)


async def test_what_was_changed_is_brought_back_after_a_question(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.press("b")
        await review.calm()
        assert acting(review.fake) == [], "there is nothing to bring back"
        review.fake.held_changed = 3
        review.fake.attention = ["3 photo(s) … or b in `dedupd review` puts them back"]
        await review.fake.notify(StatusChanged(status=review.fake._status()))
        await review.until(lambda: "3 moved photos may show" in review.text(), "the banner")
        assert "…" not in review.text().split("month")[0], "not told twice"
        await review.press("b")
        await review.asked()
        await review.press("escape")
        await review.calm()
        assert acting(review.fake) == [], "no is no"
        await review.press("b")
        await review.asked()
        await review.press("y")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Undo) and request.held_changed
        assert not (request.all or request.last or request.moves)
        await review.until(lambda: "may show" not in review.text(), "the banner goes")


async def test_jump_to_a_month(reviewing: Reviewing) -> None:
    async with reviewing(groups=60, months=30) as review:
        await review.press("g")
        await review.write("2022-03")
        await review.until(lambda: isinstance(review.app.screen, MonthsScreen))
        await review.until(lambda: review.rows().current.month == "2022-03")


# ---- groups --------------------------------------------------------------------------------------


async def test_relations_sort_filter_and_jump(reviewing: Reviewing) -> None:
    async with reviewing(groups=24) as review:
        await review.open_month()
        rows = review.rows()
        assert [g.id for g in rows.items] == [
            g.id for g in sorted(rows.items, key=lambda g: (-weight(g), g.id))
        ]
        await review.press("s", "s")
        await review.calm()
        sure = [confidence(g) for g in rows.items]
        told = [each for each in sure if each is not None]
        assert told == sorted(told, reverse=True)
        assert sure == [*told, *[None] * (len(sure) - len(told))]
        assert None in sure
        await review.press("4")
        await review.calm()
        assert {g.relation for g in rows.items} == {"burst"}
        await review.press("1", "slash")
        await review.write("img_1013")
        await review.calm()
        assert [g.id for g in rows.items] == [13]
        await review.press("escape")
        await review.calm()
        assert len(rows.items) == 24, "Esc clears the filter and stays"
        await review.press("g")
        await review.write("img_1007")
        await review.until(lambda: isinstance(review.app.screen, GroupsScreen))
        await review.until(lambda: rows.current.id == 7)


async def test_the_selected_groups_pictures_are_shown_beside_the_list(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, images="half") as review:
        await review.open_month()
        await review.until(
            lambda: sum(p.drawn for p in review.app.screen.query(PictureView)) >= 2, "pictures"
        )
        await review.until(lambda: "sharpest of the burst" in review.text())


async def test_a_approves_and_goes_on(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        first = review.rows().current
        await review.press("a")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Approve)
        assert [(ref.id, ref.version) for ref in request.groups] == [(first.id, 1)]
        assert review.rows().current.id != first.id
        assert review.group(first.id).state == "settled"
        await review.until(lambda: "✓" in review.text(), "it stays in the list, with a sign")


async def test_n_says_not_duplicates(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        group = await only(review, "5")
        await review.press("n")
        await review.settled()
        assert isinstance(acting(review.fake)[0], Reject)
        assert review.group(group.id).state == "kept"


async def test_one_key_approves_a_class_after_a_look_at_the_sum(reviewing: Reviewing) -> None:
    async with reviewing(groups=24) as review:
        await review.open_month()
        await review.press("2", "A")
        await review.asked()
        await review.press("y")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Approve)
        assert {review.group(ref.id).relation for ref in request.groups} == {"exact"}
        assert all(ref.version == 1 for ref in request.groups)
        assert {g.state for g in review.fake.groups.values() if g.relation != "exact"} == {
            "proposed",
            "review",
        }


async def test_a_class_that_is_not_proven_needs_a_typed_word(reviewing: Reviewing) -> None:
    async with reviewing(groups=24) as review:
        await review.open_month()
        await review.press("5", "A")
        await review.asked()
        await review.press("y", "enter")
        await review.calm()
        assert isinstance(review.app.screen, Confirm)
        assert acting(review.fake) == []
        await review.press("backspace")
        await review.write("approve")
        await review.settled()
        assert len(acting(review.fake)) == 1


async def test_rejecting_a_whole_group_needs_a_typed_word(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        await review.press("R")
        await review.asked()
        await review.press("enter")
        await review.calm()
        assert acting(review.fake) == []
        await review.write("reject")
        await review.settled()
        assert isinstance(acting(review.fake)[0], Reject)


async def test_a_group_that_changed_meanwhile_is_not_acted_on(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        group = review.group(review.rows().current.id)
        group.version += 1
        await review.press("a")
        await review.settled()
        assert group.state != "settled"
        assert not review.app.action_queue.done
        await review.until(lambda: review.app.state.groups[group.id].version == group.version, "seen anew")


# ---- what would be lost, and classes that wait for one reason ---------------------------------------


def hold(fake: FakeDaemon, id: int, *clauses: str, keeper: str = "") -> None:
    """The group's first member waits because it holds this; its keeper holds `keeper`."""
    group, photo = fake.groups[id], fake.photos[id][1]
    proof = group.evidence[photo.path]
    proof.only_here, proof.only_in_keeper = list(clauses), [keeper] if keeper else []
    told = [f"it {clause}" for clause in clauses] + ([f"its keeper {keeper}"] if keeper else [])
    group.why[photo.path] = "; ".join(told)
    if photo.path in group.duplicates:
        group.duplicates.remove(photo.path)
        group.review.append(photo.path)
        photo.role = "review"
        group.state = "proposed" if group.duplicates else "review"
    photo.holds = ["lossless", "2.4 s of film"]


def colourful(fake: FakeDaemon) -> None:
    """Copies whose first member waits: two for its colours, one also for something else, one for another reason."""
    hold(fake, 2, "has the colours", keeper="is 4.0 times as large")
    hold(fake, 7, "has the colours", keeper="is 2.5 times as large")
    hold(fake, 10, "has the colours", "has 2.4 s of film in it")
    hold(fake, 15, "shows 6% more of the scene")


async def stand(review: Review, id: int) -> None:
    review.rows().move_to_group(id)
    await review.until(lambda: review.rows().current.id == id)


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_what_a_would_put_out_of_sight_is_said_before_a(
    reviewing: Reviewing, size: tuple[int, int]
) -> None:
    async with reviewing(groups=16, size=size, prepare=colourful) as review:
        await review.open_month()
        await stand(review, 2)
        await review.until(lambda: "has the colours" in review.words("#preview #why"), "the preview")
        told = " ".join(review.words("#preview #why").split())
        assert told.startswith("a puts IMG_1002_"), told
        await review.press("enter")
        await review.shown()
        assert "lossless, 2.4 s of film" in review.text(), "each wears what it holds"
        line = review.words("#lost")
        assert line.startswith("a puts IMG_1002_")
        assert line.endswith(" out of sight, and it alone has the colours")
        assert "it alone has the colours" in review.text(), "and it is not cut"
        await review.press("k")
        assert "IMG_1002.jpg out of sight, and it alone is 4.0 times as large" in review.words("#lost")
        await review.press("u", "space")
        assert review.words("#lost") == "", "it stays"
        await review.press("u", "n")
        await review.settled()
        assert review.group(2).state == "kept"


async def test_a_class_that_waits_for_one_reason_is_approved_with_one_key(reviewing: Reviewing) -> None:
    async with reviewing(groups=16, prepare=colourful) as review:
        await review.open_month()
        await stand(review, 7)
        await review.press("e")
        assert {g.id for g in review.rows().items} == {2, 7}
        assert review.words("#tabs").startswith("only: it has the colours")
        await review.press("A")
        await review.asked()
        await review.press("y")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Approve)
        assert {ref.id for ref in request.groups} == {2, 7}
        assert {g.id for g in review.rows().items} == {2, 7}, "nothing jumps under the cursor"
        await review.press("e")
        assert len(review.rows().items) == 16
        assert not review.words("#tabs").startswith("only")


async def test_only_what_waits_for_a_yes_is_a_class_too_and_esc_leaves_it(reviewing: Reviewing) -> None:
    async with reviewing(groups=16, prepare=colourful) as review:
        await review.open_month()
        await stand(review, 1)
        await review.press("e")
        assert all(not g.review for g in review.rows().items)
        assert "waits for your yes alone" in review.text()
        await review.press("escape")
        assert len(review.rows().items) == 16
        assert isinstance(review.app.screen, GroupsScreen)


async def test_the_sum_of_a_class_tells_what_it_puts_out_of_sight(reviewing: Reviewing) -> None:
    def many(fake: FakeDaemon) -> None:
        colourful(fake)
        hold(fake, 3, "has transparency")
        hold(fake, 11, "shows finer detail")

    async with reviewing(groups=16, size=(80, 24), prepare=many) as review:
        await review.open_month()
        await review.press("3", "A")
        await review.asked()
        await review.calm()
        text = review.text()
        assert "6 groups would put out of sight what the keeper lacks:" in text
        told = [line for line in text.splitlines() if "keeper does" in line or " has " in line]
        assert "3 has the colours" in told[0], "the most frequent first"
        assert "and 2 other kinds" in text
        assert "Move them" in text, "the answer is in sight"
        await review.press("escape")
        await review.press("2", "A")
        await review.asked()
        assert "out of sight" not in review.text()


async def test_the_sum_and_its_typed_word_are_in_sight_together(reviewing: Reviewing) -> None:
    async with reviewing(groups=16, size=(80, 24), prepare=colourful) as review:
        await review.open_month()
        await review.press("A")
        await review.asked()
        await review.calm()
        for words in ("16 groups", "not proven", "3 has the colours", "type approve", "takes all of it back"):
            assert words in review.text(), words


# ---- compare -------------------------------------------------------------------------------------


async def test_compare_shows_badges_delta_evidence_and_reasons(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, images="half", size=(140, 45)) as review:
        await review.open_month()
        await only(review, "3")
        await review.press("enter")
        await review.shown()
        await review.until(
            lambda: sum(p.drawn for p in review.app.screen.query(PictureView)) >= 2, "pictures"
        )
        text = review.text()
        for words in (
            "KEEPER",
            "→ MOVE",
            "pixels",
            "1600×1067",
            "q72",
            "most pixels",
            "hash distance 2 of 64",
            "frees",
        ):
            assert words in text, words


async def test_what_the_preview_asked_for_is_compared_at_once(reviewing: Reviewing) -> None:
    async with reviewing() as review:
        await review.open_month()
        await review.until(lambda: "keeper:" in review.text(), "the preview")
        group = review.rows().current.id
        before = review.fake.asked.count(GetGroup(id=group))
        await review.press("enter")
        await review.shown()
        assert review.fake.asked.count(GetGroup(id=group)) == before > 0
        assert "KEEPER" in review.text()


async def test_a_closed_screen_is_let_go(reviewing: Reviewing) -> None:
    async with reviewing(images="half") as review:
        await review.open_month()
        for keys in (["enter"], ["h"], ["comma"]):
            await review.press(*keys)
            await review.settled()
            opened = weakref.ref(review.app.screen)
            assert not isinstance(opened(), GroupsScreen)
            await review.press("escape")
            await review.until(lambda: isinstance(review.app.screen, GroupsScreen), "back")
            await review.until(
                lambda opened=opened: gc.collect() >= 0 and opened() is None, f"{keys} is freed"
            )


async def test_what_a_closed_screen_drew_is_let_go(reviewing: Reviewing) -> None:
    """Textual alone keeps every line of the last thousand widgets."""
    async with reviewing() as review:
        await review.press("question_mark")
        await review.until(lambda: isinstance(review.app.screen, Help), "help")
        drawn = weakref.ref(review.app.screen.query_one("#dialog")._styles_cache)
        await review.press("escape")
        await review.until(lambda: gc.collect() >= 0 and drawn() is None, "its lines are freed")


class _Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.ring = self


async def test_garbage_waits_for_a_quiet_moment(
    reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also garbage of a time when the collector was told to leave everything alone, as a large month does."""
    monkeypatch.setattr("dedupd.tui.gc_pause.QUIET", 0.05)
    async with reviewing() as review:
        ring = _Ring()
        old = weakref.ref(ring)
        gc.freeze()
        del ring
        for key in ("question_mark", "escape"):
            looked = gc.get_stats()[2]["collections"]
            await review.press(key)
            await review.until(lambda n=looked: gc.get_stats()[2]["collections"] > n, "a look")
        await review.until(lambda: old() is None, "the thorough look")


async def test_space_keeper_and_undo_of_marks(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        assert screen.draft is not None
        draft = screen.draft
        keeper, first = draft.keeper, screen.looked_at
        await review.press("space")
        assert draft.mark(first) is Mark.KEEP
        await review.press("k")
        assert draft.keeper == first
        assert draft.mark(keeper) is Mark.MOVE
        assert "Keeper because: you chose it" in review.text()
        await review.press("u", "u")
        assert "you chose it" not in review.text()
        assert draft.untouched
        assert (draft.keeper, draft.mark(first)) == (keeper, Mark.MOVE)
        assert acting(review.fake) == [], "marks are not sent before a"


async def test_marks_are_sent_with_a(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()  # the burst of four: three members
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        assert screen.draft is not None
        files = list(screen.draft.marks)
        await review.press("space", "right", "n", "a")
        await review.settled()
        [request] = acting(review.fake)
        assert isinstance(request, Judge)
        assert (request.keep, request.different, request.move) == ([files[0]], [files[1]], [files[2]])


async def test_n_on_a_pair_settles_it_and_goes_on(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        await only(review, "5")
        await review.press("1", "enter")
        await review.shown()
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        pair = screen.id_now
        assert len(review.fake.photos[pair]) == 2
        await review.press("n")
        await review.settled()
        await review.shown()
        assert isinstance(acting(review.fake)[0], Reject)
        assert screen.id_now != pair


async def test_steps_go_to_next_and_previous_but_not_while_zoomed(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        first = screen.id_now
        await review.press("down")
        await review.shown()
        assert screen.id_now != first
        await review.press("up")
        await review.shown()
        assert screen.id_now == first
        await review.press("plus", "plus", "down", "right")
        await review.calm()
        assert screen.id_now == first
        assert screen.view.zoom == 2.0
        assert (screen.view.x, screen.view.y) == (0.625, 0.625)
        await review.press("j")
        await review.shown()
        assert screen.id_now != first
        assert screen.view.zoom == 1.0


async def test_difference_blink_and_full_screen(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, images="half", size=(120, 40)) as review:
        await review.open_group()
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        keeper, other = (pane.picture for pane in screen.side_by_side.panes[:2])
        await review.until(lambda: other.drawn)
        plain = other.pixels
        await review.press("d")
        await review.until(lambda: other.pixels is not plain, "the difference")
        await review.press("d", "b")
        await review.until(lambda: other.pixels is keeper.pixels, "the keeper in the other's place")
        await review.press("b")
        await review.until(lambda: other.pixels is plain)
        await review.press("f")
        await review.until(lambda: isinstance(review.app.screen, PictureScreen))
        await review.calm()
        assert "2/4" in review.text()
        await review.press("right")
        await review.calm()
        assert "3/4" in review.text()
        await review.press("escape")
        await review.until(lambda: review.app.screen is screen)


async def test_the_mouse_focuses_toggles_and_opens(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, size=(120, 40)) as review:
        await review.open_month()
        await review.pilot.click("#groups", offset=(5, 1))
        assert review.rows().cursor == 1
        await review.pilot.click("#groups", offset=(5, 1))
        await review.until(lambda: isinstance(review.app.screen, CompareScreen))
        await review.shown()
        screen = review.app.screen
        assert isinstance(screen, CompareScreen)
        assert screen.draft is not None
        await review.pilot.click(screen.side_by_side.panes[1].query_one(".head"), offset=(2, 0))
        await review.calm()
        assert screen.draft.mark(screen.looked_at) is Mark.KEEP
        await review.pilot.click(screen.side_by_side.panes[1].query_one(".head"), offset=(2, 0))
        await review.calm()
        assert screen.draft.mark(screen.looked_at) is Mark.MOVE


async def test_a_click_on_a_key_of_the_last_line_is_that_key(reviewing: Reviewing) -> None:
    async with reviewing(groups=8, size=(80, 24)) as review:
        await review.open_month()
        line = review.words("KeyBar")
        assert line.endswith("? Help "), "however narrow it is"
        await review.pilot.click("KeyBar", offset=(line.index("? Help"), 0))
        await review.until(lambda: isinstance(review.app.screen, Help))


async def test_copy_path_and_open(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()
        await review.press("y")
        await review.calm()
        assert review.app.clipboard.startswith("/home/ann/Pictures/2024/06/")
        await review.press("o")
        await review.calm()
        assert "not there any more" in review.app.state.log[-1].text


# ---- undo ----------------------------------------------------------------------------------------


async def test_u_takes_back_any_number_of_actions_in_turn(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        before = {i: g.state for i, g in review.fake.groups.items()}
        await review.open_group()
        await review.press("a", "a", "a")
        await review.settled()
        assert sum(g.state in ("settled", "kept") for g in review.fake.groups.values()) == 3
        await review.press("u", "u", "u")
        await review.settled()
        assert {i: g.state for i, g in review.fake.groups.items()} == before
        assert not [m for m in review.fake.moves if m.state == "moved"]
        assert review.fake.lessons == [], "what it taught is forgotten with it"


async def test_undo_of_an_action_that_is_still_on_its_way_waits_for_it(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        review.fake.hold.clear()
        await review.press("a", "u")
        review.fake.hold.set()
        await review.settled()
        assert [type(r) for r in acting(review.fake)] == [Approve, Undo, ForgetLessons]
        assert not [m for m in review.fake.moves if m.state == "moved"]


async def test_undo_of_not_duplicates_forgets_the_verdict(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        await review.press("n", "u")
        await review.settled()
        assert [type(r) for r in acting(review.fake)] == [Reject, ForgetLessons]
        assert {g.state for g in review.fake.groups.values()} == {"proposed", "review"}


async def test_undo_beyond_this_session_leads_to_the_history(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.press("u")
        await review.until(lambda: isinstance(review.app.screen, HistoryScreen))


async def test_history_puts_back_one_many_and_a_month(reviewing: Reviewing) -> None:
    async with reviewing(groups=16, months=2) as review:
        await review.press("A")
        await review.asked()
        await review.press("y")
        await review.settled()
        moved = len([m for m in review.fake.moves if m.state == "moved"])
        await review.press("h")
        await review.until(lambda: len(review.rows().items) == moved)
        await review.press("u")
        await review.settled()
        await review.until(lambda: sum(m.state == "undone" for m in review.fake.moves) == 1)
        await review.until(lambda: sum(m.state == "undone" for m in review.rows().items) == 1)
        await review.press("j", "space", "space", "u")
        await review.asked()
        await review.press("y")
        await review.settled()
        await review.until(lambda: sum(m.state == "undone" for m in review.fake.moves) == 3)
        await review.press("end", "M")
        await review.asked()
        await review.press("y")
        await review.settled()
        await review.until(
            lambda: not [m for m in review.fake.moves if m.state == "moved" and m.month == "2024-06"]
        )
        assert [m for m in review.fake.moves if m.state == "moved"], "the other month stays as it is"


async def test_history_forgets_a_verdict(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_month()
        await review.press("n")
        await review.settled()
        await review.press("h")
        await review.until(lambda: isinstance(review.app.screen, HistoryScreen))
        await review.press("v")
        await review.until(lambda: len(review.rows().items) == 1)
        await review.press("u")
        await review.settled()
        assert review.fake.lessons == []


async def test_a_group_that_comes_back_under_another_id_keeps_its_place(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()
        screen, fake = review.app.screen, review.fake
        assert isinstance(screen, CompareScreen)
        old, place = screen.id_now, screen.order.ids.index(screen.id_now)
        group, photos = fake.groups.pop(old), fake.photos.pop(old)
        group.id, group.version = 777, 1
        fake.groups[777], fake.photos[777] = group, photos
        await fake.notify(MonthChanged(root=group.root, month=group.month))
        await review.until(lambda: screen.id_now == 777 and screen.draft and screen.draft.group.id == 777)
        assert screen.order.ids[place] == 777
        await review.press("a")
        await review.settled()
        assert group.state == "settled"


async def test_a_list_that_was_empty_for_a_moment_has_its_keys_again(reviewing: Reviewing) -> None:
    async with reviewing(groups=1) as review:
        await review.open_month()
        state = review.app.state
        known, state.groups = state.groups, {}
        review.app.publish("groups")
        await review.calm()
        assert not review.rows().display
        state.groups = known
        review.app.publish("groups")
        await review.calm()
        await review.press("enter")
        await review.until(lambda: isinstance(review.app.screen, CompareScreen), "the comparison")


async def test_no_key_judges_a_group_that_is_gone(reviewing: Reviewing) -> None:
    async with reviewing(groups=8) as review:
        await review.open_group()
        screen, fake = review.app.screen, review.fake
        assert isinstance(screen, CompareScreen)
        gone = fake.groups.pop(screen.id_now)
        await fake.notify(MonthChanged(root=gone.root, month=gone.month))
        await review.until(lambda: "This group is gone" in review.text())
        await review.press("a", "n", "space", "k")
        assert acting(fake) == []
        await review.press("j")
        await review.shown()
        assert screen.id_now != gone.id


# ---- speed of hands ------------------------------------------------------------------------------


@pytest.mark.timeout(60)
async def test_a_hundred_right_proposals_take_hardly_more_than_a_key_each(reviewing: Reviewing) -> None:
    async with reviewing(groups=100, size=(80, 24)) as review:
        await review.open_month()
        await review.press("enter")
        await review.shown()
        keys, screen = 2, review.app.screen
        assert isinstance(screen, CompareScreen)
        while review.app.screen is screen:
            seen = screen.id_now
            review.tap("a")
            keys += 1
            await review.until(
                lambda seen=seen: review.app.screen is not screen or (screen.id_now != seen and screen.draft),
                "the next group",
            )
        await review.settled()
        settled = [ref.id for r in review.fake.of(Approve) for ref in r.groups]
        settled += [r.group.id for r in review.fake.of(Judge)]
        assert sorted(settled) == sorted(review.fake.groups), "each group once, none twice"
        for judge in review.fake.of(Judge):
            assert review.group(judge.group.id).relation == "similar"
            assert not judge.move, "what is only similar stays"
        assert keys <= 1.3 * 100


# ---- settings ------------------------------------------------------------------------------------


async def test_written_settings_are_shown_in_force_once_the_daemon_follows_them(
    reviewing: Reviewing, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\n[tiers]\ncopy = 'move'\n")
    async with reviewing(size=(100, 24), groups=8) as review:
        review.fake.settings.source = str(file)
        await review.press("comma")
        await review.until(lambda: "best" in review.text())
        await review.press("j", "right", "W")
        await review.asked()
        await review.press("y")
        written = '# mine\n[tiers]\ncopy = "review"\n'
        await review.until(lambda: file.read_text() == written, "it is written")
        assert "move → review" in review.text()
        tiers = review.fake.settings.tiers | {"copy": "review"}
        review.fake.settings = msgspec.structs.replace(review.fake.settings, tiers=tiers)
        await review.fake.notify(StatusChanged(status=review.fake._status()))
        await review.until(lambda: "→ review" not in review.text(), "nothing is tried any more")


async def test_rows_that_come_when_their_screen_is_gone_harm_nobody(reviewing: Reviewing) -> None:
    async with reviewing(groups=4) as review:
        await review.press("h")
        rows = review.rows()
        await review.press("escape")
        await review.until(lambda: not rows.is_attached)
        rows.display = False
        rows.show([review.fake.groups[1]])
