"""Names are harmless, numbers are honest."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dedupd.protocol.views import EvidenceView, ProgressView, StatusView
from dedupd.reviewing.words import bar, evidence, fit, percent, plain, progress, resting, size, squeeze, when
from dedupd.tui.widgets.spans import content

NASTY = "a\nb\r\t\x1b[31mred\x07\x9b2J\u202egpj.exe\u2066x\u200b\u2028\udcff\x00"


def test_a_name_that_attacks_the_terminal_becomes_one_harmless_line() -> None:
    said = plain(NASTY)
    assert said == "a\\nb\\r\\t\\e[31mred\\x07\\x9b2J\\u202egpj.exe\\u2066x\\u200b\\u2028\\udcff\\x00"


@given(st.text(st.characters(codec=None)))
def test_no_name_whatever_keeps_a_control_a_direction_or_a_surrogate(name: str) -> None:
    said = plain(name)
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    said.encode()  # a lone surrogate would break the terminal's stream


@pytest.mark.parametrize("name", ["Ünïcødé 写真.jpg", "été 2024.HEIC", "IMG_1.jpg", "[bold]x[/bold]"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert plain(name) == name


def test_markup_in_a_name_is_only_text() -> None:
    assert (
        content([("[bold red]x[/] [@click=app.quit]y[/]", "dim")]).plain
        == "[bold red]x[/] [@click=app.quit]y[/]"
    )


@given(st.text(), st.integers(0, 60))
def test_fit_fills_exactly_and_squeeze_never_overflows(text: str, width: int) -> None:
    assert cell_len(fit(plain(text), width)) == width
    assert cell_len(squeeze(plain(text), width)) <= width


def test_squeeze_keeps_the_end_where_number_and_extension_are() -> None:
    assert squeeze("a_very_long_name_of_a_picture_0042.jpg", 20).endswith("_0042.jpg")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (3_400_000, "3.4 MB"), (123_456_789, "123 MB"),
     (1_500_000_000_000, "1.5 TB")],
)  # fmt: skip
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("share", "words"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.31, "31 %"), (None, "–")]
)
def test_percent_never_rounds_up_to_certainty(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_progress_tells_rate_and_time_left_only_when_known() -> None:
    assert progress(ProgressView(phase="walking", done=1200, total=0)) == "Walking 1,200"
    assert progress(ProgressView(phase="indexing", done=5, total=10, rate=0.5, eta=7300)) == (
        "Indexing 5 of 10 · 0.5/s · 2 h 2 min left"
    )


def test_who_does_nothing_says_why() -> None:
    def said(**status: Any) -> str:
        return resting(StatusView(daemon="running", **status), 0.0)

    assert said() == "idle" and said(paused=True, waits="x") == "paused"
    assert re.fullmatch(r"paused until \d\d:\d\d", said(paused=True, paused_until=60.0))
    works = "works off look-alikes: 12,000 left"
    assert said(look_alikes_left=12_000, works_off_look_alikes=True) == works
    assert said(look_alikes_left=12_000) == "idle", "they could not be read, or are away"
    assert said(look_alikes_left=1, works_off_look_alikes=True, paused=True) == "paused"
    assert said(waits="on battery at 20 %\x1b[2J") == "waits: on battery at 20 %\\e[2J"


@given(st.floats(-1, 2), st.integers(1, 40))
def test_a_bar_is_as_wide_as_it_should_be(share: float, width: int) -> None:
    assert cell_len(bar(share, width)) == width


def test_when_speaks_of_now_before_and_after() -> None:
    assert [when(t, 1000.0) for t in (None, 1000.0, 940.0, 4600.0)] == ["–", "now", "1 min ago", "in 1 h"]


def test_no_confidence_is_told_of_look_alikes_that_were_never_aligned() -> None:
    bare = EvidenceView(relation="similar", cosine=0.94, confidence=0.0)
    assert evidence(bare)[1:] == ["cosine 0.940"]
    assert "confidence 84 %" in evidence(EvidenceView(relation="similar", overlap=0.9, confidence=0.84))


def test_evidence_names_only_what_was_measured() -> None:
    assert evidence(None) == []
    assert evidence(EvidenceView(relation="exact", confidence=1.0)) == [
        "exact: the same bytes",
        "confidence 100 %",
    ]
    said = evidence(EvidenceView(relation="burst", seconds_apart=-2.0, cosine=0.96))
    assert said[1:] == ["cosine 0.960", "taken 2.0 s apart"]
