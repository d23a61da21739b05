"""What the hands refuse: every doubt leaves the photo where it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.core.relocation import MoveState
from dedupd.errors import Refusal, RootError
from tests.crash.rig import Rig, only, stayed

KEEPER, COPY = "2024/06/keep.jpg", "2024/06/trip/a.jpg"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.photo(KEEPER)
    rig.photo(COPY)
    yield rig
    rig.close()


def rewrite(path: Path, content: bytes) -> None:
    """Other bytes in the same inode, with the mtime and size of before."""
    before = path.stat()
    path.write_bytes(content.ljust(before.st_size, b".")[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_bytes_that_differ_from_the_record(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    rewrite(rig.root / path, b"edited")
    stayed(rig, only(rig.relocate(order)), COPY, f"{path} does not hold the bytes")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_changed_size(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    with open(rig.root / path, "ab") as file:
        file.write(b"more")
    stayed(rig, only(rig.relocate(order)), COPY, f"{path} was changed since")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_changed_mtime(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    os.utime(rig.root / path, ns=(1, 1))
    stayed(rig, only(rig.relocate(order)), COPY, f"{path} was changed since")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_another_inode_with_the_same_bytes(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    twin = rig.photo("elsewhere/twin.jpg", (rig.root / path).read_bytes())
    os.rename(rig.root / twin, rig.root / path)
    stayed(rig, only(rig.relocate(order)), COPY, f"{path} is another file")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_gone(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    os.rename(rig.root / path, rig.root / "away.jpg")
    row = only(rig.relocate(order))
    assert "gone" in row.error
    assert not rig.exists("2024/06/duplicates/trip/a.jpg")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_hard_link(rig: Rig, path: str) -> None:
    os.link(rig.root / path, rig.root / "second.jpg")
    stayed(rig, only(rig.relocate(rig.order(COPY))), COPY, "hard link")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_symbolic_link_in_its_place(rig: Rig, path: str) -> None:
    order = rig.order(COPY)
    os.rename(rig.root / path, rig.root / "real.jpg")
    os.symlink(rig.root / "real.jpg", rig.root / path)
    stayed(rig, only(rig.relocate(order)), COPY, "not a regular file")


@pytest.mark.parametrize(
    ("meddle", "kind"),
    [
        (lambda rig: os.utime(rig.root / COPY, ns=(1, 1)), Refusal.CHANGED),
        (lambda rig: rewrite(rig.root / COPY, b"edited"), Refusal.OTHER_BYTES),
        (lambda rig: os.unlink(rig.root / COPY), Refusal.GONE),
        (lambda rig: (rig.root / "2024/06/duplicates").write_text("notes"), Refusal.IN_THE_WAY),
        (lambda rig: os.symlink("/", rig.root / "2024/06/duplicates"), Refusal.IN_THE_WAY),
    ],
    ids=["changed", "other bytes", "gone", "a file in the way", "a link in the way"],
)
def test_each_no_says_what_kind_it_is_also_to_the_journal(
    rig: Rig, meddle: Callable[[Rig], object], kind: Refusal
) -> None:
    order = rig.order(COPY)
    meddle(rig)
    row = only(rig.relocate(order))
    assert (row.state, row.refusal) == (MoveState.ABORTED, kind)
    assert [move.refusal for move in rig.journal.moves()] == [kind] * (row.id > 0)


def test_the_systems_no_has_a_kind_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order = rig.order(COPY)
    for code, kind in (
        (errno.ENOSPC, Refusal.NO_SPACE),
        (errno.EROFS, Refusal.NOT_ALLOWED),
        (99, Refusal.FAILED),
    ):

        def fails(*_: object, code: int = code) -> None:
            raise OSError(code, os.strerror(code), "there")

        monkeypatch.setattr("dedupd.adapters.fs.receipts.append", fails)
        assert only(rig.relocate(order)).refusal is kind


def test_fifo_in_its_place_does_not_hang(rig: Rig) -> None:
    order = rig.order(COPY)
    os.unlink(rig.root / COPY)
    os.mkfifo(rig.root / COPY)
    stayed(rig, only(rig.relocate(order)), COPY, "not a regular file")


@pytest.mark.parametrize("path", ["2024/06/trip", "2024/06", "2024"])
def test_symbolic_link_on_the_way(rig: Rig, tmp_path: Path, path: str) -> None:
    order = rig.order(COPY)
    os.rename(rig.root / path, tmp_path / "outside")
    os.symlink(tmp_path / "outside", rig.root / path)
    row = only(rig.relocate(order))
    assert row.error
    assert not list(tmp_path.rglob("duplicates"))


def test_symbolic_link_within_the_root(rig: Rig) -> None:
    order = rig.order(COPY, rig.photo("k/sub/best.jpg"))
    os.rename(rig.root / "k", rig.root / "real")
    os.symlink("real", rig.root / "k")
    assert not only(rig.relocate(order)).held
    assert rig.exists(COPY)


def test_no_way_out_of_the_root(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "outside.jpg").write_bytes((rig.root / COPY).read_bytes())
    order = replace(rig.order(COPY), src="../outside.jpg")
    assert "not a plain relative path" in only(rig.relocate(order)).error
    assert (tmp_path / "outside.jpg").exists()


def test_duplicates_folder_that_leads_elsewhere(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", rig.root / "2024/06/duplicates")
    row = only(rig.relocate(rig.order(COPY)))
    assert row.error and rig.exists(COPY)
    assert not list((tmp_path / "outside").iterdir())


def test_file_named_duplicates(rig: Rig) -> None:
    rig.photo("2024/06/duplicates")
    row = only(rig.relocate(rig.order(COPY)))
    assert row.error and rig.exists(COPY)
    assert (rig.root / "2024/06/duplicates").is_file()


def test_placeholder_is_not_even_opened(rig: Rig) -> None:
    with open(rig.root / COPY, "wb") as file:
        file.truncate(1 << 20)
    rig.content(COPY)
    order = rig.order(COPY)
    os.utime(rig.root / COPY, ns=(5, order.stat.mtime_ns))
    row = only(rig.relocate(order))
    assert os.stat(rig.root / COPY).st_atime_ns == 5
    stayed(rig, row, COPY, "placeholder")


@pytest.mark.parametrize("path", [COPY, KEEPER])
def test_open_for_writing(rig: Rig, path: str) -> None:
    with open(rig.root / path, "r+b"):
        stayed(rig, only(rig.relocate(rig.order(COPY))), COPY, "open for writing")


def test_readers_do_not_matter(rig: Rig) -> None:
    with open(rig.root / COPY, "rb"), open(rig.root / KEEPER, "rb"):
        assert only(rig.relocate(rig.order(COPY))).held


@pytest.mark.parametrize("field", ["content", "keeper_content"])
def test_no_recorded_content_is_no_match(rig: Rig, field: str) -> None:
    stayed(rig, only(rig.relocate(rig.order(COPY, **{field: ""}))), COPY, "no recorded content")


def test_exact_means_the_same_bytes(rig: Rig) -> None:
    stayed(rig, only(rig.relocate(rig.order(COPY, relation="exact"))), COPY, "not the same bytes")


def test_its_own_keeper(rig: Rig) -> None:
    order = rig.order(COPY, COPY)
    row = only(rig.relocate(order))
    assert row.error and rig.exists(COPY)


def test_one_file_by_two_paths(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a case-insensitive or twice-mounted disk shows it: other name, same device and inode."""
    os.symlink("keep.jpg", rig.root / "2024/06/alias.jpg")
    keeper = rig.order(COPY).keeper_stat
    from dedupd.adapters.fs import move_checks, mover

    def lies(root: object, path: str, expected: object, content: str, *rest: object) -> move_checks.Held:
        fd = os.open(rig.root / KEEPER, os.O_RDONLY)
        return move_checks.Held(path=path, fd=fd, stat=os.fstat(fd), content=content, leased=False)

    monkeypatch.setattr(mover, "hold", lies)
    order = rig.order(COPY, stat=keeper)
    stayed(rig, only(rig.relocate(order)), COPY, "one and the same file")


