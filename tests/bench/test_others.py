"""Other tools beside dedupd: real programs stand in for them, found and asked as the real ones are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from dedupd.bench import others
from tests.support.programs import python_program


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    folder = tmp_path / "gallery"
    (folder / "2024").mkdir(parents=True)
    for name, side in (("small.png", 8), ("2024/large one.png", 32), ("middle.png", 16), ("other.png", 16)):
        Image.new("RGB", (side, side)).save(folder / name)
    return folder


def program(tmp_path: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of this name on the PATH."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    python_program(path, body)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not [tool for tool in others.installed() if tool.name.startswith(("immaculate", "findimagedupes"))]


def test_a_tool_that_prints_json_is_scored_by_its_groups(
    tmp_path: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"exact": [["small.png", "2024/large one.png"]], "near": [["small.png", "middle.png"]]}
    body = f"import json, os, sys\nprint(json.dumps({{k: [[os.path.join(sys.argv[1], p) for p in g] for g in v] for k, v in {said!r}.items()}}))"
    program(tmp_path, "immaculate", body, monkeypatch)
    tool = next(tool for tool in others.installed() if tool.name == "immaculate pdq")
    found = others.ask(tool, gallery, tmp_path)
    assert not found.failed
    # Groups that share a file are one; the largest picture of it stays; each file moves once.
    pixels = {"Pictures/2024/large one.png": 1024, "Pictures/middle.png": 256}
    (group,) = others.moves(found.groups, lambda path: f"Pictures/{os.path.relpath(path, gallery)}", pixels)
    assert group["keep"] == "Pictures/2024/large one.png"
    assert group["duplicates"] == ["Pictures/middle.png", "Pictures/small.png"]


def test_names_with_spaces_and_newlines_survive_a_tool_that_prints_lines(
    tmp_path: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = gallery / "two\nlines.png"
    Image.new("RGB", (4, 4)).save(odd)
    names = [str(odd), str(gallery / "2024/large one.png")]
    body = f"import sys\nsys.stdout.write(''.join(n + chr(0) for n in {json.dumps(names)}) + chr(0))"
    program(tmp_path, "findimagedupes", body, monkeypatch)
    tool = next(tool for tool in others.installed() if tool.name == "findimagedupes")
    assert [set(group) for group in others.ask(tool, gallery, tmp_path).groups] == [set(names)]


def test_a_tool_that_fails_says_so_in_one_clause(
    tmp_path: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "immaculate", "raise SystemExit('needs a model\\nthat is not here')", monkeypatch)
    tool = next(tool for tool in others.installed() if tool.name == "immaculate sscd")
    found = others.ask(tool, gallery, tmp_path)
    assert found.failed == "that is not here" and not found.groups
