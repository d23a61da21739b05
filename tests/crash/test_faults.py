"""Disks that are full, read-only, foreign or forbidden, and neighbours who race: refused, told, nothing lost.

Real mounts where the machine allows them (as root on Linux), skipped with a reason where not.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.core.foreign import Scope
from dedupd.core.relocation import Move, MoveState
from tests.crash.killing import run
from tests.crash.rig import Rig, at_step, only

KEEPER, COPY, HELD = "2024/06/keep.jpg", "2024/06/trip/a.jpg", "2024/06/duplicates/trip/a.jpg"
NOBODY = 65534

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="needs root on Linux to mount, or to become someone else",
)


def sh(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not allow {' '.join(command[:3])}: {done.stderr.strip()}")


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    """mount(folder, options): a tmpfs there until the test is over."""
    mounted: list[Path] = []

    def act(at: Path, *options: str, kind: str = "tmpfs") -> Path:
        at.mkdir(parents=True, exist_ok=True)
        if kind == "tmpfs":
            sh("mount", "-t", "tmpfs", "-o", ",".join(options) or "size=4m", "tmpfs", str(at))
        else:
            sh("mount", "--bind", kind, str(at))
        mounted.append(at)
        return at

    yield act
    for at in reversed(mounted):
        subprocess.run(["umount", "-l", str(at)], check=False, capture_output=True)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def filled(rig: Rig) -> Rig:
    rig.photo(KEEPER)
    rig.photo(COPY)
    return rig


def fill(folder: Path) -> None:
    """Until not another byte fits."""
    with open(folder / "ballast", "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@as_root
class TestDisks:
    def test_full(self, tmp_path: Path, mount: Callable[..., Path]) -> None:
        mount(tmp_path / "root", "size=256k")
        rig = filled(Rig(tmp_path))
        (rig.root / "2024/06/duplicates").mkdir()
        order = rig.order(COPY)
        fill(rig.root)
        row = only(rig.relocate(order))
        assert row.state is MoveState.ABORTED and "space" in row.error
        assert rig.exists(COPY)
        os.unlink(rig.root / "ballast")
        assert only(rig.relocate(order)).held, "room again, and it works again"
        assert only(rig.mover.receipts(str(rig.root))).held
        rig.close()

    def test_no_inodes(self, tmp_path: Path, mount: Callable[..., Path]) -> None:
        mount(tmp_path / "root", "nr_inodes=7")
        rig = filled(Rig(tmp_path))
        row = only(rig.relocate(rig.order(COPY)))
        assert row.state is MoveState.ABORTED and "space" in row.error and rig.exists(COPY)
        rig.close()

    def test_read_only_from_the_start(self, tmp_path: Path, mount: Callable[..., Path]) -> None:
        root = mount(tmp_path / "root")
        rig = filled(Rig(tmp_path))
        sh("mount", "-o", "remount,ro", str(root))
        row = only(rig.relocate(rig.order(COPY)))
        assert row.state is MoveState.ABORTED and "Read-only" in row.error and rig.exists(COPY)
        rig.close()

    @pytest.mark.parametrize("step", ["proven", "intent receipted", "checked before rename"])
    def test_read_only_half_way(
        self, tmp_path: Path, mount: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        root = mount(tmp_path / "root")
        rig = filled(Rig(tmp_path))
        at_step(monkeypatch, step, lambda: sh("mount", "-o", "remount,ro", str(root)))
        row = only(rig.relocate(rig.order(COPY)))
        assert row.state is MoveState.ABORTED and "Read-only" in row.error and rig.exists(COPY)
        assert rig.recover() == []
        rig.close()

    def test_full_state_folder(self, tmp_path: Path, mount: Callable[..., Path]) -> None:
        """No durable intent, no move."""
        from dedupd.errors import StateError

        mount(tmp_path / "state", "size=512k")
        rig = Rig(tmp_path / "state")
        rig.root = tmp_path / "photos"
        rig.root_id = ""
        order = filled(rig).order(COPY)
        fill(tmp_path / "state")
        with pytest.raises(StateError, match="make room"):
            rig.relocate(order)
        assert rig.exists(COPY) and not rig.exists(HELD)
        os.unlink(tmp_path / "state/ballast")
        assert only(rig.relocate(order)).held
        rig.close()

    def test_duplicates_on_another_file_system(self, rig: Rig, mount: Callable[..., Path]) -> None:
        filled(rig)
        mount(rig.root / "2024/06/duplicates")
        row = only(rig.relocate(rig.order(COPY)))
        assert row.state is MoveState.ABORTED and "another file system" in row.error
        assert rig.exists(COPY) and not os.listdir(rig.root / "2024/06/duplicates")

    @pytest.mark.parametrize("where", ["2024/06/trip", "2024"])
    def test_a_bind_mount_is_a_boundary(
        self, rig: Rig, tmp_path: Path, mount: Callable[..., Path], where: str
    ) -> None:
        """Same device number, other mount: no move goes through it."""
        rig.photo(KEEPER)
        outside = Rig(tmp_path / "outside", mark=False)
        outside.photo(COPY)
        outside.photo(KEEPER)
        mount(rig.root / where, kind=str(outside.root / where))
        order = outside.order(COPY, root=str(rig.root), root_id=rig.root_id)
        if keeper := rig.mover.stat(str(rig.root), KEEPER):
            order = replace(order, keeper_stat=keeper)
        row = only(rig.relocate(order))
        assert row.state is MoveState.ABORTED and "another file system" in row.error
        assert outside.exists(COPY) and not outside.exists(HELD)
        outside.close()

    def test_a_bind_mount_is_walked_around(
        self, rig: Rig, tmp_path: Path, mount: Callable[..., Path]
    ) -> None:
        """Same device number, other mount: what lies there is no photo of this root (P6)."""
        rig.photo(KEEPER)
        outside = Rig(tmp_path / "outside", mark=False)
        outside.photo(COPY)
        mount(rig.root / "2024/07", kind=str(outside.root / "2024/06"))
        assert os.stat(rig.root / "2024/07").st_dev == os.stat(rig.root).st_dev
        told: list[str] = []
        disk = LocalDisk()
        found = disk.walk(str(rig.root), "", Scope(), lambda folder, sentence: told.append(sentence))
        assert [file.path for file in found] == [KEEPER]
        assert told == [f"{rig.root}/2024/07 is another file system: name it as a root of its own"]
        told.clear()
        heard = disk.list_folder(
            str(rig.root), "2024/07/trip", Scope(), lambda _, sentence: told.append(sentence)
        )
        assert list(heard) == [] and len(told) == 1
        with pytest.raises(OSError, match=r"cross-device"):
            disk.content(str(rig.root), "2024/07/trip/a.jpg")
        outside.close()

    def test_immutable(self, rig: Rig) -> None:
        filled(rig)
        sh("chattr", "+i", str(rig.root / COPY))
        try:
            row = only(rig.relocate(rig.order(COPY)))
            assert row.state is MoveState.ABORTED and "not permitted" in row.error
            assert rig.exists(COPY) and not rig.exists(HELD)
        finally:
            sh("chattr", "-i", str(rig.root / COPY))


@as_root
class TestPermissions:
    """As an ordinary user beside files of another."""

    @pytest.fixture
    def home(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp())
        rig = filled(Rig(folder))
        rig.close()
        for at in (folder, *folder.rglob("*")):
            os.chown(at, NOBODY, NOBODY)
        os.chmod(folder, 0o755)
        yield folder
        shutil.rmtree(folder)

    def move_as_nobody(self, home: Path) -> list[Move]:
        def act(_: Rig) -> None:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            rig = Rig(home)
            rig.relocate(order)
            rig.close()

        rig = Rig(home)
        order = rig.order(COPY)
        rig.close()
        for at in home.glob("ledger*"):
            os.chown(at, NOBODY, NOBODY)
        outside = home / "unused"
        (outside / "root").mkdir(parents=True)
        run(outside, act)
        rig = Rig(home, mark=False)
        rows = rig.rows()
        assert rig.exists(COPY) != rig.exists(HELD)
        rig.close()
        return rows

    def test_ordinary(self, home: Path) -> None:
        assert only(self.move_as_nobody(home)).held

    def test_folder_of_another(self, home: Path) -> None:
        os.chown(home / "root/2024/06/trip", 0, 0)
        assert only(self.move_as_nobody(home)).state is MoveState.ABORTED

    def test_month_of_another(self, home: Path) -> None:
        os.chown(home / "root/2024/06", 0, 0)
        assert only(self.move_as_nobody(home)).state is MoveState.ABORTED

    def test_photo_of_another(self, home: Path) -> None:
        """No lease on a stranger's file; the other checks must do."""
        os.chown(home / "root" / COPY, 0, 0)
        os.chmod(home / "root" / COPY, 0o644)
        assert only(self.move_as_nobody(home)).held

    def test_unreadable_photo(self, home: Path) -> None:
        os.chown(home / "root" / COPY, 0, 0)
        os.chmod(home / "root" / COPY, 0o600)
        assert self.move_as_nobody(home) == []

    def test_unreadable_keeper(self, home: Path) -> None:
        os.chown(home / "root" / KEEPER, 0, 0)
        os.chmod(home / "root" / KEEPER, 0o600)
        assert self.move_as_nobody(home) == []


