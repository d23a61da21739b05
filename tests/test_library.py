"""Any order of an owner's acts and dedupd's passes: nothing lost, nothing hidden, and the same groups as from scratch."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dedupd.adapters.fs import receipts
from dedupd.core.relocation import Goal, is_held
from tests.fakes.vision import pseudo_photo
from tests.support.shelf import Shelf

FOLDERS = ("2024/06", "2024/07", "x")
WIDTHS = {"original": 4000, "small": 800, "tiny": 400}


def add(shelf: Shelf, one: int, two: int) -> None:
    rendering = sorted(WIDTHS)[two % 3]
    name = f"{FOLDERS[one % 3]}/{'abcd'[one % 4]}{two}.jpg"
    if name not in shelf.files():
        said = {"keywords": [f"word {two}"]} if two % 2 else None
        scene = "lake" if one < 8 else "hill"
        shelf.add(name, scene, rendering=rendering, width=WIDTHS[rendering], said=said)


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
    held = shelf.ledger.journal.moves(held=True)
    if not held or not shelf.library.movement.undo([held[one % len(held)].id]).undone:
        return ""
    return held[one % len(held)].content


def take(shelf: Shelf, one: int, two: int) -> str:
    """Move a held copy out of duplicates/ by hand; answers its content."""
    held = [m for m in shelf.ledger.journal.moves(held=True) if shelf.path(m.dst).exists()]
    if not held:
        return ""
    move = held[one % len(held)]
    (shelf.root / "2024/06").mkdir(parents=True, exist_ok=True)
    os.rename(shelf.path(move.dst), shelf.path(f"2024/06/taken{move.id}.jpg"))
    return move.content


def reject(shelf: Shelf, one: int, two: int) -> None:
    if groups := shelf.ledger.groups.all():
        shelf.library.verdicts.reject([groups[one % len(groups)].id])


def add_live(shelf: Shelf, one: int, two: int) -> None:
    """A photo and its moving half: one fate."""
    name = f"2024/06/live{one % 3}{'abc'[two % 3]}"
    if f"{name}.jpg" not in shelf.files():
        shelf.add(f"{name}.jpg", "party", rendering=str(two), width=4000 - two)
        shelf.path(f"{name}.mov").write_bytes(b"the same second")


def look(shelf: Shelf, one: int, two: int) -> None:
    shelf.look()


# ---- faults


def unplug(shelf: Shelf, one: int, two: int) -> None:
    """P9: the disk is away, or an empty folder or another disk lies at its place, while dedupd goes on."""
    away = shelf.root.with_name("away")
    there = set(shelf.ledger.journal.moves(held=True))
    before = shelf.ledger.files.count() + len(there)
    os.rename(shelf.root, away)
    if one % 3:
        shelf.root.mkdir()
    if one % 3 == 2:
        (shelf.root / ".dedupd-root.json").write_text('{"uuid": "00000000-0000-4000-8000-000000000000"}')
    for _ in range(2):
        shelf.pass_()
        shelf.clock.advance(100)
    assert shelf.files() == set()
    for file in shelf.root.glob(".*") if one % 3 else ():
        file.unlink()
    if one % 3:
        shelf.root.rmdir()
    os.rename(away, shelf.root)
    assert set(shelf.ledger.journal.moves(held=True)) == there
    assert shelf.ledger.files.count() + len(there) == before


def jump(shelf: Shelf, one: int, two: int) -> None:
    """Somebody sets the wall clock, by years."""
    shelf.clock.jump((one - 5) * 1e8)


def lose_index(shelf: Shelf, one: int, two: int) -> None:
    shelf.vision.index.clear()
    shelf.again()


def restart(shelf: Shelf, one: int, two: int) -> None:
    shelf.again()


def full_disk(shelf: Shelf, one: int, two: int) -> None:
    """A pass on a disk that takes no receipt: nothing moves."""
    before = len(shelf.ledger.journal.moves(held=True))

    def full(folder: int, lines: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipts, "append", full)
        shelf.library.movement.move()
    assert len(shelf.ledger.journal.moves(held=True)) == before


def one_pass(shelf: Shelf, one: int, two: int) -> None:
    shelf.pass_()


def shown(shelf: Shelf) -> set[tuple[str, frozenset[tuple[str, str, str]]]]:
    """Groups as people see them: what a person told to stay is in no view."""
    stars = ((keeper, frozenset(m for m in members if m[1] != "stays")) for keeper, members in shelf.stars())
    return {(keeper, members) for keeper, members in stars if members}


def compare_all_again(shelf: Shelf) -> None:
    """From scratch; but a "no" to a pair goes on teaching when its photo is gone, and that pair nobody can measure again."""
    link = shelf.ledger._link  # pyright: ignore[reportPrivateUsage]
    there = "(SELECT content FROM files WHERE absent_since IS NULL AND content IS NOT NULL)"
    with shelf.ledger.transaction():
        link.execute(
            f"CREATE TEMP TABLE taught_by AS SELECT * FROM pairs WHERE a NOT IN {there} OR b NOT IN {there}"
        )
        shelf.ledger.pairs.forget()
        link.execute("INSERT INTO pairs SELECT * FROM taught_by")
        link.execute("DROP TABLE taught_by")
    shelf.library.grouper.regroup(everything=True)


def census(shelf: Shelf) -> Counter[str]:
    """Every content of the owner's: without the sidecars that dedupd wrote."""
    data = (shelf.path(path).read_bytes() for path in shelf.files())
    return Counter(blake3(bytes_).hexdigest() for bytes_ in data if b'x:xmptk="dedupd"' not in bytes_)


