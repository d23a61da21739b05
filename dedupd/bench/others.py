"""Other tools on the same gallery, each as its users run it by default, scored by the same rules.

Owns how each is asked and how its groups are read; what is not installed is left out. None is asked to change
anything, and none is a dependency. Must never move a file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Groups = list[list[str]]
_LIMIT = 1800.0
"""Seconds that a tool may take."""

_IMAGEDEDUP = """
import json, os, sys
from imagededup.methods import PHash
folder = sys.argv[1]
near = PHash(verbose=False).find_duplicates(image_dir=folder, max_distance_threshold=8, recursive=True)
json.dump([[os.path.join(folder, p) for p in (one, *others)] for one, others in near.items() if others],
          open(sys.argv[2], "w"))
"""
_CZKAWKA = """
import json, sys
from czkawka import ImageSimilarity
finder = ImageSimilarity()
finder.set_directories([sys.argv[1]])
finder.set_similarity(10)
json.dump([[str(path) for path in group] for group in finder.find_similar()], open(sys.argv[2], "w"))
"""
_EACH_GROUP = 'VIEW(){ for f in "$@"; do printf "%s\\0" "$f"; done; printf "\\0"; }'
"""File names end with NUL, groups with a second NUL, because a name may hold spaces and newlines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One other tool."""

    name: str
    installed: Callable[[], bool]
    groups: Callable[[Path, Path], Groups]
    """(gallery, an empty folder for its own files) -> groups of absolute paths. Raises RuntimeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinding:
    """The result of one tool."""

    tool: str
    groups: Groups
    seconds: float
    failed: str = ""
    """One clause, when it did not work."""


def installed() -> list[Tool]:
    """The tools that are installed on this machine."""
    return [tool for tool in _TOOLS if tool.installed()]


def ask(tool: Tool, folder: Path, scratch: Path) -> ToolFinding:
    """Let `tool` search for duplicates in `folder`."""
    began = time.monotonic()
    try:
        groups = tool.groups(folder, scratch)
    except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        clause = (str(error).strip().splitlines() or ["it failed"])[-1]
        return ToolFinding(tool=tool.name, groups=[], seconds=time.monotonic() - began, failed=clause)
    return ToolFinding(tool=tool.name, groups=groups, seconds=time.monotonic() - began)


def moves(groups: Groups, named: Callable[[str], str], pixels: Mapping[str, int]) -> list[dict[str, Any]]:
    """The moves that following each group would cause: the picture with most pixels stays, then the larger
    file; a file moves once.

    `named` turns an absolute path into the labels' own, with which `pixels` is called (0: not known).
    """
    gone: set[str] = set()
    found: list[dict[str, Any]] = []
    for group in groups:
        here = [path for path in sorted(set(group)) if path not in gone]
        here.sort(key=lambda path: (-pixels.get(named(path), 0), -os.path.getsize(path), path))
        if len(here) > 1:
            gone |= set(here[1:])
            found.append({"keep": named(here[0]), "duplicates": [named(p) for p in here[1:]], "review": []})
    return found


def _run(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=_LIMIT, check=False)
    if done.returncode and not done.stdout:
        raise RuntimeError(done.stderr.decode(errors="replace") or f"it ended with {done.returncode}")
    return done.stdout


def _immaculate(method: str) -> Callable[[Path, Path], Groups]:
    def groups(folder: Path, scratch: Path) -> Groups:
        found = json.loads(_run(["immaculate", str(folder), "--json", "--method", method]))
        return _joined([*found["exact"], *found["near"]])

    return groups


def _findimagedupes(folder: Path, scratch: Path) -> Groups:
    said = _run(["findimagedupes", "-q", "-R", "-i", _EACH_GROUP, "--", str(folder)])
    return [[os.fsdecode(p) for p in group.split(b"\0") if p] for group in said.split(b"\0\0") if group]


def _in_python(script: str) -> Callable[[Path, Path], Groups]:
    """A tool that is a Python library, run in a process of its own."""

    def groups(folder: Path, scratch: Path) -> Groups:
        answer = Path(tempfile.mkdtemp(dir=scratch)) / "groups.json"
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder), str(answer)],
            capture_output=True, text=True, timeout=_LIMIT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        with answer.open(encoding="utf-8") as file:
            return _joined(json.load(file))

    return groups


def _joined(groups: Iterable[Sequence[str]]) -> Groups:
    """Groups that share a file are joined, as these tools' own deleters do."""
    home: dict[str, list[str]] = {}
    for group in groups:
        whole = list(dict.fromkeys(p for path in group for p in home.get(path, [path])))
        home |= dict.fromkeys(whole, whole)
    return list({id(group): group for group in home.values()}.values())


def _command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _module(name: str) -> Callable[[], bool]:
    return lambda: find_spec(name) is not None


_TOOLS = (
    Tool(name="immaculate pdq", installed=_command("immaculate"), groups=_immaculate("pdq")),
    Tool(name="immaculate sscd", installed=_command("immaculate"), groups=_immaculate("sscd")),
    Tool(name="imagededup phash", installed=_module("imagededup"), groups=_in_python(_IMAGEDEDUP)),
    Tool(name="czkawka", installed=_module("czkawka"), groups=_in_python(_CZKAWKA)),
    Tool(name="findimagedupes", installed=_command("findimagedupes"), groups=_findimagedupes),
)
