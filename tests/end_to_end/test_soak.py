"""One daemon, thousands of random events: files, faults, kills, people. Nothing is lost, nothing grows.

The census reads the disk with the standard library alone. What its owner deletes or writes over may go, and only that.
`DEDUPD_SOAK` says how many events; `DEDUPD_SOAK_SEED` repeats a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dedupd.errors import DedupdError
from dedupd.protocol.requests import (
    Approve,
    GetThumbnails,
    GroupRef,
    Pause,
    Reject,
    Request,
    Resume,
    Scan,
    Undo,
)
from dedupd.protocol.results import Acted, Confirmed, Thumbnails
from tests.end_to_end.house import Daemon, House, painted

EVENTS = int(os.environ.get("DEDUPD_SOAK", "20000"))
SEED = int(os.environ.get("DEDUPD_SOAK_SEED", "7"))
MOST_FILES = 160
SECONDS_TO_BELIEVE = 150
FOLDERS = [
    f"{year}/{month:02}{below}" for year in (2023, 2024) for month in (5, 6, 7) for below in ("", "/trip")
]
OWN = (".dedupd-root.json", ".dedupd-receipts.jsonl")


class Owner:
    """Whoever owns the photos: what they do, and what they may still expect to find."""

    def __init__(self, house: House) -> None:
        self.house, self.random = house, random.Random(SEED)
        self.expected: set[str] = set()
        self.did: Counter[str] = Counter()

    # ---- the disk

    def files(self, *, held: bool = False) -> list[Path]:
        """Photos in their places; with `held` those in duplicates/ too."""
        found: list[Path] = []
        for folder, below, names in os.walk(self.house.root):
            if not held:
                below[:] = [name for name in below if name != "duplicates"]
            below[:] = [name for name in below if name != "duplicates_summary"]
            found += [Path(folder, name) for name in names if name not in OWN and not name.endswith(".xmp")]
        return sorted(found)

    def census(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for path in self.files(held=True):
            with contextlib.suppress(FileNotFoundError):
                found[digest(path)] += 1
        return found

    def check(self) -> None:
        """P1. Renames go on while it is counted: what is missing is counted once more."""
        for _ in range(20):
            missing = self.expected - self.census().keys()
            if not missing:
                return
            time.sleep(0.1)
        raise AssertionError(f"{len(missing)} contents are lost after {self.did}\n{self.house.log()[-4000:]}")

    def _goes(self, path: Path) -> None:
        """The owner takes away what lies there: gone for good, if it lay nowhere else."""
        content = digest(path)
        if self.census()[content] <= 1:
            self.expected.discard(content)

    # ---- acts

    def add(self) -> None:
        size = self.random.choice([(160, 120), (240, 180)])
        content = painted(self._scene(), size, self.random.choice([75, 90]))
        self._write(self._new_path(), content)

    def copy(self) -> None:
        self._write(self._new_path(), self._some().read_bytes())

    def rewrite(self) -> None:
        path = self._some()
        self._goes(path)
        self._write(path, painted(self._scene(), (160, 120), 60))

    def touch(self) -> None:
        os.utime(self._some())

    def rename(self) -> None:
        path, target = self._some(), self._new_path()
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)

    def delete(self) -> None:
        path = self._some()
        self._goes(path)
        path.unlink()

    def rename_folder(self) -> None:
        path = self._some().parent
        if path not in (self.house.root, self.house.root / "2023", self.house.root / "2024"):
            path.rename(path.with_name(f"{path.name} {self.random.randrange(10**6)}"))

    def close_folder(self) -> None:
        path = self._some().parent
        path.chmod(0o500)
        path.chmod(0o755)

    def take_out(self) -> None:
        held = [p for p in self.files(held=True) if "duplicates" in p.parts]
        if held:
            target = self._new_path()
            target.parent.mkdir(parents=True, exist_ok=True)
            self.random.choice(held).rename(target)

    def torn(self) -> None:
        """A picture cut short, whole a moment later."""
        whole, path = painted(self._scene(), (240, 180)), self._new_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole[: len(whole) // 2])
        path.write_bytes(whole)
        self.expected.add(hashlib.blake2b(whole).hexdigest())

    def _scene(self) -> int:
        """One of those that are photographed now: what was put back once never moves again."""
        return self.did.total() // 10 + self.random.randrange(30)

    def _some(self) -> Path:
        files = self.files()
        if not files:
            raise FileNotFoundError
        return self.random.choice(files)

    def _new_path(self) -> Path:
        folder = self.house.root / self.random.choice(FOLDERS)
        return folder / f"IMG_{self.random.randrange(10**9)}.jpg"

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        draft.rename(path)
        self.expected.add(hashlib.blake2b(content).hexdigest())


def digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()


class People:
    """Whoever sits at the reviewer, and whoever pulls the plug."""

    def __init__(self, owner: Owner) -> None:
        self.owner, self.random = owner, owner.random
        self.daemon = self._start()
        self.seen: list[tuple[float, int]] = []
        """(MB, descriptors) of daemons that ran for a while."""

    def _start(self) -> Daemon:
        daemon = Daemon(house=self.owner.house, process=self.owner.house.start("--yes"))
        daemon.until(lambda status: True)
        return daemon

    def ask(self, request: Request, kind: type[Acted | Confirmed | Thumbnails] = Acted) -> None:
        with contextlib.suppress(DedupdError):  # refused in a sentence: a group that is gone, a pause
            self.daemon.ask(request, kind)

    def approve(self) -> None:
        self.ask(Approve(all=True))

    def reject(self) -> None:
        if groups := self.daemon.groups():
            self.ask(Reject(groups=[GroupRef(id=self.random.choice(groups).id)]))

    def undo(self) -> None:
        self.ask(self.random.choice([Undo(last=True), Undo(month="2024/06"), Undo(all=True)]))

    def look(self) -> None:
        self.ask(GetThumbnails(files=[self.random.randrange(1, 400) for _ in range(8)]), Thumbnails)

    def pause(self) -> None:
        self.ask(Pause(), Confirmed)
        self.owner.add()
        self.ask(Resume(), Confirmed)

    def scan(self) -> None:
        self.ask(Scan(roots=[str(self.owner.house.root)], yes=True))

    def kill(self) -> None:
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon = self._start()

    def end(self) -> None:
        assert self.daemon.end(15) == 0
        self.daemon = self._start()

    def measure(self) -> None:
        place = Path("/proc", str(self.daemon.process.pid))
        pages = int((place / "statm").read_text().split()[1])
        self.seen.append((pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list((place / "fd").iterdir()))))


@pytest.mark.exhaustive
def test_thousands_of_random_events_lose_nothing_and_nothing_grows(house: House) -> None:
    owner = Owner(house)
    people = People(owner)
    acts: list[tuple[int, Callable[[], None]]] = [
        (30, owner.add), (30, owner.copy), (12, owner.rename), (12, owner.delete), (8, owner.rewrite),
        (8, owner.touch), (4, owner.torn), (3, owner.take_out), (2, owner.rename_folder), (2, owner.close_folder),
        (3, people.approve), (3, people.reject), (3, people.undo), (6, people.look), (1, people.pause), (1, people.scan),
    ]  # fmt: skip
    began = time.monotonic()
    try:
        for number in range(EVENTS):
            _one(owner, people, number, acts)
            if number % 200 == 199:
                owner.check()
                people.measure()
        people.daemon.settled()
        owner.check()
        people.daemon.ask(Undo(all=True), Acted)
        owner.check()
        assert not [p for p in owner.files(held=True) if "duplicates" in p.parts], "all came back"
        people.end()
        people.daemon.settled()
    finally:
        people.daemon.process.kill()
        people.daemon.process.wait()
    lasted, ended = time.monotonic() - began, time.monotonic()
    verified = house.cli("verify")
    while verified.code and time.monotonic() < ended + SECONDS_TO_BELIEVE:
        # What its owner took out of duplicates/ a moment before an undo is told of until it is believed gone.
        house.cli("scan", "--yes", str(house.root))
        time.sleep(20)
        verified = house.cli("verify")
    assert verified.code == 0, verified.out
    assert "Traceback" not in house.log()
    _flat(people.seen)
    print(f"{EVENTS} events in {lasted:.0f} s: {dict(owner.did)}; {people.seen[::5]}")


def _one(owner: Owner, people: People, number: int, acts: list[tuple[int, Callable[[], None]]]) -> None:
    if number % 1500 == 1499:
        act: Callable[[], None] = owner.random.choice([people.kill, people.end])
    elif len(owner.files()) > MOST_FILES:
        act = owner.delete
    else:
        (act,) = owner.random.choices([act for _, act in acts], [weight for weight, _ in acts])
    owner.did[act.__name__] += 1
    with contextlib.suppress(FileNotFoundError):  # dedupd was quicker
        act()


def _flat(seen: list[tuple[float, int]]) -> None:
    """The last third beside the first, after its beginning."""
    third = len(seen) // 3
    if third < 3:
        return
    early, late = seen[1 : third + 1], seen[-third:]
    for what, (before, after) in enumerate(
        zip(
            map(statistics.median, zip(*early, strict=True)),
            map(statistics.median, zip(*late, strict=True)),
            strict=True,
        )
    ):
        assert after <= 1.3 * before + 8, ("MB" if what == 0 else "descriptors", before, after, seen)