# ---- a second process that is always at it

Neighbour = Callable[[Callable[[], object]], Callable[[], None]]


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """neighbour(act): does `act` in a process of its own, over and over, until what it returns is called."""
    children: list[int] = []

    def start(act: Callable[[], object]) -> Callable[[], None]:
        child = os.fork()
        if child == 0:
            try:
                while True:
                    act()
            finally:
                os._exit(0)
        children.append(child)
        return stop

    def stop() -> None:
        while children:
            child = children.pop()
            os.kill(child, 9)
            os.waitpid(child, 0)

    yield start
    stop()


@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.crash)])
def test_racing_for_the_names(rig: Rig, neighbour: Neighbour, count: int) -> None:
    """Whoever comes first keeps the name; the other one's bytes are never touched."""
    rig.photo(KEEPER)
    orders = [rig.order(rig.photo(f"2024/06/{n}.jpg")) for n in range(count)]
    before = rig.census()
    target = rig.root / "2024/06/duplicates"
    target.mkdir()

    def take() -> None:
        for n in range(count):
            for name in (f"{n}.jpg", f"{n} (1).jpg"):
                try:
                    fd = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                except FileExistsError:
                    continue
                os.write(fd, f"theirs {name}".encode())
                os.close(fd)

    stop = neighbour(take)
    rows = rig.relocate(*orders)
    stop()
    assert not before - rig.census()
    for row in rows:
        assert rig.content(row.dst if row.held else row.src) == row.content


