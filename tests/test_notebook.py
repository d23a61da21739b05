"""The example notebook runs as it stands, cell by cell; and what people see of a task's progress there."""

from __future__ import annotations

import ast
import json
import re
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
from rich.console import Console

import dedupd
from dedupd import Library, MonthResult, run_deduplication_for_months, show_progress
from dedupd import progress_bars as progress
from dedupd.cli.console import says_yes
from dedupd.library import build
from tests.fakes.vision import FakeVision, pseudo_photo

NOTEBOOK = Path(__file__).parent / "notebooks" / "months.ipynb"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library that is all real but its eyes: those are tested where a pass from Python is (tests/end_to_end)."""
    eyes = FakeVision()
    monkeypatch.setattr(build, "VisionWorker", lambda **_: eyes)
    root = tmp_path / "Pictures"
    for name, scene in (("06/a.jpg", "lake"), ("06/a copy.jpg", "lake"), ("07/b.jpg", "hill")):
        path = root / "2024" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pseudo_photo(scene))
    config = tmp_path / "config.toml"
    config.write_text("[schedule]\nsettle_seconds = 0\n")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("DEDUPD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DEDUPD_CONFIG", str(config))
    monkeypatch.setenv("PHOTOS", str(root))
    return root


def photos(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*.jpg")}


def run_cell(source: str, names: dict[str, Any]) -> str:
    """What Jupyter would show of the cell's last line, where that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), str(NOTEBOOK), "exec"), names)
    value = None if last is None else eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)
    return value._repr_html_() if hasattr(value, "_repr_html_") else ""


def test_the_example_notebook_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its cells, in one name space: a kernel is thirty packages to say the same."""
    before, names = photos(root), dict[str, Any]()
    shown: list[str] = []
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            shown.append(run_cell("".join(cell["source"]), names) + capsys.readouterr().out)
    _, looked, whole, pictures, moved, back = shown
    assert "2024/06 2 photos 1 group(s)\n  keeps 2024/06/a.jpg would move ['2024/06/a copy.jpg']" in looked
    assert "Summary updated" not in looked and whole == "3 photos 1 would move 1 group(s)\n"
    assert pictures.count("<figure") == 2 and "a copy.jpg" in pictures
    assert "Summary updated for 2024/06\nMoved 1 duplicate files from 1 group(s) in 2024/06." in moved
    assert back == "1 file(s) put back\n"
    assert photos(root) == before


def test_results_are_typed_and_quiet_is_quiet(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    (june,) = run_deduplication_for_months(
        [(2024, 6)], root, on_progress=lambda phase, done, total: told.append(phase), quiet=True
    )
    assert isinstance(june, MonthResult) and june.summary_updated and june.moved == 1
    assert "index" in told and capsys.readouterr() == ("", "")


def test_a_log_that_cannot_be_written_is_not_told_as_updated(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "2024/duplicates_summary").write_text("a file of somebody's")
    (june,) = run_deduplication_for_months([(2024, 6)], root)
    assert june.moved == 1 and not june.summary_updated
    assert "Summary updated" not in capsys.readouterr().out
    with Library.open([root]) as library:  # who follows a month hears of it all the same
        ids = {each.id: {"2024-06"} for each in library.roots.all}
        assert [summary.month for summary in library.summaries.rewrite(ids)] == ["2024-06"]


def test_what_is_public_is_there() -> None:
    assert all(getattr(dedupd, name) is not None for name in dedupd.__all__) and set(dedupd.__all__) <= set(
        dir(dedupd)
    )


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A notebook, as far as rich asks for one; what it displays."""
    displayed: list[object] = []
    screen: Any = ModuleType("IPython.display")
    screen.display = displayed.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", screen)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return displayed


def test_a_notebook_shows_bars_where_it_has_widgets(
    jupyter: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Output:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def clear_output(self, wait: bool = False) -> None: ...

    widgets: Any = ModuleType("ipywidgets")
    widgets.Output = Output
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setattr(progress, "find_spec", lambda name: name)
    with show_progress() as report:
        report("index", 1, 2)
    assert any(isinstance(each, Output) for each in jupyter)


def test_a_notebook_without_widgets_says_a_line(
    jupyter: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with show_progress() as report:
        report("index", 0, 2)
        report("index", 1, 2)
    assert capsys.readouterr().out.startswith("Reading photos: 1 of 2") and jupyter == []


def test_bars_name_the_phase_and_how_far_it_is() -> None:
    out = StringIO()
    with progress.bars(Console(file=out, width=120, force_terminal=True)) as report:
        report("index", 1, 2)
    assert "Reading photos" in out.getvalue() and "1/2" in out.getvalue()


def test_what_is_printed_beside_bars_arrives_in_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    """`dedupd scan --format csv Pictures > list.csv`, at a terminal: the list went to the terminal."""
    with progress.bars(Console(file=StringIO(), force_terminal=True)) as report:
        report("picture", 1, 2)
        print("group,role\n" + "x" * 300)
    assert capsys.readouterr().out == "group,role\n" + "x" * 300 + "\n"


def test_a_question_ends_the_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars that went on had covered the question, and its [y/N] was taken for a style."""
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    with progress.bars(Console(stderr=True, force_terminal=True)) as report:
        report("index", 2, 2)
        assert says_yes("Move them now?")
        asked = capsys.readouterr().err
        report("move", 1, 2)
    assert asked.endswith("Move them now? [y/N] ")
    after = capsys.readouterr().err
    assert "Moving" in after and "Reading photos" not in after


def test_phases_are_told_in_words() -> None:
    for told in progress.PHASES.values():
        assert re.fullmatch("[A-Z][a-z ]+", told), told


def test_nobody_looking_nothing_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as report:
        report("index", 1, 2)
    assert capsys.readouterr() == ("", "")
