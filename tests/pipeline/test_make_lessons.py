"""Verdicts reach the pairs like theirs in every month, and forgetting them gives everything back."""

from __future__ import annotations

from tests.support.shelf import Shelf


def look_alikes(shelf: Shelf, scene: str, month: str, count: int) -> None:
    for n in range(count):
        shelf.add(f"{month}/{scene}{n}.jpg", scene, exposure=f"{month}/{n}")


def asked(shelf: Shelf, scene: str) -> int:
    return sum(scene in path for view in shelf.views() for path in view.review)


def reject_all(shelf: Shelf, month: str) -> None:
    shelf.library.verdicts.reject([g.id for g in shelf.ledger.groups.all(None, month.replace("/", "-"))])


def test_a_vetoed_family_is_not_asked_about_in_other_months(shelf: Shelf) -> None:
    look_alikes(shelf, "whiteboard", "2024/05", 8)
    look_alikes(shelf, "whiteboard", "2024/06", 9)
    look_alikes(shelf, "beach", "2024/06", 4)
    shelf.pair("2024/06/whiteboard_copied.jpg", "2024/06/whiteboard_copy.jpg", "whiteboard", exposure="99")
    shelf.look()
    before = shelf.stars()
    assert asked(shelf, "whiteboard") >= 15 and asked(shelf, "beach") == 3
    reject_all(shelf, "2024/05")
    shelf.library.grouper.regroup()
    assert asked(shelf, "whiteboard") == 0, "pairs like the vetoed ones"
    assert asked(shelf, "beach") == 3, "another family"
    assert "2024/06/whiteboard_copy.jpg" in shelf.proposals(), "a copy is no look-alike"
    lessons = shelf.library.reviewer.lessons()
    assert len(lessons) == 7 and all(lesson.told > 0 for lesson in lessons)
    first, *rest = [lesson.id for lesson in lessons]
    assert shelf.library.verdicts.forget(first).messages == []
    assert shelf.library.verdicts.forget(*rest, first).messages == [f"there is no lesson {first}"]
    assert shelf.stars() == before


def test_what_was_taught_holds_for_photos_that_come_later_and_after_a_restart(shelf: Shelf) -> None:
    look_alikes(shelf, "whiteboard", "2024/05", 8)
    shelf.look()
    reject_all(shelf, "2024/05")
    shelf.again()
    look_alikes(shelf, "whiteboard", "2024/07", 5)
    shelf.look()
    assert asked(shelf, "whiteboard") == 0


def test_putting_files_back_teaches_nothing_about_likeness(shelf: Shelf) -> None:
    """`undo --all` says where files shall lie, not that no copy is one."""
    for n in range(6):
        shelf.pair(f"2024/05/{n}.jpg", f"2024/05/{n}_small.jpg", "lake", exposure=str(n))
    assert shelf.pass_().files == 6
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    shelf.pair("2024/06/later.jpg", "2024/06/later_small.jpg", "lake", exposure="50")
    shelf.look()
    assert set(shelf.proposals()) == {"2024/06/later_small.jpg"}


def test_lessons_that_travelled_teach_what_they_taught_where_they_were_said(shelf: Shelf) -> None:
    """Copies put back still say nothing there, and vetoes of photos put back since still do."""
    look_alikes(shelf, "whiteboard", "2024/05", 8)
    shelf.pair("2024/06/copied.jpg", "2024/06/copy.jpg", "lake")
    shelf.look()
    reject_all(shelf, "2024/05")
    shelf.clock.advance(100)
    assert shelf.pass_().files == 1
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    verdicts = shelf.ledger.verdicts
    lessons = shelf.library.reviewer.lessons()
    with shelf.ledger.transaction():  # one of the vetoed moved later, by somebody else's word, and came back
        vetoed = next(x for x in lessons if x.kind == "different" and "whiteboard" in x.paths[0])
        shelf.clock.advance(100)
        verdicts.add("keep", vetoed.a, "", ["2024/05/whiteboard0.jpg"], shelf.clock.now())
    lessons = shelf.library.reviewer.lessons()
    taught = [(v.a, v.b) for v in verdicts.for_lessons("different", 99)]
    assert len(taught) == 7
    shelf.library.verdicts.forget(*(x.id for x in lessons))
    assert verdicts.for_lessons("different", 99) == []
    shelf.clock.advance(100)
    shelf.library.verdicts.import_all((x.kind, x.a, x.b, x.paths, x.at) for x in lessons)
    assert [(v.a, v.b) for v in verdicts.for_lessons("different", 99)] == taught


def test_vetoes_of_moved_copies_make_their_kind_wait(shelf: Shelf) -> None:
    for n in range(6):
        shelf.pair(f"2024/05/{n}.jpg", f"2024/05/{n}_small.jpg", "slide", exposure=str(n))
    assert shelf.pass_().files == 6
    shelf.library.verdicts.reject(
        [g.id for g in shelf.ledger.groups.all() if any(m.role == "moved" for m in g.members)]
    )
    shelf.pair("2024/06/later.jpg", "2024/06/later_small.jpg", "slide", exposure="50")
    shelf.look()
    assert not shelf.proposals()
    (why,) = [view.why[p] for view in shelf.views() for p in view.review if p == "2024/06/later_small.jpg"]
    assert "you said" in why


def test_beside_another_keeper_what_was_said_of_the_pair_is_turned_round(shelf: Shelf) -> None:
    shelf.pair("2024/06/large.jpg", "2024/06/small.jpg")
    shelf.small("2024/06/smaller.jpg", rendering="again")
    shelf.look()
    group = shelf.group()
    small, third = group.members
    assert small.evidence.only_in_keeper == third.evidence.only_in_keeper == ("is 5.0 times as large",)
    shelf.library.verdicts.judge(
        group, keeper=small.file, move=[group.keeper], different=[], keep=[third.file]
    )
    [moved] = [m for m in shelf.group().members if m.role == "moved"]
    assert moved.file == group.keeper
    assert (moved.evidence.only_here, moved.evidence.only_in_keeper) == (("is 5.0 times as large",), ())
    assert moved.why == "you chose another keeper"
    [view] = shelf.views()
    assert view.evidence["2024/06/large.jpg"].only_here == ["is 5.0 times as large"]
    left = [m.evidence for m in shelf.group().members if m.file == third.file]
    assert [(p.only_here, p.only_in_keeper) for p in left] == [
        (("may hold more, as it was never compared with this keeper",), ())
    ]


def test_a_verdict_that_is_forgotten_says_which_months_were_grouped_anew(shelf: Shelf) -> None:
    """A reviewer asks for these months again; else a group that waits once more is not seen."""
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    (group,) = shelf.ledger.groups.all()
    _, (verdict, *_) = shelf.library.verdicts.recording(lambda: shelf.library.verdicts.reject([group.id]))
    shelf.library.grouper.regroup()
    forgotten = shelf.library.verdicts.forget(verdict)
    assert forgotten.files == 0
    assert shelf.library.movement.months_of(forgotten, {}) == {shelf.row.id: {"2024-06"}}
