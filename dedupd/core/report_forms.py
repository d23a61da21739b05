"""The report of a scan as CSV and as text. Must never count anything itself.

File names are foreign text: in a cell they must not act as a formula, in a line they must not control a terminal. Names
that are not plain text are shown with escapes; only the JSON report has every name exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dedupd.core.month import Month
from dedupd.core.summary import human_bytes, visible

COLUMNS = ("group", "role", "relation", "path", "bytes", "confidence", "why", "moved_to", "month", "root")
CSV_MARK = ",".join(COLUMNS) + "\n"
TEXT_MARK = "Duplicates found by dedupd\n"
"""How every such report begins: a file that begins otherwise is not ours and must not be replaced."""
SizeOf = Callable[[str, str], int | None]
"""size_of(root, path where the file lies now): its bytes, None when they are not known."""
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""First characters that a spreadsheet takes for a formula, full-width forms included."""


def to_csv(report: Mapping[str, Any], size_of: SizeOf) -> Iterator[str]:
    """A line of column names, then one line per file: in each group first the keeper, then the others."""
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
    """A CSV cell (RFC 4180). The text has no line breaks: `visible` has replaced them."""
    return '"' + cell.replace('"', '""') + '"' if "," in cell or '"' in cell else cell


def to_text(report: Mapping[str, Any]) -> Iterator[str]:
    """A line of totals, then one paragraph per group."""
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
