"""Compares a report with the truth: what was found, what would move wrongly, pair by pair.

The rules are those of dedupd's labelled galleries: a moved file is right beside a kept file of its group, not
scored when a careful person could not decide, wrong otherwise; for equal bytes only the file labelled exact
counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DUPLICATES = ("exact", "reencoded", "resized", "cropped", "rotated", "edited", "burst")
DERIVED = frozenset({"resized", "reencoded", "cropped", "edited", "rotated"})


@dataclass(slots=True)
class Score:
    """Counts. For each relation, `of` counts labelled duplicates, `moved` and `found` how many of them."""

    files: int = 0
    of: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    """Moved beside a kept file of their group."""
    found: Counter[str] = field(default_factory=Counter)
    """Moved, or shown to a person with a file of their group."""
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(moved, kept) of different groups."""
    unrelated_in_review: list[tuple[str, str]] = field(default_factory=list)
    torn_units: int = 0
    lesser_kept: int = 0
    """Originals that would move beside a copy with less."""


def score(truth: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> Score:
    """`truth`: entries of truth.json; `groups`: those of the report, with paths as in the truth."""
    known = {str(entry["path"]): entry for entry in truth}
    result = Score(files=len(known))
    result.of.update(str(e["relation"]) for e in truth if e["relation"] in DUPLICATES)
    moved: dict[str, str] = {}
    seen: set[str] = set()
    for group in groups:
        keep = str(group["keep"])
        for path in group["duplicates"]:
            moved[path] = keep
            _judge_move(result, known, str(path), keep, seen)
        for path in group["review"]:
            _judge_review(result, known, str(path), keep, seen)
    for path in seen:
        result.found[str(known[path]["relation"])] += 1
    result.torn_units = _torn(known, moved)
    return result


def _judge_move(
    result: Score, known: Mapping[str, Mapping[str, Any]], path: str, keep: str, seen: set[str]
) -> None:
    if path not in known or keep not in known:
        return
    a, k = known[path], known[keep]
    if a["group_id"] != k["group_id"]:
        if not _unscored(a, k):
            result.wrong.append((path, keep))
        return
    credited = _credited(path, keep, a, k)
    for found in credited - seen:
        result.moved[str(known[found]["relation"])] += 1
    seen |= credited
    result.lesser_kept += a["relation"] == "original" and k["relation"] in DERIVED


def _judge_review(
    result: Score, known: Mapping[str, Mapping[str, Any]], path: str, keep: str, seen: set[str]
) -> None:
    if path not in known or keep not in known:
        return
    a, k = known[path], known[keep]
    if a["group_id"] == k["group_id"]:
        seen |= _credited(path, keep, a, k)
    elif a.get("scene_id") != k.get("scene_id"):
        result.unrelated_in_review.append((path, keep))


def _credited(path: str, keep: str, a: Mapping[str, Any], k: Mapping[str, Any]) -> set[str]:
    if a.get("sha256") and a.get("sha256") == k.get("sha256"):
        exact = [p for p, entry in ((path, a), (keep, k)) if entry["relation"] == "exact"]
        return set(exact[:1])
    return {p for p, entry in ((path, a), (keep, k)) if entry["relation"] in DUPLICATES}


def _unscored(a: Mapping[str, Any], k: Mapping[str, Any]) -> bool:
    if "uncertain" in (a["relation"], k["relation"]):
        return True
    same_scene = a.get("scene_id") is not None and a.get("scene_id") == k.get("scene_id")
    return same_scene and "uncertain" in (a.get("cross"), k.get("cross"))


def _torn(known: Mapping[str, Mapping[str, Any]], moved: Mapping[str, str]) -> int:
    units: dict[str, list[str]] = defaultdict(list)
    for path, entry in known.items():
        if entry.get("pair_id"):
            units[str(entry["pair_id"])].append(path)
    return sum(0 < sum(p in moved for p in paths) < len(paths) for paths in units.values())
