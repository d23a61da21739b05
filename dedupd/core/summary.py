"""The summary of a month, as Markdown and as JSON. Must never touch a file or count anything itself.

In file names, control, bidi and escape characters are made visible: a file name must not control a terminal or forge a
line of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dedupd.core.month import Month

_UNITS = ("B", "kB", "MB", "GB", "TB")
_BIDI = {*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryFile:
    """One file beside a keeper."""

    path: str
    to: str
    """Where it lies in duplicates/; '' while it has not moved."""
    relation: str
    evidence: Mapping[str, Any]
    why: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryGroup:
    """One group in a month's summary."""

    id: int
    keep: str
    reasons: Sequence[str]
    moved: Sequence[SummaryFile]
    waiting: Sequence[SummaryFile]
    """Files that move once somebody says yes."""
    review: Sequence[SummaryFile]
    sidecar: str = ""
    """Path of the XMP file beside the keeper, with what its moved copies know and it does not; '' without one."""
    known: Sequence[str] = ()
    """The same facts in words; without a sidecar they are only here and in the copies."""
    conflicts: Sequence[str] = ()
    """Facts left out because the copies disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSummary:
    """Everything that is in the summary of a month."""

    root: str
    month: str
    photos: int
    guessed: int
    moved_files: int
    """Files whose own month this is."""
    moved_groups: int
    """Groups whose keeper's month this is and that have moved files."""
    bytes_saved: int
    model: str
    thresholds: Mapping[str, Any]
    keep_policy: str
    groups: Sequence[SummaryGroup]
    elsewhere: Sequence[SummaryFile]
    """Moved files of this month whose keeper is of another month; `why` names the keeper."""
    skipped: Mapping[str, str]
    """path -> reason."""
    left_to_compare: int = 0
    """Photos of large families of look-alikes of which only the nearest were compared yet."""
    written_at: str
    """ISO 8601 with zone."""


def moved_line(files: int, groups: int, month: str) -> str:
    """'Moved 18 duplicate files from 9 group(s) in 2024/06.': scripts rely on its shape."""
    return f"Moved {files} duplicate files from {groups} group(s) in {Month.parse(month).label}."


def left_to_compare(photos: int) -> str:
    """What is not yet known of large families, in one line."""
    return (
        f"{photos} photo(s) of large families of look-alikes were compared with the nearest of them alone, or beside a file "
        "that could not be read; a daemon (`dedupd run`) compares them with the rest when nothing else is to do"
    )


def human_bytes(count: float) -> str:
    """1536 -> '1.5 kB' (powers of 1000, as file managers and disks count)."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def visible(name: str) -> str:
    """`name` with everything that could act on a terminal or forge a line shown as \\x.., \\u...."""
    return "".join(
        c if _harmless(c) else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in name
    )


def _harmless(c: str) -> bool:
    point = ord(c)
    return point >= 32 and not 0x7F <= point < 0xA0 and point not in _BIDI and not 0xD800 <= point < 0xE000


def to_json(summary: MonthSummary) -> dict[str, Any]:
    """The summary for programs, with stable keys."""
    return {
        "line": moved_line(summary.moved_files, summary.moved_groups, summary.month),
        "root": summary.root,
        "month": summary.month,
        "photos": summary.photos,
        "guessed": summary.guessed,
        "moved_files": summary.moved_files,
        "groups_moved": summary.moved_groups,
        "bytes_saved": summary.bytes_saved,
        "model": summary.model,
        "thresholds": dict(summary.thresholds),
        "keep_policy": summary.keep_policy,
        "written_at": summary.written_at,
        "left_to_compare": summary.left_to_compare,
        "groups": [_group_json(g) for g in summary.groups],
        "elsewhere": [_file_json(f) for f in summary.elsewhere],
        "skipped": [{"path": p, "reason": r} for p, r in sorted(summary.skipped.items())],
    }


def _group_json(group: SummaryGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "keep": group.keep,
        "reasons": list(group.reasons),
        "moved": [_file_json(f) for f in group.moved],
        "waiting": [_file_json(f) for f in group.waiting],
        "review": [_file_json(f) for f in group.review],
        "metadata": {
            "sidecar": group.sidecar or None,
            "known": list(group.known),
            "conflicts": list(group.conflicts),
        },
    }


def _file_json(file: SummaryFile) -> dict[str, Any]:
    return {
        "path": file.path, "moved_to": file.to or None, "relation": file.relation, "why": file.why,
        "bytes": file.bytes, "evidence": dict(file.evidence),
    }  # fmt: skip


def to_markdown(summary: MonthSummary) -> str:
    """The summary for people."""
    label = Month.parse(summary.month).label
    lines = [
        f"# Duplicates in {label}",
        "",
        moved_line(summary.moved_files, summary.moved_groups, summary.month),
        "",
        f"- {summary.photos} photos in the month"
        + (f", {summary.guessed} of them dated only by the file's time" if summary.guessed else ""),
        f"- {human_bytes(summary.bytes_saved)} saved",
        *([f"- {left_to_compare(summary.left_to_compare)}"] if summary.left_to_compare else []),
        f"- model {summary.model or 'none: perceptual hashes alone'}; kept by rule '{summary.keep_policy}'",
        f"- written {summary.written_at}",
        "",
        "Everything moved can be put back: `dedupd undo --month "
        + summary.month
        + "`, or one file: `dedupd undo PATH`.",
    ]
    for group in summary.groups:
        lines += ["", f"## Group {group.id}: keeps `{visible(group.keep)}`"]
        if group.reasons:
            lines.append("kept because: " + "; ".join(group.reasons))
        lines.append("")
        lines += [_line(f, "moved", f" to `{visible(f.to)}`") for f in group.moved]
        lines += _metadata(group)
        lines += [_line(f, "would move", "") for f in group.waiting]
        lines += [_line(f, "for you to look at", "") for f in group.review]
    if summary.elsewhere:
        lines += ["", "## Kept in another month", ""]
        lines += [_line(f, "moved", f" to `{visible(f.to)}`") for f in summary.elsewhere]
    if summary.skipped:
        lines += ["", "## Left alone", ""]
        lines += [f"- `{visible(path)}`: {reason}" for path, reason in sorted(summary.skipped.items())]
    return "\n".join(lines) + "\n"


def _metadata(group: SummaryGroup) -> list[str]:
    where = f"is in `{visible(group.sidecar)}`" if group.sidecar else "is in the copies alone"
    known = visible("; ".join(group.known))
    lines = [f"- what the copies know and the photo kept does not {where}: {known}"] if group.known else []
    return lines + [f"- left out, because the copies disagree: {what}" for what in group.conflicts]


def _line(file: SummaryFile, what: str, where: str) -> str:
    return f"- {what}: `{visible(file.path)}`{where} ({proof(file)})"


def proof(file: SummaryFile) -> str:
    """One line: relation, reason, what only this file holds, and the measures."""
    measured = (f"{name.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
                for name, value in file.evidence.items() if name != "relation" and isinstance(value, int | float))  # fmt: skip
    # A person may have moved it all the same: then the reason no longer says it.
    lost = [f"it {clause}" for clause in file.evidence.get("only_here", ()) if clause not in file.why]
    words = [file.relation, visible(file.why) or "proven", *map(visible, lost), ", ".join(measured)]
    return "; ".join(word for word in words if word)
