"""What the mover does: move and undo, whole units, names, folders, receipts, and other programs that interfere."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.fs import mover
from dedupd.core.abilities import Way
from dedupd.core.relocation import Goal, MoveState
from tests.crash.rig import Rig, at_step, only
from tests.support import disks

KEEPER, COPY, HELD = "2024/06/keep.jpg", "2024/06/trip/a.jpg", "2024/06/duplicates/trip/a.jpg"


@pytest.fixture(params=list(Way))
def rig(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Once with the atomic no-replace rename, and on file systems that know only a lesser way."""
    disks.limited(monkeypatch, request.param)
    rig = Rig(tmp_path)
    rig.photo(KEEPER)
    rig.photo(COPY)
    yield rig
    rig.close()


def receipts(rig: Rig) -> list[dict[str, object]]:
    lines = (rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl").read_text("ascii").splitlines()
    return [json.loads(line) for line in lines]


def test_aside_and_back_change_nothing_but_the_place(rig: Rig) -> None:
    os.setxattr(rig.root / COPY, "user.rating", b"5")
    before = rig.tree()
    row = only(rig.relocate(rig.order(COPY)))
    assert row.held and row.dst == HELD
    assert rig.tree() == {KEEPER: before[KEEPER], HELD: before[COPY]}
    back = only(rig.undo([row]))
    assert (back.goal, back.state, back.undone_to) == (Goal.UNDONE, MoveState.DONE, COPY)
    assert rig.tree() == before
    assert os.getxattr(rig.root / COPY, "user.rating") == b"5"
    assert [(m.goal, m.state) for m in rig.rows()] == [(Goal.UNDONE, MoveState.DONE)]


def test_receipts_tell_the_whole_story(rig: Rig) -> None:
    rig.undo(rig.relocate(rig.order(COPY)))
    intent, moved, undone = receipts(rig)
    assert intent["receipt"] == "intent"
    assert (intent["src"], intent["dst"], intent["keeper"]) == (COPY, HELD, KEEPER)
    assert (intent["content"], intent["keeper_content"]) == (rig.content(COPY), rig.content(KEEPER))
    assert (moved["receipt"], undone["receipt"], undone["restored"]) == ("moved", "undone", COPY)
    assert {moved["id"], undone["id"]} == {intent["id"]}


def test_intent_is_on_disk_before_the_file_moves(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append([m.state for m in rig.rows()])
        seen.append([line["receipt"] for line in receipts(rig)])
        seen.append(rig.exists(COPY))

    at_step(monkeypatch, "checked before rename", look)
    rig.relocate(rig.order(COPY))
    assert seen == [[MoveState.INTENT], ["intent"], True]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.jpg", b"line\nbreak.jpg", b"-rf", b" lead.jpg", b"\x1b[31m.jpg", b"x" * 255]
)
def test_any_name_comes_back_byte_for_byte(rig: Rig, name: bytes) -> None:
    path = rig.photo("2024/06/" + os.fsdecode(name))
    row = only(rig.relocate(rig.order(path)))
    assert row.held, row.error
    assert os.listdir(os.fsencode(rig.root) + b"/2024/06/duplicates").count(name) == 1
    rig.undo([row])
    assert name in os.listdir(os.fsencode(rig.root) + b"/2024/06")


def test_undecodable_names_survive_journal_and_receipts(rig: Rig) -> None:
    path = rig.photo("2024/06/" + os.fsdecode(b"caf\xe9.jpg"))
    rig.relocate(rig.order(path))
    assert only(rig.rows()).src == path
    assert only(rig.mover.receipts(str(rig.root))).src == path


def test_unicode_twins_stay_two_files(rig: Rig) -> None:
    composed, decomposed = rig.photo("2024/06/\u00e9.jpg"), rig.photo("2024/06/e\u0301.jpg")
    rows = rig.relocate(rig.order(composed), rig.order(decomposed))
    assert all(row.held for row in rows)
    assert rows[0].dst != rows[1].dst
    rig.undo(rows)
    assert rig.exists(composed) and rig.exists(decomposed)


def test_taken_destination_gets_a_number(rig: Rig) -> None:
    theirs = rig.photo(HELD, b"theirs")
    row = only(rig.relocate(rig.order(COPY)))
    assert row.dst == "2024/06/duplicates/trip/a (1).jpg" and row.held
    assert (rig.root / theirs).read_bytes() == b"theirs"


def test_destination_taken_at_the_last_moment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, "checked before rename", lambda: rig.photo(HELD, b"theirs"))
    row = only(rig.relocate(rig.order(COPY)))
    assert row.held and row.dst.endswith("a (1).jpg")
    assert (rig.root / HELD).read_bytes() == b"theirs"
    assert [m.state for m in rig.rows()] == [MoveState.ABORTED, MoveState.DONE]


def test_new_folders_have_their_parents_mode(rig: Rig) -> None:
    os.chmod(rig.root / "2024/06", 0o2775)
    before = os.umask(0o077)
    try:
        only(rig.relocate(rig.order(COPY)))
    finally:
        os.umask(before)
    for folder in ("2024/06/duplicates", "2024/06/duplicates/trip"):
        assert stat.S_IMODE(os.stat(rig.root / folder).st_mode) == 0o2775


def test_undo_makes_a_missing_folder_again(rig: Rig) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    os.rmdir(rig.root / "2024/06/trip")
    assert only(rig.undo([row])).undone_to == COPY
    assert rig.exists(COPY)


def test_undo_beside_a_new_file_of_that_name(rig: Rig) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    rig.photo(COPY, b"new")
    back = only(rig.undo([row]))
    assert back.undone_to == "2024/06/trip/a (1).jpg" and back.goal is Goal.UNDONE
    assert (rig.root / COPY).read_bytes() == b"new"
    assert rig.content(back.undone_to) == row.content


def test_undo_when_the_name_is_taken_at_the_last_moment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    hold = rig.mover.prepare_undo([row], Goal.UNDONE)
    hold.close()
    original = mover.rename
    monkeypatch.setattr(
        mover, "rename", lambda *a: (rig.exists(COPY) or rig.photo(COPY, b"new"), original(*a))[1]
    )
    back = only(rig.undo([row]))
    assert back.undone_to == "2024/06/trip/a (1).jpg" and back.state is MoveState.DONE
    assert (rig.root / COPY).read_bytes() == b"new"


def test_undo_needs_no_keeper(rig: Rig) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    os.unlink(rig.root / KEEPER)
    assert only(rig.undo([row])).state is MoveState.DONE
    assert rig.exists(COPY)


def test_undo_of_what_its_owner_took_back_by_hand(rig: Rig) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    os.rename(rig.root / HELD, rig.root / COPY)
    assert only(rig.undo([row])).state is MoveState.DONE
    assert rig.exists(COPY)


@pytest.mark.parametrize("foreign", [False, True])
def test_undo_of_a_file_that_is_nowhere_names_its_content(rig: Rig, foreign: bool) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    os.unlink(rig.root / HELD)
    if foreign:
        rig.photo(HELD, b"x" * row.size)
        os.utime(rig.root / HELD, ns=(1, 1))  # the inode may well be the old one: numbers are used again
    back = only(rig.undo([row]))
    assert back.state is MoveState.ATTENTION and row.content in back.error
    assert rig.exists(HELD) == foreign and not rig.exists(COPY)


def test_undo_that_fails_leaves_it_held(rig: Rig) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    os.rmdir(rig.root / "2024/06/trip")
    rig.photo("2024/06/trip", b"a file where the folder was")
    back = only(rig.undo([row]))
    assert back.held and back.error
    assert only(rig.rows()).held
    assert rig.exists(HELD)


def test_undo_of_an_undo_proves_everything_again(rig: Rig) -> None:
    back = rig.undo(rig.relocate(rig.order(COPY)))
    again = only(rig.redo(back))
    assert again.held and rig.exists(HELD)
    rig.undo([again])
    os.unlink(rig.root / KEEPER)
    rig.photo(KEEPER, b"not the keeper it was")
    assert not any(row.held for row in rig.redo(back))
    assert rig.exists(COPY)


# ---- neighbours who meddle between the last check and the end


def edit(path: str) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        with open(rig.root / path, "ab") as file:
            file.write(b"edited")

    return act


def replaced(path: str) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        rig.photo("new.jpg", b"a new photo under the old name")
        os.rename(rig.root / "new.jpg", rig.root / path)

    return act


def removed(path: str) -> Callable[[Rig], None]:
    return lambda rig: os.unlink(rig.root / path)


def linked(path: str) -> Callable[[Rig], None]:
    return lambda rig: os.link(rig.root / path, rig.root / "second.jpg")


@pytest.fixture
def leaseless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without leases: a writer is not held off while the file is held."""
    from dedupd.adapters.fs import move_checks

    monkeypatch.setattr(move_checks, "_lease", lambda path, fd: False)


@pytest.mark.usefixtures("leaseless")
@pytest.mark.parametrize("act", [edit(KEEPER), replaced(KEEPER), removed(KEEPER), linked(KEEPER)])
@pytest.mark.parametrize("step", ["intent receipted", "checked before rename", "renamed"])
def test_keeper_touched_in_the_window(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[Rig], None]
) -> None:
    order = rig.order(COPY)
    at_step(monkeypatch, step, lambda: act(rig))
    row = only(rig.relocate(order))
    assert row.state is MoveState.ABORTED and row.error
    assert rig.content(COPY) == order.content and not rig.exists(HELD)
    assert only(rig.rows()).state is MoveState.ABORTED


@pytest.mark.usefixtures("leaseless")
@pytest.mark.parametrize("step", ["intent receipted", "checked before rename"])
@pytest.mark.parametrize("act", [edit(COPY), replaced(COPY)])
def test_candidate_touched_in_the_window(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[Rig], None]
) -> None:
    order = rig.order(COPY)
    at_step(monkeypatch, step, lambda: act(rig))
    row = only(rig.relocate(order))
    theirs = rig.content(COPY)
    assert row.state is MoveState.ABORTED and row.error
    assert theirs != order.content and not rig.exists(HELD)


@pytest.mark.usefixtures("leaseless")
def test_candidate_edited_after_the_rename(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, "renamed", lambda: edit(HELD)(rig))
    assert only(rig.relocate(rig.order(COPY))).state is MoveState.ABORTED
    assert (rig.root / COPY).read_bytes().endswith(b"edited") and not rig.exists(HELD)


def test_candidate_removed_in_the_window(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, "checked before rename", lambda: removed(COPY)(rig))
    assert only(rig.relocate(rig.order(COPY))).state is MoveState.ABORTED
    assert not rig.exists(HELD)


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_somebody_wants_to_write_while_it_is_held(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def write() -> None:
        with pytest.raises(BlockingIOError):
            os.open(rig.root / path, os.O_WRONLY | os.O_NONBLOCK)

    seen = at_step(monkeypatch, "intent receipted", write)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.ABORTED and "opened for writing" in row.error
    assert "renamed" not in seen, "known before the rename, so nothing was to be put back"
    assert rig.exists(COPY) and not rig.exists(HELD)


def test_keeper_gone_and_the_old_name_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can neither stay nor go back to its name: it comes back under a sibling name."""
    order = rig.order(COPY)

    def act() -> None:
        os.unlink(rig.root / KEEPER)
        rig.photo(COPY, b"new")

    at_step(monkeypatch, "renamed", act)
    row = only(rig.relocate(order))
    assert (row.goal, row.state) == (Goal.RETURNED, MoveState.DONE)
    assert rig.content("2024/06/trip/a (1).jpg") == order.content
    assert (rig.root / COPY).read_bytes() == b"new"


def test_folder_renamed_under_our_hands(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    census = rig.census()
    at_step(monkeypatch, "renamed", lambda: os.rename(rig.root / "2024/06", rig.root / "2024/June"))
    row = only(rig.relocate(rig.order(COPY)))
    assert not row.held
    assert rig.census() == census


def test_old_name_replaced_between_link_and_unlink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unlink of the link fallback must never hit somebody's new file."""
    disks.limited(monkeypatch, Way.LINK)
    rig = Rig(tmp_path)
    rig.photo(KEEPER)
    order = rig.order(rig.photo(COPY))
    at_step(monkeypatch, "linked", lambda: replaced(COPY)(rig))
    rig.relocate(order)
    assert (rig.root / COPY).read_bytes() == b"a new photo under the old name"
    assert order.content in {rig.content(path) for path in rig.tree()}
    rig.close()


# ---- units


@pytest.fixture
def live(rig: Rig) -> Rig:
    for name in ("b/IMG_1.HEIC", "b/IMG_1.MOV", "b/IMG_1.HEIC.xmp"):
        rig.photo("2024/06/" + name)
    return rig


def live_orders(rig: Rig) -> list[mover.MoveOrder]:
    names = ("IMG_1.HEIC", "IMG_1.MOV", "IMG_1.HEIC.xmp")
    return [rig.order(f"2024/06/b/{n}", unit="u", primary=n == "IMG_1.HEIC") for n in names]


def test_a_unit_moves_and_returns_together(live: Rig) -> None:
    before = live.tree()
    rows = live.relocate(*live_orders(live))
    assert all(row.held for row in rows)
    assert not any(path.startswith("2024/06/b/") for path in live.tree())
    live.undo(rows)
    assert live.tree() == before


def test_a_unit_keeps_one_number(live: Rig) -> None:
    live.photo("2024/06/duplicates/b/IMG_1.MOV", b"theirs")
    rows = live.relocate(*live_orders(live))
    assert [row.dst.rpartition("/")[2] for row in rows] == [
        "IMG_1 (1).HEIC",
        "IMG_1 (1).MOV",
        "IMG_1 (1).HEIC.xmp",
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_refused_and_none_moves(live: Rig, which: int) -> None:
    orders = live_orders(live)
    with open(live.root / orders[which].src, "ab") as file:
        file.write(b"more")
    before = live.tree()
    rows = live.relocate(*orders)
    assert all(row.state is MoveState.ABORTED for row in rows)
    assert live.tree() == before


def test_one_lost_on_the_way_and_the_others_return(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = live_orders(live)
    at_step(monkeypatch, "renamed", lambda: os.unlink(live.root / orders[1].src))
    rows = live.relocate(*orders)
    assert all(row.state is MoveState.ABORTED for row in rows)
    assert live.exists(orders[0].src) and live.exists(orders[2].src)
    assert not any("duplicates" in path for path in live.tree())


def test_other_units_of_the_batch_go_on(live: Rig) -> None:
    orders = live_orders(live)
    os.unlink(live.root / orders[0].src)
    rows = live.relocate(*orders, live.order(COPY))
    assert [row.held for row in rows] == [False, False, False, True]


# ---- receipts


def test_no_receipt_no_move(rig: Rig) -> None:
    (rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl").mkdir(parents=True)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.ABORTED and rig.exists(COPY)


@pytest.mark.parametrize("how", ["symlink", "hard link"])
def test_receipts_are_never_written_into_another_file(rig: Rig, tmp_path: Path, how: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    at = rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl"
    at.parent.mkdir()
    os.symlink(victim, at) if how == "symlink" else os.link(victim, at)
    assert only(rig.relocate(rig.order(COPY))).state is MoveState.ABORTED
    assert victim.read_bytes() == b"precious" and rig.exists(COPY)


def test_a_torn_receipt_harms_no_other(rig: Rig) -> None:
    first = only(rig.relocate(rig.order(COPY)))
    with open(rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl", "ab") as file:
        file.write(b'{"receipt":"intent","id":7,"ba')
    second = only(rig.relocate(rig.order(rig.photo("2024/06/b.jpg"))))
    told = rig.mover.receipts(str(rig.root))
    assert [(m.src, m.state) for m in told] == [(first.src, MoveState.DONE), (second.src, MoveState.DONE)]


def test_receipts_travel_with_their_folder(rig: Rig) -> None:
    rig.relocate(rig.order(COPY))
    os.rename(rig.root / "2024/06", rig.root / "2024/06 June")
    told = only(rig.mover.receipts(str(rig.root)))
    assert (told.src, told.dst) == ("2024/06 June/trip/a.jpg", "2024/06 June/duplicates/trip/a.jpg")


@pytest.mark.parametrize(
    "lie",
    [
        {"src": "../../x.jpg"},
        {"src": "2025/01/x.jpg"},
        {"src": "2024/06/duplicates/x.jpg"},
        {"dst": 5},
        {"dst": "x.jpg"},
    ],
)
def test_receipts_that_point_elsewhere_are_ignored(rig: Rig, lie: dict[str, object]) -> None:
    rig.relocate(rig.order(COPY))
    line = receipts(rig)[0] | {"id": 99} | lie
    with open(rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
    assert [m.id for m in rig.mover.receipts(str(rig.root))] == [1]


def test_nothing_of_ours_but_what_is_promised(rig: Rig) -> None:
    before = set(os.listdir(rig.root / "2024/06"))
    rig.undo(rig.relocate(rig.order(COPY)))
    assert set(os.listdir(rig.root / "2024/06")) - before == {"duplicates"}
    assert sorted(os.listdir(rig.root / "2024/06/duplicates")) == [".dedupd-receipts.jsonl", "trip"]


def test_dry_grip_leaves_no_trace(rig: Rig) -> None:
    before = sorted(rig.root.rglob("*"))
    with rig.mover.prepare_moves([rig.order(COPY)]) as batch:
        assert len(batch.orders) == 1
    assert sorted(rig.root.rglob("*")) == before


def test_held_files_are_let_go(rig: Rig) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    before = descriptors()
    rows = rig.relocate(rig.order(COPY), replace(rig.order(COPY), unit="x", src="2024/06/none.jpg"))
    rig.undo([rows[0]])
    assert descriptors() == before
    with open(rig.root / COPY, "r+b") as file:  # no lease is left behind
        file.write(b"x")
