"""What a scan found, as a table for spreadsheets and as lines for people. Must never count anything itself.

A file name is somebody else's text: in a cell it must be no formula, in a line it must not write on a terminal. Names
that are no plain text are shown by their escapes; the JSON report alone has every name exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dedupd.core.month import Month
from dedupd.core.summary import human_bytes, visible

COLUMNS = ("group", "role", "relation", "path", "bytes", "confidence", "why", "moved_to", "month", "root")
CSV_MARK = ",".join(COLUMNS) + "\n"
TEXT_MARK = "Duplicates found by dedupd\n"
"""How every such report begins: what does not begin so is not ours to replace."""
SizeOf = Callable[[str, str], int | None]
"""size_of(root, path where the file lies now): its bytes, None when they are not known."""
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for a formula at the beginning of a cell, in wide letters too."""


def to_csv(report: Mapping[str, Any], size_of: SizeOf) -> Iterator[str]:
    """A line of column names, then one for each file: first what a group keeps, then what is beside it."""
    yield CSV_MARK
    for group in report["groups"]:
        for row in _rows(group, size_of):
            yield ",".join(_quoted(_cell(row[column])) for column in COLUMNS) + "\n"


def _rows(group: Mapping[str, Any], size_of: SizeOf) -> Iterator[dict[str, Any]]:
    beside = {"group": group["id"], "month": group["month"], "root": group["root"]}
    yield beside | {
        "role": "keep", "relation": group["relation"], "path": group["keep"],
        "bytes": size_of(group["root"], group["keep"]), "confidence": None, "why": "", "moved_to": "",
    }  # fmt: skip
    for role, paths in (("duplicate", group["duplicates"]), ("review", group["review"])):
        for path in paths:
            proof, moved_to = group["evidence"].get(path, {}), group["moved_to"].get(path, "")
            yield beside | {
                "role": role, "relation": proof.get("relation", group["relation"]), "path": path,
                "bytes": size_of(group["root"], moved_to or path), "confidence": proof.get("confidence"),
                "why": proof.get("why", ""), "moved_to": moved_to,
            }  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:.3f}" if isinstance(value, float) else str(value)
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _quoted(cell: str) -> str:
    """RFC 4180; what `visible` has shown has no line break."""
    return '"' + cell.replace('"', '""') + '"' if "," in cell or '"' in cell else cell


def to_text(report: Mapping[str, Any]) -> Iterator[str]:
    """Each group by its own paragraph, after a line that says how much there is."""
    yield TEXT_MARK
    roots = [report["root"]] if isinstance(report["root"], str) else report["root"]
    yield f"in {', '.join(map(visible, roots))}, {report['generated_at']}\n"
    yield (
        f"{report['total_images']} photos, {report['duplicate_groups']} group(s), {report['total_duplicates']} "
        f"duplicate file(s), {human_bytes(report['bytes_saved'])}\n"
    )
    for group in report["groups"]:
        month = Month.parse(group["month"]).label if group["month"] else "no month"
        where = f"  {visible(group['root'])}" if len(roots) > 1 else ""
        yield f"\ngroup {group['id']}  {month}  {group['relation']}{where}\n"
        yield f"  keeps       {visible(group['keep'])}\n"
        for path in group["duplicates"]:
            role = "moved       " if path in group["moved_to"] else "would move  "
            yield f"  {role}{visible(path)}{_why(group, path)}\n"
        for path in group["review"]:
            yield f"  to look at  {visible(path)}{_why(group, path)}\n"


def _why(group: Mapping[str, Any], path: str) -> str:
    proof = group["evidence"].get(path)
    return f"  ({proof['relation']}: {visible(proof['why'])})" if proof else ""
