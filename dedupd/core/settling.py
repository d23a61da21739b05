"""Whether a file has come to rest: whole by its name, quiet by its stat.

Owns the names that are never photos yet and the decision "yes, or ask again at". Must never stat a file or
read a clock: both are handed in. Only moves need quiet; a file that changes is simply looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

from dedupd.core.photo import FileStat

_HALF_WRITTEN = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".opdownload",
    ".filepart",
    ".aria2",
    ".tmp",
    ".temp",
    "~",
)


def passed_over(name: str) -> str:
    """Why a file or folder of this name is not looked at, as one clause; '' when it may be a photo."""
    lower = name.lower()
    if lower.endswith(".icloud"):
        return "still in the cloud"
    if lower.startswith("."):
        return "hidden"
    if lower.startswith("~") or lower.endswith(_HALF_WRITTEN):
        return "temporary"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A stat and since when a file has had it."""

    stat: FileStat
    since: float
    """Monotonic seconds of the first look that found it so."""


def stable(previous: FileStat, now: FileStat) -> bool:
    """True when nothing was written, replaced, renamed or touched between two looks.

    ctime counts: a writer may put mtime back, and waiting once more costs seconds only.
    """
    return previous == now


def looked(before: Quiet | None, stat: FileStat, now: float) -> Quiet:
    """What is known after one more look at monotonic time `now`: any change starts the wait again."""
    if before is not None and stable(before.stat, stat):
        return before
    return Quiet(stat=stat, since=now)


def ask_again_at(quiet: Quiet, settle_seconds: float, *, now: float, wall: float) -> float | None:
    """None when the file has been unchanged for `settle_seconds`; else the monotonic time to look again.

    A file whose stamps are older than that by the wall clock need not be watched for it. Stamps in the
    future, or a clock set back, prove nothing: then only what was watched counts.
    """
    changed = max(quiet.stat.mtime_ns, quiet.stat.ctime_ns) / 1e9
    if settle_seconds <= wall - changed or settle_seconds <= now - quiet.since:
        return None
    return quiet.since + settle_seconds