@pytest.mark.parametrize("path", ["2024/06/duplicates/keep.jpg", "duplicates/x.jpg", "a/Duplicates/b.jpg"])
def test_a_held_file_keeps_nothing(rig: Rig, path: str) -> None:
    rig.photo(path)
    assert "duplicates folder already" in only(rig.relocate(rig.order(COPY, path))).error
    assert rig.exists(COPY)


def test_destination_outside_duplicates(rig: Rig) -> None:
    stayed(rig, only(rig.relocate(rig.order(COPY, dst="2024/06/a.jpg"))), COPY, "not in a duplicates folder")


def test_another_disk_at_the_roots_path(rig: Rig) -> None:
    order = rig.order(COPY, root_id="11111111-1111-1111-1111-111111111111")
    stayed(rig, only(rig.relocate(order)), COPY, "not the folder or disk it was")


def test_marker_gone(rig: Rig) -> None:
    order = rig.order(COPY)
    os.unlink(rig.root / ".dedupd-root.json")
    stayed(rig, only(rig.relocate(order)), COPY, "not the folder or disk it was")


@pytest.mark.parametrize("link", [False, True])
def test_root_gone_or_replaced_by_a_link(rig: Rig, tmp_path: Path, link: bool) -> None:
    order = rig.order(COPY)
    os.rename(rig.root, tmp_path / "renamed")
    if link:
        os.symlink(tmp_path / "renamed", rig.root)
    with pytest.raises(RootError):
        rig.relocate(order)
    assert (tmp_path / "renamed" / COPY).exists()
    assert rig.rows() == []