def keeps_its_promises(shelf: Shelf) -> None:
    """What holds after any act, pass or fault."""
    held = shelf.ledger.journal.moves(held=True)
    assert not shelf.ledger.journal.open_moves()
    assert os.listdir(shelf.at / "outside") == ["photo.jpg"], "P6: nothing outside the roots is touched"
    groups = [shelf.ledger.groups.get(m.group) for m in held]
    keepers = {group.keeper for group in groups if group is not None}
    assert not keepers & {m.file for m in held}, "P7: a keeper of held copies moved"
    units = {(m.batch, m.unit) for m in held if m.src.endswith(".mov")}
    for batch, unit in units:
        whole = [m for m in shelf.ledger.journal.moves(batch=batch) if m.unit == unit]
        gone = [m for m in whole if not m.held and m.error != "taken out of duplicates/ by its owner"]
        assert not [m for m in gone if m.goal is not Goal.UNDONE], "P10: a unit was torn apart"


def live(shelf: Shelf) -> list[str]:
    return sorted(p for p in shelf.files() if p.endswith(".jpg") and not is_held(p))


def some(paths: list[str], number: int) -> str:
    return paths[number % len(paths)] if paths else ""


Act = Callable[[Shelf, int, int], str | None]
_ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                add,
                add,
                add,
                add_live,
                rename,
                delete,
                edit,
                undo,
                reject,
                take,
                one_pass,
                one_pass,
                look,
                unplug,
                jump,
                lose_index,
                restart,
                full_disk,
            ]
        ),
        st.integers(0, 11),
        st.integers(0, 11),
    ),
    max_size=14,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(_ACTS)
@example([(delete, 0, 0), (add, 0, 5), (reject, 0, 0)])
def test_nothing_is_lost_hidden_or_moved_against_a_persons_word(acts: list[tuple[Act, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        shelf.path("../outside/photo.jpg").parent.mkdir()
        shelf.path("../outside/photo.jpg").write_bytes(pseudo_photo("lake"))
        (shelf.root / "link").symlink_to(shelf.at / "outside")
        said: dict[str, int] = {}
        for number, rendering in enumerate(WIDTHS):
            shelf.add(f"2024/06/first{number}.jpg", rendering=rendering, width=WIDTHS[rendering])
        shelf.pass_()
        for act, one, two in acts:
            before = census(shelf)
            back = act(shelf, one, two)
            shelf.clock.advance(100)
            if act not in (delete, edit):
                assert not before - census(shelf)  # P1, P3
            keeps_its_promises(shelf)
            if back:
                said.setdefault(back, max(m.id for m in shelf.ledger.journal.moves()))
        for _ in range(4):
            shelf.pass_()
            shelf.clock.advance(100)
        there = Counter(shelf.library.disk.content(str(shelf.root), path) for path in live(shelf))
        for move in shelf.ledger.journal.moves(held=True):
            a, b = sorted((move.content, move.keeper_content))
            assert there[move.keeper_content], f"{move.dst} is hidden: its keeper is gone"  # P8
            assert not move.primary or a == b or shelf.ledger.pairs.has(a, b)  # P5
            assert move.id <= said.get(move.content, move.id), (
                f"{move.src} moved against a person's word"
            )  # P11
        keeps_its_promises(shelf)
        assert shelf.library.report()["total_images"] == sum(p.endswith(".jpg") for p in shelf.files())  # P15
        incremental = shown(shelf)
        compare_all_again(shelf)
        assert shown(shelf) == incremental
        shelf.close()
