"""Receipts are believed so far and no farther: whatever the lines say, nothing is lost, deleted, or read to a crash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.fs.receipts import NAME
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.pipeline.annotate import withdraw_by_receipts
from dedupd.pipeline.relocate import undo_from_receipts
from tests.crash.rig import Rig, TestClock

MONTH, OWN_XMP = "2024/06", "<x:xmpmeta>my own ratings</x:xmpmeta>"
LINES = 100


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with held copies, a sidecar of ours, sidecars and notes of its owner, and files in every corner."""
    rig = Rig(tmp_path_factory.mktemp("receipts"))
    rig.photo(f"{MONTH}/keep.jpg")
    names = [f"{MONTH}/a.jpg", f"{MONTH}/trip/b.jpg", f"{MONTH}/" + os.fsdecode(b"caf\xe9.jpg")]
    rows = rig.relocate(*(rig.order(rig.photo(name)) for name in names))
    assert all(row.held for row in rows)
    for name, text in {
        f"{MONTH}/keep.jpg.xmp": OWN_XMP, f"{MONTH}/mine.xmp": OWN_XMP, f"{MONTH}/empty.xmp": "",
        f"{MONTH}/duplicates/mine.jpg": "put there by hand", "2023/x.jpg": "elsewhere",
    }.items():  # fmt: skip
        rig.photo(name, text.encode())
    rig.close()
    return rig.root


@pytest.fixture
def root(template: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(template, Path(folder) / "root"))


