"""The page with pictures: whatever a name holds, it stays text; nothing outside the page is named."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.page import MARK, page
from dedupd.core.summary import MonthSummary, SummaryFile, SummaryGroup, proof, visible

PLAIN = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "br", "span", "section", "div",
         "figure", "a", "img", "figcaption", "b", "main", "details", "summary", "ul", "li"}  # fmt: skip
any_text = st.text(st.characters(), max_size=30) | st.just(
    "a\n\x1b[31m\"'><script>x</script>\udcff&amp;\u202e"
)


class Reading(HTMLParser):
    """Tags, the values that load something, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def month(name: str, why: str = "", **changes: object) -> MonthSummary:
    file = SummaryFile(
        path=name, to=f"d/{name}", relation="copy", evidence={"cosine": 0.99, "overlap": None}, why=why, bytes=1536
    )  # fmt: skip
    group = SummaryGroup(id=7, keep=f"k/{name}", reasons=[why], moved=[file], waiting=[file], review=[file])
    facts = {
        "root": f"/{name}", "month": "2024-06", "photos": 9, "guessed": 1, "moved_files": 1, "moved_groups": 1,
        "bytes_saved": 1536, "model": name, "thresholds": {}, "keep_policy": "best", "groups": [group],
        "elsewhere": [file], "skipped": {name: why}, "written_at": "2024-07-01T00:00:00+00:00",
    }  # fmt: skip
    return MonthSummary(**facts | changes)  # type: ignore[arg-type]


def read(text: str) -> Reading:
    reading = Reading()
    reading.feed(text)
    reading.close()
    return reading


@given(any_text, any_text)
def test_no_name_and_no_reason_is_more_than_text(name: str, why: str) -> None:
    text = "".join(page(name, [month(name, why)], lambda root, paths: dict.fromkeys(paths, b"jpeg")))
    found = read(text)
    assert found.tags <= PLAIN
    assert {value.partition(",")[0] for key, value in found.attributes if key == "src"} == {
        "data:image/jpeg;base64"
    }
    assert not {key for key, _ in found.attributes if key in ("srcset", "style") or key.startswith("on")}
    for link in (urlsplit(value) for key, value in found.attributes if key == "href"):
        assert (link.scheme, link.netloc, link.query, link.fragment) == ("file", "", "", "")
        assert unquote(link.path, errors="surrogateescape") in {f"/{name}/{at}/{name}" for at in "kd"}
    assert visible(name) in found.text
    assert not {c for c in text if ord(c) < 32} - {"\n"}
    text.encode("utf-8")


def test_kept_moved_waiting_and_asked_are_told_with_evidence() -> None:
    text = "".join(page("June", [month("a.jpg", "aligned")], lambda root, paths: {"k/a.jpg": b"jpeg"}))
    assert text.startswith(MARK)
    found = read(text)
    for words in ("keeps k/a.jpg", "kept", "moved to d/a.jpg", "would move", "for you to look at", "cosine 0.99", "1.5 kB",
                  "aligned", "Moved 1 duplicate files from 1 group(s) in 2024/06.", "Kept in another month",
                  "1 left alone", "dedupd undo --month 2024-06", "no picture"):  # fmt: skip
        assert words in found.text, words
    assert text.count("<img") == 1


def test_what_only_a_moved_one_holds_is_told_once_and_in_words() -> None:
    evidence = {"relation": "copy", "cosine": 0.99, "only_here": ["has the colours"], "only_in_keeper": []}
    file = SummaryFile(path="a", to="", relation="copy", evidence=evidence, why="approved", bytes=1)
    assert proof(file) == "copy; approved; it has the colours; cosine 0.99"
    waiting = "it has the colours; its keeper is 4.0 times as large"
    assert proof(replace(file, why=waiting)) == f"copy; {waiting}; cosine 0.99"
    assert proof(replace(file, evidence={}, why="")) == "copy; proven"


def test_pictures_tell_their_kind_and_wait_until_they_are_seen() -> None:
    webp = b"RIFF\0\0\0\0WEBPVP8 "
    text = "".join(
        page("June", [month("a.jpg")], lambda root, paths: {"k/a.jpg": webp, "d/a.jpg": b"\xff\xd8"})
    )
    kinds = [value.partition(";")[0] for key, value in read(text).attributes if key == "src"]
    assert kinds[:2] == ["data:image/webp", "data:image/jpeg"]
    assert text.count('<img loading="lazy" decoding="async" alt="') == len(kinds)


def test_a_month_without_duplicates_says_so() -> None:
    assert (
        "No duplicates."
        in read("".join(page("", [month("x", groups=[], elsewhere=[])], lambda r, p: {}))).text
    )
