"""What fits into one message: a page of large groups is a shorter page, never a refusal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dedupd.daemon.handlers import fitting
from dedupd.protocol.codec import encode_result
from dedupd.protocol.messages import MAX_LINE, GroupsPage, GroupView


def group(id: int, members: int) -> GroupView:
    """Names that JSON writes six bytes a character of."""
    return GroupView(
        id=id, root="/r", month="2024-06", relation="burst", state="review", keep="k",
        review=["\udcff" * 40 + str(n) for n in range(members)],
    )  # fmt: skip


@given(st.lists(st.sampled_from([1, 40, 400, 3000]), max_size=30))
def test_as_many_groups_as_fit_and_at_least_one(sizes: list[int]) -> None:
    views = [group(id, members) for id, members in enumerate(sizes)]
    count = fitting(views)
    assert (count > 0) == bool(views)
    page = encode_result(2**62, GroupsPage(groups=views[:count], total=10**9, next_offset=10**9))
    assert len(page) <= MAX_LINE
    if count < len(views):
        more = encode_result(1, GroupsPage(groups=views[: count + 1], total=1))
        assert len(more) > MAX_LINE * 0.85, "no page is shorter than it must be"
