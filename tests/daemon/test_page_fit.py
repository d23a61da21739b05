"""What fits into one message: a page of large groups is a shorter page, never a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.daemon.handlers import _acted
from dedupd.daemon.page_fit import fitting, page, shortened, shortened_detail, told
from dedupd.library import Moved
from dedupd.protocol.codec import encode_result, size
from dedupd.protocol.messages import (
    MANY_IDS,
    MAX_LINE,
    Acted,
    EvidenceView,
    GroupDetail,
    GroupsPage,
    GroupView,
    MonthView,
    PhotoView,
)

NASTY = "\udcff" * 40
"""A name that JSON writes six bytes a character of."""


def group(id: int, members: int) -> GroupView:
    return GroupView(
        id=id, root="/r", month="2024-06", relation="burst", state="review", keep="k",
        review=[NASTY + str(n) for n in range(members)],
    )  # fmt: skip


@given(st.lists(st.sampled_from([1, 40, 400, 3000]), max_size=30))
def test_as_many_groups_as_fit_and_at_least_one(sizes: list[int]) -> None:
    views = [group(id, members) for id, members in enumerate(sizes)]
    count = fitting(views)
    assert (count > 0) == bool(views)
    assert encode_result(2**62, GroupsPage(groups=views[:count], total=10**9, next_offset=10**9))
    if count < len(views):
        more = size(GroupsPage(groups=views[: count + 1], total=1))
        assert more > MAX_LINE * 0.85, "no page is shorter than it must be"


def test_pages_together_are_the_whole() -> None:
    months = [MonthView(root="/r/" + NASTY, month=f"{n:06}") for n in range(5000)]
    found: list[MonthView] = []
    offset: int | None = 0
    pages = 0
    while offset is not None:
        some, offset = page(months, offset)
        assert size(some) < MAX_LINE
        found += some
        pages += 1
    assert found == months
    assert 1 < pages < 5
    assert page(months, 6000) == ([], None)


def detail(members: int) -> GroupDetail:
    names = [NASTY + str(n) for n in range(members)]
    view = GroupView(
        id=1, root="/r", month="2024-06", relation="exact", state="settled", keep="k",
        duplicates=names[::2], review=names[1::2], moved_to={n: n for n in names[::2]},
        evidence={n: EvidenceView(relation="exact") for n in names}, why=dict.fromkeys(names, "proven"),
        sizes={"k": 2, **dict.fromkeys(names, 1)}, bytes=members,
    )  # fmt: skip
    photos = [
        PhotoView(file=n, path=path, where=path, role="moved", size=1) for n, path in enumerate(["k", *names])
    ]
    return GroupDetail(group=view, photos=photos)


@pytest.mark.parametrize("members", [700, 6000])
def test_a_group_too_large_shows_some_of_its_members_and_counts_the_rest(members: int) -> None:
    whole = detail(members)
    shown = shortened(whole.group)
    assert MAX_LINE * 0.7 < size(shown) < MAX_LINE
    there = [*shown.duplicates, *shown.review]
    assert shown.left_out == members - len(there) > 0
    assert set(shown.evidence) == set(shown.why) == set(there)
    assert set(shown.sizes) == {"k", *there}
    assert shown.bytes == members
    seen = shortened_detail(whole)
    assert encode_result(2**62, seen)
    assert {p.path for p in seen.photos} == {"k", *seen.group.duplicates, *seen.group.review}
    assert seen.group.left_out == members - len(seen.photos) + 1


def test_what_fits_is_left_as_it_is() -> None:
    small = detail(5)
    assert shortened_detail(small) is small
    assert shortened(small.group) is small.group


def moved(count: int, batches: int = 1) -> Moved:
    found = Moved(files=count)
    found.moves = [
        Move(
            id=10**9 + n, batch=f"{n % batches:032}", group=1, unit="", file=n, root="/r", src="a", dst="b", size=1,
            mtime_ns=1, dev=1, ino=1, content="", keeper="k", keeper_content="", relation="exact",
            goal=Goal.MOVED, state=MoveState.DONE,
        )
        for n in range(count)
    ]  # fmt: skip
    return found


def test_an_act_names_its_moves_while_they_are_few_enough() -> None:
    acted = _acted(moved(3), [7])
    assert (acted.moves, acted.batches, acted.lessons) == ([10**9, 10**9 + 1, 10**9 + 2], [], [7])


@pytest.mark.parametrize("batches", [1, MANY_IDS + 1])
def test_an_act_on_a_whole_library_fits_into_its_answer(batches: int) -> None:
    """`approve --all` of more than some 130,000 moves was an answer that cut its client off."""
    done = moved(MANY_IDS + 1, batches)
    done.said = [f"{number} {NASTY * 10}" for number in range(3000)]
    acted = _acted(done, range(10**9, 10**9 + MANY_IDS + 1))
    assert encode_result(2**62, acted)
    assert (acted.moved, acted.moves, acted.lessons) == (MANY_IDS + 1, [], [])
    assert len(acted.batches) == (1 if batches == 1 else 0)
    assert "more" in acted.messages[-1]


def test_the_most_ids_there_may_be_fit() -> None:
    ids = [2**62 + n for n in range(MANY_IDS)]
    assert size(Acted(moves=ids, lessons=ids)) < MAX_LINE


def test_what_is_not_said_is_counted() -> None:
    assert told(["a", "b"]) == ["a", "b"]
    said = told(["x" * 1000] * 1000)
    assert said[-1] == f"and {1000 - len(said) + 1} more"