def census(folder: Path) -> Counter[str]:
    return Counter(
        blake3(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (NAME, ".dedupd-root.json")
    )


def written(root: Path, lines: list[bytes]) -> Path:
    at = root / MONTH / "duplicates" / NAME
    with at.open("ab") as file:
        file.write(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
    return root


def undone(root: Path) -> int:
    """How many came back."""
    mover = FileMover(TestClock(), 0.0)
    ended = undo_from_receipts(str(root), mover, mover.clock)
    withdraw_by_receipts(str(root), SidecarFiles(), mover)
    return sum(not row.held and row.refusal is None for row in ended)


def real(template: Path) -> list[dict[str, Any]]:
    lines = (template / MONTH / "duplicates" / NAME).read_text().splitlines()
    return [json.loads(line) for line in lines]


INTENT: dict[str, Any] = {
    "receipt": "intent", "id": 900, "batch": "x", "at": 1.0, "group": 1, "unit": "u", "file": 1,
    "src": f"{MONTH}/c.jpg", "dst": f"{MONTH}/duplicates/c.jpg", "content": "00", "size": 1, "mtime_ns": 1, "dev": 1,
    "ino": 1, "primary": True, "keeper": "k", "keeper_content": "11", "relation": "exact", "evidence": "", "root_id": "",
}  # fmt: skip
SIDECAR: dict[str, Any] = {
    "receipt": "sidecar", "id": 1, "batch": "sidecar", "folder": f"{MONTH}/duplicates", "path": f"{MONTH}/mine.xmp",
    "text": OWN_XMP,
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(INTENT | {"at": "yesterday"}), json.dumps(INTENT | {"at": None}), json.dumps(INTENT | {"at": 10**400}),
        json.dumps(INTENT | {"dst": f"{MONTH}/duplicates/c\0.jpg"}),
        json.dumps(INTENT | {"dst": f"{MONTH}/duplicates/c\ud800.jpg"}),
        json.dumps(INTENT | {"src": f"{MONTH}/c\ud800.jpg"}), json.dumps(INTENT | {"dst": f"{MONTH}/duplicates"}),
        json.dumps(INTENT | {"id": 1, "dev": 1 << 70, "ino": -1, "size": "1"}), json.dumps(INTENT | {"id": "1"}),
        json.dumps(INTENT | {"id": True, "primary": 1}), "[" * 100_000, '{"id":' * 50_000, '{"id":' + "9" * 5000 + "}",
        json.dumps({"receipt": "undone", "id": 1, "batch": [], "dst": {}}), "\ud800".encode("utf-8", "surrogatepass"),
        b"\xff\xfe\x00", b"x" * 200_000,
    ],
)  # fmt: skip
def test_one_odd_line_holds_up_no_other(root: Path, line: str | bytes) -> None:
    before = census(root)
    written(root, [line.encode() if isinstance(line, str) else line])
    assert undone(root) == 3
    assert census(root) == before
    assert (root / MONTH / "a.jpg").exists() and (root / MONTH / "trip/b.jpg").exists()


def test_a_line_that_takes_the_number_of_a_move_hides_it_not(root: Path, template: Path) -> None:
    first = next(line for line in real(template) if line["receipt"] == "intent")
    written(root, [json.dumps(first | {"dst": f"{MONTH}/duplicates/nowhere.jpg"}).encode()])
    assert undone(root) == 3


def test_one_that_cannot_come_back_holds_up_none_of_its_unit(root: Path, template: Path) -> None:
    first = next(line for line in real(template) if line["receipt"] == "intent")
    odd = {"id": 77, "src": f"{MONTH}/keep.jpg/x.jpg", "dst": f"{MONTH}/duplicates/mine.jpg/y.jpg"}
    loop = {"id": 78, "src": f"{MONTH}/{'n' * 300}", "dst": f"{MONTH}/duplicates/{'n' * 300}"}
    written(root, [json.dumps(first | odd).encode(), json.dumps(first | loop).encode()])
    assert undone(root) == 3


@pytest.mark.parametrize(
    "lie",
    [{}, {"path": f"{MONTH}/empty.xmp", "text": "whatever"}, {"path": f"{MONTH}/empty.xmp", "text": " "},
     {"path": f"{MONTH}/keep.jpg.xmp", "text": OWN_XMP + " and more"}, {"path": "../../out.xmp"}],
)  # fmt: skip
def test_a_users_own_sidecar_stays_whatever_a_line_says(root: Path, lie: dict[str, Any]) -> None:
    written(root, [json.dumps(SIDECAR | lie).encode()])
    (root.parent / "out.xmp").write_text(OWN_XMP)
    before = {p: p.read_bytes() for p in root.parent.rglob("*.xmp")}
    assert undone(root) == 3
    assert {p: p.read_bytes() for p in root.parent.rglob("*.xmp")} == before


def test_even_the_very_bytes_are_laid_aside_and_not_taken_away(root: Path) -> None:
    written(root, [json.dumps(SIDECAR | {"path": f"{MONTH}/keep.jpg.xmp"}).encode()])
    before = census(root)
    undone(root)
    assert (root / MONTH / "duplicates/keep.jpg.xmp").read_text() == OWN_XMP
    assert census(root) == before


def test_a_sidecar_of_other_bytes_stays(root: Path) -> None:
    other = OWN_XMP[:-1] + "?"
    written(root, [json.dumps(SIDECAR | {"path": f"{MONTH}/keep.jpg.xmp", "text": other}).encode()])
    undone(root)
    assert (root / MONTH / "keep.jpg.xmp").read_text() == OWN_XMP


def test_no_line_lays_a_photo_aside(root: Path) -> None:
    keeper = root / MONTH / "keep.jpg"
    written(root, [json.dumps(SIDECAR | {"path": f"{MONTH}/keep.jpg", "text": keeper.read_text()}).encode()])
    undone(root)
    assert keeper.exists()


def test_folders_deeper_than_any_stack(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for name in ["2024", "06", *["d"] * 1100, "duplicates"]:
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    try:
        assert undone(tmp_path) == 0
    finally:  # Python's own way to remove it ends at the same depth
        subprocess.run(["rm", "-rf", tmp_path / "2024"], check=True)


PATHS = [f"{MONTH}/{name}" for name in (
    "a.jpg", "keep.jpg", "keep.jpg.xmp", "mine.xmp", "empty.xmp", "duplicates", "duplicates/a.jpg", "trip",
    "duplicates/mine.jpg", "duplicates/trip/b.jpg", "duplicates/../../x.jpg", "../../out.jpg", "duplicates/keep.jpg.xmp",
)]  # fmt: skip
WORDS = ["", ".", "..", "/", "\0", "\ud800", "\udcff", "intent", "moved", "undone", "returned", "aborted", "sidecar",
         "sidecar-written", "sidecar-removed", MONTH, OWN_XMP, "k", "ä\n", "9" * 400]  # fmt: skip
NUMBERS = [
    0,
    1,
    2,
    3,
    -1,
    1 << 63,
    1 << 70,
    0.5,
    float("nan"),
    float("inf"),
    -1e308,
    10**300,
    True,
    False,
    None,
]
NESTED = [[], {}, [[[]]], {"id": 1}, ["intent"], {"": {"": []}}]


def line(fate: Random, known: list[dict[str, Any]]) -> bytes:
    """A real line, bent in some places; now and then torn, or no line of ours at all."""
    if fate.random() < 0.05:
        return fate.randbytes(fate.randrange(60))
    bent = dict(fate.choice([*known, INTENT, SIDECAR]))
    for field in fate.choices([*bent, "restored", "text", "path"], k=fate.randrange(4)):
        bent[field] = fate.choice(fate.choice([PATHS, PATHS, WORDS, NUMBERS, NESTED]))
    text = json.dumps(bent).encode()
    return text[: fate.randrange(len(text))] if fate.random() < 0.05 else text


@pytest.mark.parametrize(
    "examples", [10, pytest.param(100, marks=pytest.mark.slow)], ids=["1,000 lines", "10,000 lines"]
)
def test_whatever_the_lines_say_nothing_is_lost(template: Path, examples: int) -> None:
    known = real(template)

    # A hundred lines are one number: drawn one by one, they would cost more than all that they test.
    @settings(max_examples=examples, phases=[Phase.generate])
    @given(st.integers(0, 1 << 64))
    def run(seed: int) -> None:
        fate = Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(shutil.copytree(template, Path(folder) / "root"))
            (root.parent / "out.jpg").write_text("not of this root")
            written(root, [line(fate, known) for _ in range(LINES)])
            before = census(root.parent)
            for _ in range(2):
                undone(root)
                assert census(root.parent) == before

    run()
