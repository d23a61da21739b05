"""No circle among modules: who reads one module of a circle must read them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import grimp
import pytest


def circles(package: str) -> set[frozenset[str]]:
    """The modules that reach each other by imports, wherever an import stands: in a function and for types alone too."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    return strongly_connected({m: graph.find_upstream_modules(m) for m in graph.modules})


def strongly_connected(reached: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Of "all that a module reaches": the sets of more than one that reach each other."""
    sets = {
        frozenset({module, *(other for other in others if module in reached[other])})
        for module, others in reached.items()
    }
    return {modules for modules in sets if len(modules) > 1}


def test_there_is_no_circle_among_modules() -> None:
    assert circles("dedupd") == set()


def test_a_circle_is_found_wherever_its_imports_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "circular"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "plain": "import circular.late",
        "late": "def later():\n    from circular import typed",
        "typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from circular.plain import x",
        "aside": "from circular import plain",
    }.items():
        (folder / f"{name}.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles("circular") == {frozenset({"circular.plain", "circular.late", "circular.typed"})}
