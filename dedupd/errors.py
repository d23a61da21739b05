"""Every error dedupd raises on purpose, and the exit code each one ends a command with.

    DedupdError
    ├── UsageError            a command line that cannot be meant             2
    ├── ConfigError           config.toml: file, key, what is right           2
    ├── ConsentNeeded         moves are waiting and nobody can be asked       3
    ├── AlreadyRunning        another instance holds the lock                 4
    ├── NoDaemon              no daemon answers on the socket                 5
    ├── StateError            the state folder cannot be used (full, foreign) 1
    │   ├── NothingYet        no photo was looked at yet: there is no ledger  1
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
from typing import Self


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
    """A command line with no valid meaning."""

    exit_code = ExitCode.USAGE


class ConfigError(DedupdError):
    """config.toml has a wrong setting; the message names file and key."""

    exit_code = ExitCode.USAGE


class ConsentNeeded(DedupdError):
    """Moves wait for a yes and nobody is there to be asked."""

    exit_code = ExitCode.CONSENT


class AlreadyRunning(DedupdError):
    """Another instance holds the lock of this state folder or root."""

    exit_code = ExitCode.LOCKED


class NoDaemon(DedupdError):
    """No daemon answers on the socket."""

    exit_code = ExitCode.NO_DAEMON


class StateError(DedupdError):
    """The state folder cannot be used: full, foreign, read-only, newer."""


class NothingYet(StateError):
    """There is no ledger: no photo was looked at yet. Of a ledger that is there and cannot be read, nothing is known."""


class LedgerDamaged(StateError):
    """ledger.db cannot be trusted; nothing moves, undo works from the receipts."""


class RootError(DedupdError):
    """A root is missing, unreadable, swapped or overlaps another."""


class VisionError(DedupdError):
    """The vision worker cannot do what it was asked to."""


class NotCalibrated(VisionError):
    """A model has no usable thresholds on these photos: too few photos, or it cannot tell them apart. Then it
    only proposes."""


class PhotosError(DedupdError):
    """Apple's Photos, or a tool that controls it, failed."""


class ProtocolError(DedupdError):
    """A peer broke the socket's protocol."""


class Refusal(StrEnum):
    """Why a file may not move: the code decides by this kind, never by the sentence.

    The sentence for people is the message of MoveRefused. The check that raises it makes it, because it names the
    file and what was found; the system's own errors are translated in adapters/fs/system_errors.py.
    """

    _value_: str
    lasting: bool
    """Waiting does not help: tried again only when the file or its keeper changes, or a person asks."""

    def __new__(cls, value: str, lasting: bool = False) -> Self:
        """A member: its name in the ledger and in receipts, and whether it is lasting."""
        member = str.__new__(cls, value)
        member._value_, member.lasting = value, lasting
        return member

    NOT_QUIET = "not quiet"
    """Changed more recently than the settle time."""
    BUSY = "busy"
    """Another program has it open for writing."""
    CHANGED = "changed"
    """Not the file that was recorded any more."""
    OTHER_BYTES = "other bytes"
    """Size and times are as recorded, but not the content."""
    GONE = "gone"
    """There is no file at the path."""
    HARD_LINK = "hard link", True
    """It has a second name (hard link): moving one of the names would free no space."""
    PLACEHOLDER = "cloud placeholder", True
    """Its bytes are only in the cloud."""
    NAME_TAKEN = "name taken"
    """Another file took the chosen name at the last moment: tried again with the next name."""
    IN_THE_WAY = "in the way", True
    """A file or a link is where a folder must be."""
    NO_SPACE = "no space"
    OTHER_DISK = "other disk", True
    """It and its destination are on different file systems."""
    UNABLE = "unable"
    """The file system has no way to move a file without the danger of replacing another."""
    NOT_ALLOWED = "not allowed", True
    """Permissions, or a file system that is mounted read-only."""
    OTHER_ROOT = "other root"
    """Another folder or disk is at the root's path."""
    CONTRADICTION = "contradiction"
    """The order itself is wrong: it would move a keeper, or a copy without a keeper."""
    INTERRUPTED = "interrupted"
    """Interrupted by a crash or a power cut; the file is where it was."""
    TAKEN_OUT = "taken out"
    """Its owner took it out of duplicates/."""
    DISK_FAILED = "disk failed"
    """An input/output error: nothing moves until dedupd is started again."""
    NO_TRASH = "no trash"
    """The desktop has no trash there that keeps what is put into it."""
    PURGED = "purged"
    """Its owner put it into the trash with `purge`."""
    STAYS = "stays"
    """A file that belongs to it cannot move with it, or a person keeps it."""
    FAILED = "failed", True
    """The system refused for another reason."""


class MoveRefused(DedupdError):
    """A check of the move protocol said no; the photo stays where it is."""

    def __init__(self, sentence: str, kind: Refusal) -> None:
        super().__init__(sentence)
        self.kind = kind