class TestContradictions:
    def test_a_keeper_of_held_copies_never_moves(self, rig: Rig) -> None:
        rig.photo("2024/06/best.jpg")
        only(rig.relocate(rig.order(COPY)))
        row = only(rig.relocate(rig.order(KEEPER, "2024/06/best.jpg")))
        assert "keeper of 1 held" in row.error and rig.exists(KEEPER)

    def test_it_may_once_its_copies_are_back(self, rig: Rig) -> None:
        rig.photo("2024/06/best.jpg")
        rig.undo(rig.relocate(rig.order(COPY)))
        assert only(rig.relocate(rig.order(KEEPER, "2024/06/best.jpg"))).held

    def test_no_chain_within_one_call(self, rig: Rig) -> None:
        rig.photo("2024/06/best.jpg")
        first, second = rig.relocate(rig.order(COPY), rig.order(KEEPER, "2024/06/best.jpg"))
        assert "about to move itself" in first.error and rig.exists(COPY)
        assert second.held

    def test_two_that_keep_each_other_both_stay(self, rig: Rig) -> None:
        rows = rig.relocate(rig.order(COPY, KEEPER), rig.order(KEEPER, COPY))
        assert not any(row.held for row in rows)
        assert rig.exists(COPY) and rig.exists(KEEPER)

    def test_ordered_twice(self, rig: Rig) -> None:
        rows = rig.relocate(rig.order(COPY, unit="1"), rig.order(COPY, unit="2"))
        assert all("twice" in row.error for row in rows) and rig.exists(COPY)


class TestSettling:
    """Quiet for the settle time by whichever clock can be trusted."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        rig = Rig(tmp_path, settle_seconds=3.0)
        rig.photo(KEEPER)
        rig.photo(COPY)
        yield rig
        rig.close()

    def test_too_fresh(self, rig: Rig) -> None:
        stayed(rig, only(rig.relocate(rig.order(COPY))), COPY, "changed a moment ago")

    def test_quiet_long_enough(self, rig: Rig) -> None:
        rig.clock.sleep(3.5)
        assert only(rig.relocate(rig.order(COPY))).held

    @pytest.mark.parametrize("jump", [10 * 365 * 86400.0, 60.0])
    def test_a_clock_that_jumps_ahead_proves_nothing(self, rig: Rig, jump: float) -> None:
        assert not only(rig.relocate(rig.order(COPY))).held
        rig.clock.wall += jump
        rig.clock.elapsed += 0.5
        stayed(rig, only(rig.relocate(rig.order(COPY))), COPY, "changed a moment ago")
        rig.clock.elapsed += 3.0
        rig.clock.wall += 3.0
        assert only(rig.relocate(rig.order(COPY))).held

    def test_a_clock_that_fell_back_does_not_hold_it_for_ever(self, rig: Rig) -> None:
        rig.clock.wall -= 86400.0
        held = []
        for _ in range(3):  # the keeper is watched first, then the copy
            held.append(only(rig.relocate(rig.order(COPY))).held)
            rig.clock.sleep(3.5)
        assert held == [False, False, True]

    def test_watched_files_start_over_when_they_change(self, rig: Rig) -> None:
        rig.clock.wall -= 86400.0
        assert not only(rig.relocate(rig.order(COPY))).held
        rig.photo(COPY)
        rig.clock.elapsed += 3.5
        rig.clock.wall += 3.5
        assert not only(rig.relocate(rig.order(COPY))).held
