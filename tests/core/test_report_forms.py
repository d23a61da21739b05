"""The report as a table and as lines: names are somebody else's text."""

from __future__ import annotations

import csv
from typing import Any

from dedupd.core.report_forms import COLUMNS, CSV_MARK, TEXT_MARK, to_csv, to_text


def report(*names: str) -> dict[str, Any]:
    """One group: the first name is kept, the second moved, the others wait for a person."""
    keep, moved, *review = names
    proof = {"relation": "copy", "confidence": 0.98765, "why": "same, bytes"}
    group = {
        "id": 3, "root": "/p", "month": "2024-06", "relation": "copy", "keep": keep, "duplicates": [moved],
        "review": review, "moved_to": {moved: "duplicates/" + moved}, "evidence": dict.fromkeys((moved, *review), proof),
    }  # fmt: skip
    return {
        "generated_at": "2024-06-01T00:00:00+00:00", "root": "/p", "total_images": 3, "duplicate_groups": 1,
        "total_duplicates": 1, "bytes_saved": 5, "groups": [group],
    }  # fmt: skip


def sizes(root: str, path: str) -> int | None:
    return {"a.jpg": 7, "duplicates/b.jpg": 5}.get(path)


def table(*names: str) -> list[dict[str, str]]:
    return list(csv.DictReader("".join(to_csv(report(*names), sizes)).splitlines()))


def test_a_row_for_each_file_with_what_it_is_and_where_it_went() -> None:
    assert CSV_MARK.startswith("group,role,relation,path,bytes,confidence,why")
    keep, moved, waits = table("a.jpg", "b.jpg", "c,d.jpg")
    assert [keep[c] for c in COLUMNS] == ["3", "keep", "copy", "a.jpg", "7", "", "", "", "2024-06", "/p"]
    assert (moved["role"], moved["bytes"], moved["confidence"], moved["why"], moved["moved_to"]) == (
        "duplicate", "5", "0.988", "same, bytes", "duplicates/b.jpg",
    )  # fmt: skip
    assert (waits["role"], waits["path"], waits["bytes"]) == ("review", "c,d.jpg", "")


def test_no_name_is_a_formula_for_a_spreadsheet() -> None:
    names = ["=1+1.jpg", "+1.jpg", "-1.jpg", "@sum.jpg", "\uff1d1.jpg", "\t=1.jpg", "fine=1.jpg"]
    paths = [row["path"] for row in table(*names)]
    assert paths == [*(f"'{name}" for name in names[:5]), "\\t=1.jpg", "fine=1.jpg"]


def test_names_of_any_bytes_stay_on_their_row_and_write_on_no_terminal() -> None:
    names = ["line\nbreak.jpg", "esc\x1b[31m.jpg", 'quote".jpg', "lat\udce9.jpg"]
    lines = "".join(to_csv(report(*names), sizes))
    assert len(lines.splitlines()) == 5
    lines.encode("utf-8")
    assert [row["path"] for row in table(*names)] == [
        "line\\nbreak.jpg", "esc\\x1b[31m.jpg", 'quote".jpg', "lat\\udce9.jpg",
    ]  # fmt: skip
    text = "".join(to_text(report(*names)))
    text.encode("utf-8")
    assert text.startswith(TEXT_MARK)
    assert "\x1b" not in text
    assert "  keeps       line\\nbreak.jpg\n  moved       esc\\x1b[31m.jpg  (copy: same, bytes)\n" in text
