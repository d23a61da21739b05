"""Every error dedupd raises on purpose, and the exit code each one ends a command with.

    DedupdError
    ├── UsageError            a command line that cannot be meant             2
    ├── ConfigError           config.toml: file, key, what is right           2
    ├── ConsentNeeded         moves are waiting and nobody can be asked       3
    ├── AlreadyRunning        another instance holds the lock                 4
    ├── NoDaemon              no daemon answers on the socket                 5
    ├── StateError            the state folder cannot be used (full, foreign) 1
    │   └── LedgerDamaged     ledger.db cannot be trusted: moves are off      1
    ├── RootError             a root is missing, unreadable, swapped          1
    ├── VisionError           the worker cannot see (no model, crashed)       1
    │   └── NotCalibrated     a model finds no thresholds on these photos     1
    ├── PhotosError           Apple's Photos, or a tool for it, failed       1
    ├── ProtocolError         a peer broke the socket's protocol              1
    └── MoveRefused           a check of the move protocol said no            1

Each message is one sentence: what, where, what to do. Must stay light to import.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What a command's exit status means (DESIGN contract)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONSENT = 3
    LOCKED = 4
    NO_DAEMON = 5
    DUPLICATES = 6
    """`scan --fail-on-duplicates` found some."""


class DedupdError(Exception):
    """The base of all; shown to people as one sentence, never as a traceback."""

    exit_code: ExitCode = ExitCode.FAILED


class UsageError(DedupdError):
    """A command line that cannot be meant."""

    exit_code = ExitCode.USAGE


class ConfigError(DedupdError):
    """config.toml says something dedupd cannot follow; the message names file and key."""

    exit_code = ExitCode.USAGE


class ConsentNeeded(DedupdError):
    """Moves are waiting for a yes and nobody is there to be asked."""

    exit_code = ExitCode.CONSENT


class AlreadyRunning(DedupdError):
    """Another instance holds the lock of this state folder or root."""

    exit_code = ExitCode.LOCKED


class NoDaemon(DedupdError):
    """No daemon answers on the socket."""

    exit_code = ExitCode.NO_DAEMON


class StateError(DedupdError):
    """The state folder cannot be used: full, foreign, read-only, newer."""


class LedgerDamaged(StateError):
    """ledger.db cannot be trusted; nothing moves, undo works from the receipts."""


class RootError(DedupdError):
    """A root is missing, unreadable, swapped or overlaps another."""


class VisionError(DedupdError):
    """The vision worker cannot do what was asked of it."""


class NotCalibrated(VisionError):
    """A model finds no thresholds on these photos: too few, or it tells nothing apart. It only proposes."""


class PhotosError(DedupdError):
    """Apple's Photos, or a tool that speaks with it, did not do what was asked."""


class ProtocolError(DedupdError):
    """A peer broke the socket's protocol."""


class Refusal(StrEnum):
    """Why a file may not move: what follows is decided by this kind alone.

    The sentence beside it (MoveRefused) is for people. It is made where the check is, as it names the file and what was
    found; what the system's own errors mean is in adapters/fs/system_errors.py.
    """

    NOT_QUIET = "not quiet"
    """Changed less than the settle time ago."""
    BUSY = "busy"
    """Another program has it open for writing."""
    CHANGED = "changed"
    """Not the file that was looked at any more."""
    OTHER_BYTES = "other bytes"
    """The same by size and times, and yet not the recorded content."""
    GONE = "gone"
    """Nothing lies there."""
    HARD_LINK = "hard link"
    """It has a second name: moving one of them would free nothing."""
    PLACEHOLDER = "cloud placeholder"
    """Its bytes are in the cloud only."""
    NAME_TAKEN = "name taken"
    """Another file took the chosen name at the last moment: tried again under the next one."""
    IN_THE_WAY = "in the way"
    """A file or a link stands where a folder is to be."""
    NO_SPACE = "no space"
    OTHER_DISK = "other disk"
    """It and its destination lie on two file systems."""
    UNABLE = "unable"
    """The file system knows no way to move a file without the danger of replacing another."""
    NOT_ALLOWED = "not allowed"
    """Permissions, or a file system that is mounted read-only."""
    OTHER_ROOT = "other root"
    """Another folder or disk lies at the root's path."""
    CONTRADICTION = "contradiction"
    """The order itself is wrong: a keeper that moves, a copy without one."""
    INTERRUPTED = "interrupted"
    """A crash or a power cut came in between; the file is where it was."""
    TAKEN_OUT = "taken out"
    """Its owner took it out of duplicates/."""
    DISK_FAILED = "disk failed"
    """An input/output error: nothing moves until dedupd is started again."""
    NO_TRASH = "no trash"
    """The desktop has no trash there that keeps what is put into it."""
    PURGED = "purged"
    """Its owner had it put into the trash."""
    STAYS = "stays"
    """What belongs to it cannot move with it, or a person keeps it."""
    FAILED = "failed"
    """The system said no in another way."""

    @property
    def lasting(self) -> bool:
        """True for what no waiting mends: tried again when the file or its keeper changes, or a person says so."""
        return self in _LASTING


_LASTING = frozenset(
    {
        Refusal.HARD_LINK,
        Refusal.PLACEHOLDER,
        Refusal.IN_THE_WAY,
        Refusal.OTHER_DISK,
        Refusal.NOT_ALLOWED,
        Refusal.FAILED,
    }
)


class MoveRefused(DedupdError):
    """A check of the move protocol said no; the photo stays where it is."""

    def __init__(self, sentence: str, kind: Refusal) -> None:
        super().__init__(sentence)
        self.kind = kind