@pytest.mark.skipif(sys.platform != "linux", reason="RENAME_EXCHANGE is Linux's")
def test_folders_swapped_for_links(rig: Rig, tmp_path: Path, neighbour: Neighbour) -> None:
    """A neighbour swaps the folder with a link out of the root all the time: nothing outside is touched."""
    rig.photo(KEEPER)
    orders = [rig.order(rig.photo(f"2024/06/trip/{n}.jpg")) for n in range(60)]
    before = rig.census()
    outside = tmp_path / "outside"
    outside.mkdir()
    for n in range(60):
        (outside / f"{n}.jpg").write_bytes(b"precious")
    os.symlink(outside, rig.root / "2024/06/link")
    libc = ctypes.CDLL(None)
    a, b = os.fsencode(rig.root / "2024/06/trip"), os.fsencode(rig.root / "2024/06/link")
    stop = neighbour(lambda: libc.renameat2(-100, a, -100, b, 2))
    rows = rig.relocate(*orders)
    stop()
    assert any(row.error for row in rows), "the neighbour was never fast enough to be in the way"
    assert sorted(p.name for p in outside.iterdir()) == sorted(f"{n}.jpg" for n in range(60))
    assert all(p.read_bytes() == b"precious" for p in outside.iterdir())
    assert rig.census() == before


def test_two_hands_at_the_same_work(rig: Rig, tmp_path: Path) -> None:
    """Two processes with one journal and the same orders: every file is in one place, and none is lost."""
    rig.photo(KEEPER)
    paths = [rig.photo(f"2024/06/{n}.jpg") for n in range(60)]
    before = rig.census()
    rig_id = rig.root_id

    def act(mine: Rig) -> None:
        mine.root_id = rig_id
        orders = []
        for path in paths:
            try:
                orders.append(mine.order(path))
            except (AssertionError, OSError):
                continue
        mine.relocate(*orders)

    child = os.fork()
    if child == 0:
        try:
            act(Rig(rig.folder, mark=False))
        finally:
            os._exit(0)
    act(rig)
    os.waitpid(child, 0)
    rig.recover()
    assert rig.census() == before
    held = {row.src for row in rig.rows() if row.held}
    assert held == set(paths)
