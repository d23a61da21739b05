"""Any order of an owner's acts and dedupd's passes: nothing lost, nothing hidden, and the same groups as from scratch."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedupd.core.relocation import is_held
from tests.support.shelf import Shelf

FOLDERS = ("2024/06", "2024/07", "x")
WIDTHS = {"original": 4000, "small": 800, "tiny": 400}


def add(shelf: Shelf, one: int, two: int) -> None:
    rendering = sorted(WIDTHS)[two % 3]
    name = f"{FOLDERS[one % 3]}/{'abcd'[one % 4]}{two}.jpg"
    if name not in shelf.files():
        shelf.add(name, "lake" if one < 8 else "hill", rendering=rendering, width=WIDTHS[rendering])


def rename(shelf: Shelf, one: int, two: int) -> None:
    target = shelf.path(f"{FOLDERS[two % 3]}/moved{one}-{two}.jpg")
    target.parent.mkdir(parents=True, exist_ok=True)
    if (path := some(live(shelf), one)) and not target.exists():
        os.rename(shelf.path(path), target)


def delete(shelf: Shelf, one: int, two: int) -> None:
    if path := some(live(shelf), one):
        shelf.path(path).unlink()


def edit(shelf: Shelf, one: int, two: int) -> None:
    if path := some(live(shelf), one):
        shelf.add(path, f"edited {one} {two}")


def undo(shelf: Shelf, one: int, two: int) -> str:
    """Answers the content that a person put back."""
    held = shelf.library.held(everything=True)
    if not held or not shelf.library.undo([held[one % len(held)]]).restored:
        return ""
    return held[one % len(held)].content


def take(shelf: Shelf, one: int, two: int) -> str:
    """Move a held copy out of duplicates/ by hand; answers its content."""
    held = [m for m in shelf.library.held(everything=True) if shelf.path(m.dst).exists()]
    if not held:
        return ""
    move = held[one % len(held)]
    (shelf.root / "2024/06").mkdir(parents=True, exist_ok=True)
    os.rename(shelf.path(move.dst), shelf.path(f"2024/06/taken{move.id}.jpg"))
    return move.content


def reject(shelf: Shelf, one: int, two: int) -> None:
    if groups := shelf.ledger.judgement.groups():
        shelf.library.reject([groups[one % len(groups)].id])


def look(shelf: Shelf, one: int, two: int) -> None:
    shelf.look()


def one_pass(shelf: Shelf, one: int, two: int) -> None:
    shelf.pass_()


def shown(shelf: Shelf) -> set[tuple[str, frozenset[tuple[str, str, str]]]]:
    """Groups as people see them: what a person told to stay is in no view."""
    stars = ((keeper, frozenset(m for m in members if m[1] != "stays")) for keeper, members in shelf.stars())
    return {(keeper, members) for keeper, members in stars if members}


def live(shelf: Shelf) -> list[str]:
    return sorted(p for p in shelf.files() if not is_held(p))


def some(paths: list[str], number: int) -> str:
    return paths[number % len(paths)] if paths else ""


Act = Callable[[Shelf, int, int], str | None]
_ACTS = st.lists(
    st.tuples(
        st.sampled_from([add, add, add, rename, delete, edit, undo, reject, take, one_pass, one_pass, look]),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=14,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(_ACTS)
def test_nothing_is_lost_hidden_or_moved_against_a_persons_word(acts: list[tuple[Act, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        said: dict[str, int] = {}
        for number, rendering in enumerate(WIDTHS):
            shelf.add(f"2024/06/first{number}.jpg", rendering=rendering, width=WIDTHS[rendering])
        shelf.pass_()
        for act, one, two in acts:
            before = shelf.census()
            back = act(shelf, one, two)
            shelf.clock.advance(100)
            if act not in (delete, edit):
                assert not before - shelf.census()  # P1
            if back:
                said.setdefault(back, max(m.id for m in shelf.ledger.journal.moves()))
        for _ in range(4):
            shelf.pass_()
            shelf.clock.advance(100)
        there = Counter(shelf.library.disk.content(str(shelf.root), path) for path in live(shelf))
        for move in shelf.library.held(everything=True):
            a, b = sorted((move.content, move.keeper_content))
            assert there[move.keeper_content], f"{move.dst} is hidden: its keeper is gone"  # P8
            assert a == b or shelf.ledger.judgement.has_pair(a, b)  # P5
            assert move.id <= said.get(move.content, move.id), (
                f"{move.src} moved against a person's word"
            )  # P11
        assert shelf.library.report()["total_images"] == len(shelf.files())  # P15
        incremental = shown(shelf)
        with shelf.ledger.transaction():
            shelf.ledger.judgement.forget_pairs()
        shelf.library.cluster(everything=True)
        assert shown(shelf) == incremental
        shelf.close()
