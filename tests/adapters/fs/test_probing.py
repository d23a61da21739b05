"""What a file system can do is found out by doing it, and nothing is left of the trial; a lesser one moves as safely."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from dedupd.adapters.fs import marker, probing, renaming
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.marker import MARKER, marker_of
from dedupd.adapters.fs.probing import abilities
from dedupd.adapters.fs.safe_paths import Root
from dedupd.core.abilities import Way
from dedupd.core.relocation import MoveState
from dedupd.errors import MoveRefused, Refusal
from tests.crash.rig import Rig, at_step, only
from tests.support import disks
from tests.support.shelf import Shelf

KEEPER, COPY, HELD = "2024/06/keep.jpg", "2024/06/a.jpg", "2024/06/duplicates/a.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with Root(str(tmp_path)) as root:
        yield root


@pytest.mark.parametrize("way", list(Way))
def test_the_best_way_that_works_is_found_and_nothing_is_left_of_the_trial(
    root: Root, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks.limited(monkeypatch, way)
    found = abilities(root)
    assert (found.way, found.blocks, found.owned, found.problem) == (way, True, True, "")
    assert os.listdir(root.fd) == []


def test_without_any_way_nothing_moves_and_the_sentence_says_what_is_missing(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks.limited(monkeypatch, None)
    found = abilities(root)
    assert found.way is None and "nothing moves there" in found.problem
    assert os.listdir(root.fd) == []


@pytest.mark.parametrize("way", list(Way))
def test_no_way_replaces_a_file(root: Root, tmp_path: Path, way: Way) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        renaming.rename(root, "a", "b", way)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "a", "b": "b"}
    renaming.rename(root, "a", "c", way)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"b": "b", "c": "a"}


def test_a_rename_that_replaces_after_all_is_not_used(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that takes the flag and forgets it."""
    disks.limited(monkeypatch, Way.EXCLUSIVE)

    def forgetful(a: int, old: str, b: int, new: str) -> None:
        os.rename(old, new, src_dir_fd=a, dst_dir_fd=b)

    monkeypatch.setitem(renaming._WAYS, Way.EXCLUSIVE, forgetful)
    assert abilities(root).way is Way.LINK


def alters(old: str, folder: int) -> None:
    """A driver that stamps a file when it gives it another name."""
    os.utime(old, ns=(1, 1), dir_fd=folder)


def copies(old: str, folder: int) -> None:
    """A driver that makes another file of it."""
    fd = os.open(old, os.O_RDONLY, dir_fd=folder)
    stat, whole = os.fstat(fd), os.read(fd, 1 << 20)
    os.close(fd)
    os.unlink(old, dir_fd=folder)
    with open(os.open(old, os.O_WRONLY | os.O_CREAT, dir_fd=folder), "wb") as again:
        again.write(whole)
        again.flush()
        os.utime(again.fileno(), ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("meanwhile", [alters, copies])
def test_a_rename_that_brings_another_file_is_not_used(
    root: Root, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[str, int], None]
) -> None:
    disks.limited(monkeypatch, Way.EXCLUSIVE)
    real = renaming._WAYS[Way.EXCLUSIVE]

    def unfaithful(a: int, old: str, b: int, new: str) -> None:
        if not os.path.lexists(f"/proc/self/fd/{b}/{new}"):
            meanwhile(old, a)
        real(a, old, b, new)

    monkeypatch.setitem(renaming._WAYS, Way.EXCLUSIVE, unfaithful)
    assert abilities(root).way is Way.LINK


def unlike_inodes(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
    """Two names of one file that do not look like it, as sshfs shows them."""
    opened = os.open(old, os.O_RDONLY, dir_fd=src_dir_fd)
    other = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=dst_dir_fd)
    with open(opened, "rb") as source, open(other, "wb") as target:
        shutil.copyfileobj(source, target)


def test_where_inode_numbers_tell_nothing_files_move_and_no_second_name_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks.limited(monkeypatch, Way.LINK)
    monkeypatch.setattr(os, "link", unlike_inodes)
    rig = Rig(tmp_path)
    for path in (KEEPER, COPY):
        rig.photo(path)
    before = rig.tree()
    row = only(rig.relocate(rig.order(COPY)))
    assert row.held, row.error
    assert rig.tree() == {KEEPER: before[KEEPER], HELD: before[COPY]}
    rig.undo([row])
    assert rig.tree() == before
    rig.close()


