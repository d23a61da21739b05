"""Where the trash of a root is, and what it must be before anything goes into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from dedupd.adapters.fs import trash
from dedupd.adapters.fs.discarding import check_discard
from dedupd.adapters.fs.safe_paths import Root
from dedupd.adapters.fs.trash import open_trash, trash_of, why_no_trash
from dedupd.core.photo import FileStat
from dedupd.core.purging import Discard
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.errors import MoveRefused, Refusal

USER = str(os.geteuid())


@pytest.fixture
def root(tmp_path: Path) -> Root:
    folder = tmp_path / "disk/Pictures"
    folder.mkdir(parents=True)
    return Root(str(folder))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home lies on another disk, and `disk` is where this one is mounted."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home/data"))
    devices: Callable[[str], int] = trash._device

    def device(path: str) -> int:
        return devices(path) + (not Path(path).is_relative_to(tmp_path / "disk"))

    monkeypatch.setattr(trash, "_device", device)
    return tmp_path / "disk"


def opened(root: Root) -> str:
    with open_trash(root) as found:
        return found.path


def refused(root: Root) -> str:
    with pytest.raises(MoveRefused) as why:
        open_trash(root)
    assert why.value.kind is Refusal.NO_TRASH
    return str(why.value)


def test_at_home_on_the_same_disk(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert why_no_trash(root) == "" and not (tmp_path / "data").exists(), "looking makes nothing"
    assert opened(root) == str(tmp_path / "data/Trash")
    assert oct((tmp_path / "data/Trash/files").stat().st_mode & 0o777) == "0o700"


def test_a_relative_data_home_counts_as_none(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened(root) == str(tmp_path / ".local/share/Trash")


def test_at_the_top_of_another_disk(root: Root, elsewhere: Path) -> None:
    assert why_no_trash(root) == ""
    assert opened(root) == str(elsewhere / f".Trash-{USER}")


def test_an_administrators_trash_is_sticky(root: Root, elsewhere: Path) -> None:
    (elsewhere / ".Trash").mkdir(mode=0o777)
    (elsewhere / ".Trash").chmod(0o1777)
    assert opened(root) == str(elsewhere / ".Trash" / USER)


@pytest.mark.parametrize("how", ["not sticky", "a link", "a file"])
def test_one_that_is_not_is_passed_over(root: Root, elsewhere: Path, how: str) -> None:
    shared = elsewhere / ".Trash"
    if how == "not sticky":
        shared.mkdir(mode=0o777)
        shared.chmod(0o777)
    elif how == "a link":
        (elsewhere / "real").mkdir()
        (elsewhere / "real").chmod(0o1777)
        shared.symlink_to("real")
    else:
        shared.write_bytes(b"")
    assert opened(root) == str(elsewhere / f".Trash-{USER}")


@pytest.mark.parametrize("what", [f".Trash-{USER}", f".Trash-{USER}/files", f".Trash-{USER}/info"])
@pytest.mark.parametrize("how", ["a link", "a file"])
def test_no_link_and_no_file_is_a_trash(
    root: Root, elsewhere: Path, what: str, how: str, tmp_path: Path
) -> None:
    at = elsewhere / what
    at.parent.mkdir(exist_ok=True)
    (tmp_path / "somewhere").mkdir()
    at.symlink_to(tmp_path / "somewhere") if how == "a link" else at.write_bytes(b"")
    assert f".Trash-{USER}" in refused(root)
    assert list((tmp_path / "somewhere").iterdir()) == []


def test_where_others_can_write_nothing_is_kept(root: Root, elsewhere: Path) -> None:
    (elsewhere / f".Trash-{USER}").mkdir()
    (elsewhere / f".Trash-{USER}").chmod(0o777)
    assert "other users can write" in refused(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_of_another_user(root: Root, elsewhere: Path) -> None:
    (elsewhere / f".Trash-{USER}").mkdir(mode=0o700)
    os.chown(elsewhere / f".Trash-{USER}", 12345, 12345)
    assert "another user" in refused(root)
    assert "another user" in why_no_trash(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_by_sudo_no_trash_is_made_in_somebodys_home(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 12345, 12345)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home/data"))
    assert "another user" in refused(root) and "another user" in why_no_trash(root)
    assert list((tmp_path / "home").iterdir()) == []


def test_on_another_disk(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the trash that is mounted from elsewhere: a rename could not reach it, and a copy is no rename."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    opened(root)
    monkeypatch.setattr(trash, "_device", lambda path: root.dev + 1)
    root.dev += 1
    assert "another disk" in refused(root)
    assert "another disk" in why_no_trash(root)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_on_a_network_drive(root: Root, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(trash, "kind_of", lambda device: kind)
    assert kind in refused(root) and kind in why_no_trash(root)


def test_paths_are_told_as_the_desktop_reads_them(root: Root, elsewhere: Path) -> None:
    """Relative to the top of their disk, every byte that is no letter escaped."""
    name = os.fsdecode(b"a b\xff%\n\xc3\xa9.jpg")
    with open_trash(root) as found:
        found.reserve("x", os.path.join(root.path, name), 0.0)
    line = (elsewhere / f".Trash-{USER}/info/x.trashinfo").read_text("ascii").splitlines()[1]
    assert os.fsdecode(unquote(line.removeprefix("Path="), errors="surrogateescape")) == f"Pictures/{name}"


def test_an_info_is_removed_only_when_it_is_of_nothing_and_ours(root: Root, elsewhere: Path) -> None:
    original = os.path.join(root.path, "a.jpg")
    with open_trash(root) as found:
        info = elsewhere / f".Trash-{USER}/info/a.jpg.trashinfo"
        found.reserve("a.jpg", original, 0.0)
        with pytest.raises(FileExistsError):
            found.reserve("a.jpg", original, 0.0)
        found.release("a.jpg", os.path.join(root.path, "other.jpg"))
        assert info.exists()
        (elsewhere / f".Trash-{USER}/files/a.jpg").write_bytes(b"x")
        found.release("a.jpg", original)
        assert info.exists()
        (elsewhere / f".Trash-{USER}/files/a.jpg").unlink()
        again, name = trash_of(found.place("a.jpg"))
        with again:
            again.release(name, original)
        assert not info.exists()


HELD = Move(
    id=1, batch="x", group=1, unit="b", file=1, root="", src="b.jpg", dst="duplicates/b.jpg", size=5, mtime_ns=0, dev=0,
    ino=0, content="1" * 64, keeper="a.jpg", keeper_content="2" * 64, relation="copy", goal=Goal.MOVED, state=MoveState.DONE,
)  # fmt: skip
STAT = FileStat(size=1, mtime_ns=0, ctime_ns=0, dev=0, ino=0)
ORDER = Discard(move=HELD, stands="a.jpg", stands_stat=STAT, stands_content="2" * 64)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (replace(ORDER, move=replace(HELD, dst="a/b.jpg")), "does not lie in duplicates/"),
        (replace(ORDER, move=replace(HELD, state=MoveState.ABORTED)), "does not lie in duplicates/"),
        (replace(ORDER, move=replace(HELD, goal=Goal.UNDONE)), "does not lie in duplicates/"),
        (replace(ORDER, stands="duplicates/a.jpg"), "lies in duplicates/ itself"),
        (replace(ORDER, stands_content=""), "no recorded content"),
        (replace(ORDER, move=replace(HELD, content="")), "no recorded content"),
        (replace(ORDER, move=replace(HELD, relation="exact")), "not the same bytes"),
        (replace(ORDER, move=replace(HELD, primary=False)), "not the same bytes"),
    ],
)
def test_an_order_that_cannot_be_right_is_refused_whoever_made_it(
    tmp_path: Path, order: Discard, why: str
) -> None:
    with Root(str(tmp_path)) as root:
        check_discard(root, ORDER)
        with pytest.raises(MoveRefused, match=why):
            check_discard(root, order)
