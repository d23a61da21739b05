"""One writer per state folder and per root (P14), by flock: the lock ends with its process, so it is never stale.

Must never trust a process id, never remove a lock file (a waiter may hold the removed one) and never leave
anything in a root. A root's lock lies in the user's runtime folder, named after device and inode: a lock on the
root itself would keep its disk from being unmounted. It works between processes of one user; against other users
there are the checks before each move.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dedupd.config import Places
from dedupd.config.places import runtime_folder
from dedupd.errors import AlreadyRunning, RootError, StateError


class Locks:
    """The locks of one process; a root whose disk comes later is added then."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._roots: set[tuple[Path, int, int]] = set()

    def add(self, root: Path) -> None:
        """Lock the folder that is at `root` now, once. AlreadyRunning; RootError when there is none."""
        found = _there(root)
        name = (root, found.st_dev, found.st_ino)
        if name not in self._roots:
            self._stack.enter_context(root_lock(root, self._folder))
            self._roots.add(name)


@contextmanager
def lock_root_alone(root: Path) -> Generator[None]:
    """Lock one root without any state folder: for an undo from the receipts alone. AlreadyRunning, RootError, StateError."""
    runtime = runtime_folder()
    for folder in (runtime.parent, runtime):
        private_folder(folder)
    with root_lock(root, runtime / "roots"):
        yield


@contextmanager
def lock_library(places: Places, roots: Iterable[Path] = ()) -> Generator[Locks]:
    """Lock the state folder and every root that is there; a missing one is offline and no error.

    Raises AlreadyRunning, StateError.
    """
    with ExitStack() as stack:
        stack.enter_context(state_lock(places))
        runtime = runtime_folder()
        for folder in (runtime.parent, runtime):
            private_folder(folder)
        locks = Locks(stack, runtime / "roots")
        known = list(roots)
        for root in known:
            if root.exists() and not _waits_for_its_disk(root, known):
                locks.add(root)
        yield locks


def _waits_for_its_disk(root: Path, roots: Iterable[Path]) -> bool:
    """True for the empty place inside another root where a disk is mounted when it is there."""
    return any(
        outer in root.parents and outer.exists() and _there(outer).st_dev == _there(root).st_dev
        for outer in roots
    )


@contextmanager
def state_lock(places: Places) -> Generator[None]:
    """Lock the state folder, made (0700) when missing. AlreadyRunning; StateError when it cannot be used."""
    private_folder(places.state)
    _close_to_others(places)
    held = f"another dedupd already works with {places.state}; ask it with `dedupd status`, or stop it first"
    with _locked(places.lock, held):
        yield


@contextmanager
def folder_lock(folder: Path, sentence: str) -> Generator[None]:
    """Lock a folder of the state for one task. AlreadyRunning with this sentence; StateError."""
    private_folder(folder)
    with _locked(folder / "lock", sentence):
        yield


@contextmanager
def root_lock(root: Path, locks: Path) -> Generator[None]:
    """Lock a root, by a file in the private folder `locks`. AlreadyRunning when it, or a folder above or below it, is locked.

    RootError when the root is not there: then there is nothing to lock, and nothing may move in it.
    """
    found = _there(root)
    private_folder(locks)
    name = f"{found.st_dev:x}-{found.st_ino:x}"
    held = f"another dedupd already looks after {root}; stop it first, or leave the folder to it"
    with _locked(locks / name, held) as lock:
        os.ftruncate(lock, 0)
        os.pwrite(lock, os.fsencode(root), 0)
        for other in locks.iterdir():
            if (
                other.name != name
                and other.name.startswith(
                    f"{found.st_dev:x}-"
                )  # another disk mounted inside is a root of its own
                and (theirs := _locked_root(other))
                and _overlap(root, theirs)
            ):
                raise AlreadyRunning(
                    f"another dedupd already looks after {theirs}, which {root} overlaps; stop it first"
                )
        yield


def _there(root: Path) -> os.stat_result:
    try:
        return root.stat()
    except OSError as error:
        raise RootError(f"the root {root} is not there: {error.strerror}; is its disk mounted?") from error


def private_folder(folder: Path) -> None:
    """Make `folder` with mode 0700, or check that it is ours and nobody else can write to it. StateError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StateError(f"dedupd's folder {folder} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"dedupd's folder {folder} is a link or a file; name the folder itself")
    if found.st_uid != os.geteuid():
        raise StateError(f"dedupd's folder {folder} belongs to another user; choose another with --state-dir")
    if found.st_mode & 0o022:
        raise StateError(
            f"others can write to dedupd's folder {folder}; run `chmod go-w {folder}` or choose another"
        )


def _close_to_others(places: Places) -> None:
    """Make the files of dedupd in the state folder readable for their owner only: they show a family's photos.

    A folder that a person named may hold other files too, and keeps its own mode.
    """
    journals = (places.ledger.with_name(places.ledger.name + end) for end in ("-wal", "-shm"))
    own = [places.ledger, *journals, places.index, places.cache, places.logs]
    for path in own if places.named else [places.state, *own]:
        with suppress(OSError):  # not there yet, or on a disk that knows no modes
            found = path.lstat()
            if found.st_mode & 0o077 and not stat.S_ISLNK(found.st_mode):
                path.chmod(found.st_mode & 0o700)


@contextmanager
def _locked(path: Path, sentence: str) -> Generator[int]:
    try:
        # Not inherited: a worker that outlives the daemon must not keep its lock.
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        _take(lock, path, sentence)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, path: Path, sentence: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlreadyRunning(sentence) from error
    except OSError as error:
        raise StateError(
            f"the file system of {path} cannot lock files: {error.strerror}; choose another"
        ) from error


def _locked_root(path: Path) -> Path | None:
    """The root that a running process has locked by this file."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Path(os.fsdecode(file.read()))
    except OSError:
        pass
    return None


def _overlap(a: Path, b: Path) -> bool:
    return a in b.parents or b in a.parents
