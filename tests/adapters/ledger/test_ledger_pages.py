"""Pages of groups and moves: the same rows in the same order as all of them, cut; and SQL judges as the views do."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.adapters.ledger import Ledger
from dedupd.core.photo import Evidence, Relation
from dedupd.core.records import MemberRow
from dedupd.pipeline.review import group_relation, group_state

MONTHS = ("2024-05", "2024-06")
member = st.tuples(
    st.sampled_from(["duplicate", "review", "moved", "stays"]), st.sampled_from(list(Relation))
)
groups = st.lists(
    st.tuples(st.sampled_from(MONTHS), st.lists(member, min_size=1, max_size=4)), max_size=12
)  # fmt: skip


@settings(max_examples=20)
@given(groups, st.integers(0, 14), st.integers(1, 5))
def test_a_page_is_a_part_of_all_and_state_and_relation_are_what_the_views_call_them(
    drawn: list[tuple[str, list[tuple[str, Relation]]]], offset: int, limit: int
) -> None:
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.db")
        with ledger.transaction():
            roots = [ledger.roots.add(path).id for path in ("/a", "/b")]
            for number, (month, members) in enumerate(drawn):
                rows = [
                    MemberRow(
                        file=1000 * number + i, role=role, relation=relation, evidence=Evidence(), why=""
                    )
                    for i, (role, relation) in enumerate(members, 1)
                ]
                ledger.groups.put(roots[number % 2], 1000 * number, month, [], rows, 0.0)
        every = [g for g in ledger.groups.all() if any(m.role != "stays" for m in g.members)]
        assert ledger.groups.page(roots, None, None, None, 0, None) == (every, len(every))
        for month in (None, *MONTHS):
            wanted = [g for g in every if g.root == roots[0] and month in (None, g.month)]
            for relation in (None, *(str(r) for r in Relation)):
                for state in (None, "proposed", "review", "settled"):
                    found = [
                        g for g in wanted
                        if relation in (None, group_relation(g.members)) and state in (None, group_state(g.members))
                    ]  # fmt: skip
                    page = ledger.groups.page(roots[:1], month, relation, state, offset, limit)
                    assert page == (found[offset : offset + limit], len(found))
        assert ledger.groups.page([], None, None, None, 0, None) == ([], 0)
        ledger.close()