def test_a_trial_that_another_process_spoilt_says_nothing_of_the_file_system(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor` beside the daemon: one took the other's files for what a crash left."""
    monkeypatch.setattr(probing, "_known", {})
    real = renaming._WAYS[Way.EXCLUSIVE]

    def spoilt(a: int, old: str, b: int, new: str) -> None:
        os.unlink(old, dir_fd=a)
        real(a, old, b, new)

    with monkeypatch.context() as at_first:
        at_first.setitem(renaming._WAYS, Way.EXCLUSIVE, spoilt)
        assert abilities(root).way is None
    assert abilities(root).way is Way.EXCLUSIVE


def test_what_a_crash_left_of_a_trial_goes_with_the_next_one(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker is there by then, so nothing else would ever look for it. A trial that is going on now is left alone."""
    monkeypatch.setattr(probing, "_known", {})
    for name in (MARKER, f"{MARKER}.1-1.tmp", "photo.tmp"):
        (tmp_path / name).write_text("{}")
    abilities(root)
    assert (tmp_path / f"{MARKER}.1-1.tmp").exists()
    monkeypatch.setattr(probing, "_known", {})
    later = time.time() + 7200
    monkeypatch.setattr(marker.time, "time", lambda: later)
    abilities(root)
    assert set(os.listdir(tmp_path)) == {MARKER, "photo.tmp"}


def test_a_disk_that_is_full_or_closed_is_called_that_and_asked_again(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_known", {})
    real = os.open

    def full(path: str, flags: int, *rest: int, **how: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return real(path, flags, *rest, **how)

    with monkeypatch.context() as at_first:
        at_first.setattr(os, "open", full)
        assert f"{root.path} cannot be written (No space left on device)" in abilities(root).problem
    assert abilities(root).way is Way.EXCLUSIVE


class TestClaim:
    """The weakest way: a claim that somebody else has taken meanwhile is theirs."""

    @pytest.fixture
    def rig(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
        disks.limited(monkeypatch, Way.CLAIM)
        rig = Rig(tmp_path)
        for path in (KEEPER, COPY):
            rig.photo(path)
        yield rig
        rig.close()

    def test_somebody_writes_into_it(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        order = rig.order(COPY)
        fd = -1

        def write() -> None:
            nonlocal fd
            fd = os.open(rig.root / HELD, os.O_WRONLY | os.O_NONBLOCK)
            os.write(fd, b"theirs")

        monkeypatch.setattr(renaming, "_lease", lambda claim: False)
        at_step(monkeypatch, "claimed", write)
        row = only(rig.relocate(order))
        os.close(fd)
        assert row.held and row.dst == "2024/06/duplicates/a (1).jpg"
        assert (rig.root / HELD).read_bytes() == b"theirs"

    def test_somebody_replaces_it(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        def replace() -> None:
            (rig.root / "theirs").write_bytes(b"")
            os.replace(rig.root / "theirs", rig.root / HELD)

        order = rig.order(COPY)
        at_step(monkeypatch, "claimed", replace)
        row = only(rig.relocate(order))
        assert row.held and row.dst == "2024/06/duplicates/a (1).jpg"
        assert (rig.root / HELD).exists()

    def test_somebody_is_about_to_write_into_it(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """They wait for the lease; an empty file of theirs is not the place for a photo."""

        def opens() -> None:
            with pytest.raises(BlockingIOError):
                os.open(rig.root / HELD, os.O_WRONLY | os.O_NONBLOCK)

        order = rig.order(COPY)
        at_step(monkeypatch, "claimed", opens)
        assert only(rig.relocate(order)).dst == "2024/06/duplicates/a (1).jpg"

    def test_a_rename_that_fails_leaves_no_claim(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        order = rig.order(COPY)
        monkeypatch.setattr(os, "rename", disks.no_links)
        row = only(rig.relocate(order))
        assert row.state is MoveState.ABORTED
        assert set(rig.tree()) == {KEEPER, COPY}

    def test_a_rename_that_fails_takes_nothing_away_that_came_meanwhile(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def comes(*_: object, **__: object) -> None:
            (rig.root / HELD).write_bytes(b"theirs")
            disks.no_links()

        order = rig.order(COPY)
        monkeypatch.setattr(renaming, "_lease", lambda claim: False)
        monkeypatch.setattr(os, "rename", comes)
        rig.relocate(order)
        assert (rig.root / HELD).read_bytes() == b"theirs"
        assert COPY in rig.tree()


def test_a_claim_that_holds_bytes_by_now_is_left(root: Root, tmp_path: Path) -> None:
    for name, text in (("empty", ""), ("theirs", "bytes")):
        (tmp_path / name).write_text(text)
        renaming.unlink_claim(root, name)
    assert [p.name for p in tmp_path.iterdir()] == ["theirs"]


def test_of_two_names_of_one_file_one_goes_and_nothing_else_ever(root: Root, tmp_path: Path) -> None:
    kept, content = tmp_path / "kept", blake3(b"photo").hexdigest()
    for name, text in (("kept", b"photo"), ("copy", b"photo"), ("changed", b"other")):
        (tmp_path / name).write_bytes(text)
        os.link(tmp_path / name, tmp_path / f"{name}'s second name")
    (tmp_path / "alone").write_bytes(b"photo")
    before = sorted(os.listdir(tmp_path))
    for keep, drop in (
        ("kept", "copy"),
        ("kept", "none"),
        ("none", "kept"),
        ("changed", "changed's second name"),
        ("alone", "alone"),  # as a disk that is mounted twice shows it
    ):
        with pytest.raises((MoveRefused, FileNotFoundError)):
            renaming.unlink_second_name(root, keep=keep, drop=drop, content=content)
        assert sorted(os.listdir(tmp_path)) == before
    renaming.unlink_second_name(root, keep="kept", drop="kept's second name", content=content)
    assert sorted(os.listdir(tmp_path)) == [name for name in before if name != "kept's second name"]
    assert kept.stat().st_nlink == 1


def test_a_file_system_without_links_can_be_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.limited(monkeypatch, Way.CLAIM)
    name = LocalDisk().mark(str(tmp_path))
    with Root(str(tmp_path)) as root:
        assert name and marker_of(root) == name
    assert os.listdir(tmp_path) == [MARKER]


def test_a_root_where_nothing_can_move_says_so_once_and_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.pair("2024/06/b.jpg", "2024/06/b-small.jpg", scene="hill")
    shelf.look()
    disks.limited(monkeypatch, None)
    before = sorted(shelf.root.rglob("*"))
    moved = shelf.pass_()
    assert (moved.files, moved.stayed) == (0, 2)
    (sentence,) = moved.messages
    assert "can neither refuse a taken name when it renames" in sentence
    assert sorted(shelf.root.rglob("*")) == before
    shelf.close()


def test_what_is_held_waits_where_nothing_can_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same disk under a lesser driver: undo says what is missing and touches nothing."""
    rig = Rig(tmp_path)
    for path in (KEEPER, COPY):
        rig.photo(path)
    held = rig.relocate(rig.order(COPY))
    disks.limited(monkeypatch, None)
    row = only(rig.undo(held))
    assert row.held and row.refusal is Refusal.UNABLE
    assert set(rig.tree()) == {KEEPER, HELD}
    rig.close()


def test_a_dry_run_tries_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    monkeypatch.setattr(probing, "_tried", lambda root: pytest.fail("tried out in a dry run"))
    before = shelf.root.stat().st_mtime_ns
    shelf.library.scan(dry_run=True)
    assert shelf.root.stat().st_mtime_ns == before
    shelf.close()


def no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_known", {})
    monkeypatch.setattr(probing, "_written", lambda root, name: (False, True))


def test_where_no_file_has_blocks_none_is_called_a_placeholder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_blocks(monkeypatch)
    rig = Rig(tmp_path)
    for path in (KEEPER, COPY):
        os.truncate(
            rig.root / rig.photo(path, b""), 4096
        )  # no bytes on the disk, as such a mount shows them all
    assert only(rig.relocate(rig.order(COPY, relation="exact"))).held
    rig.close()


def test_photos_that_look_like_placeholders_there_are_looked_at_in_the_same_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_blocks(monkeypatch)
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.vision.clouds = {"a.jpg", "a-small.jpg"}
    assert shelf.pass_().files == 1
    shelf.again()
    shelf.pair("2024/07/b.jpg", "2024/07/b-small.jpg", scene="hill")
    shelf.vision.clouds |= {"b.jpg", "b-small.jpg"}
    assert shelf.pass_().files == 1
    shelf.close()


def test_those_that_an_older_dedupd_left_alone_are_asked_about_once_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is left alone in that pass; before the upgrade, or while the root was read-only, nobody could ask."""
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.vision.clouds = {"a.jpg", "a-small.jpg"}
    assert shelf.pass_().files == 0
    no_blocks(monkeypatch)
    shelf.again()
    assert shelf.pass_().files == 1
    shelf.close()


def test_real_placeholders_stay_what_they_are(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.vision.clouds = {"a.jpg", "a-small.jpg"}
    assert shelf.pass_().files == 0
    assert shelf.vision.trusted == set()
    shelf.close()
