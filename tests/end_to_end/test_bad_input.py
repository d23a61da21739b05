"""What people get wrong and disks do: one clear sentence each, and the rest goes on."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd import run_deduplication_for_months
from dedupd.errors import ConfigError, RootError, UsageError
from tests.end_to_end.house import House, Result

ROOT = os.geteuid() == 0


def sentence(done: Result, code: int) -> str:
    """The one line that says what went wrong."""
    assert done.code == code, done
    (line,) = [line for line in done.err.splitlines() if line.startswith("dedupd: ")]
    return line


@pytest.mark.parametrize("command", [["run"], ["scan", "--yes"], ["status"], ["groups"]])
def test_a_typo_in_the_config_names_file_key_and_the_nearest_spelling(
    pair: House, command: list[str]
) -> None:
    pair.config.write_text(f'roots = ["{pair.root}"]\nkeep_polcy = "best"\n')
    line = sentence(pair.cli(*command, *([pair.root] if command[0] == "scan" else [])), 2)
    assert str(pair.config) in line
    assert "keep_polcy" in line
    assert "keep_policy" in line


def test_a_root_that_is_missing_or_none(pair: House) -> None:
    done = pair.cli("scan", pair.root / "nope", "--yes")
    assert done.code == 1
    assert f"{pair.root / 'nope'} does not exist" in done.err
    file = pair.root / "2024/06/IMG_1.jpg"
    assert "not a folder" in sentence(pair.cli("scan", file), 2)
    assert "overlap" in sentence(pair.cli("scan", pair.root, pair.root / "2024"), 2)
    assert "whole disk" in sentence(pair.cli("scan", "/"), 2)
    pair.configure(roots=[])
    assert "no folder to watch" in sentence(pair.cli("run"), 2)


@pytest.mark.parametrize(
    ("command", "where"),
    [
        (["run"], "."),
        (["run"], "logs"),
        (["scan", "ROOT", "--yes"], "."),
        (["undo", "--all", "--yes"], "."),
    ],
)
def test_a_state_folder_that_is_none(pair: House, command: list[str], where: str) -> None:
    taken = pair.state / where
    taken.parent.mkdir(mode=0o700, exist_ok=True)
    taken.write_text("a file")
    before = pair.photos()
    line = sentence(pair.cli(*[pair.root if word == "ROOT" else word for word in command]), 1)
    assert str(pair.state) in line
    assert pair.photos() == before


def test_a_report_that_cannot_be_written(pair: House) -> None:
    assert "cannot be written" in sentence(
        pair.cli("scan", pair.root, "--report", pair.folder / "no/r.json"), 1
    )


@pytest.mark.parametrize("path", ["Pictures/2024/06/keep.jpg", "notes.json", "link.json"])
def test_a_report_takes_the_place_of_nothing_but_a_report(pair: House, path: str) -> None:
    """`--report` and a slip of the hand: P3 holds for what a person names too."""
    named = pair.folder / path
    (pair.folder / "notes.json").write_text('{"title": "photo.jpg"}')
    (pair.folder / "link.json").symlink_to(pair.folder / "notes.json")
    if path.endswith(".jpg"):
        named = next(pair.root.rglob("*.jpg"))
    before = named.read_bytes()
    assert "is no report of dedupd" in sentence(
        pair.cli("scan", pair.root, "--dry-run", "--report", named), 2
    )
    assert named.read_bytes() == before


def test_a_report_takes_the_place_of_a_former_one_and_of_an_empty_file(pair: House) -> None:
    named = pair.folder / "r.json"
    named.touch()
    for _ in range(2):
        assert pair.cli("scan", pair.root, "--dry-run", "--report", named).code == 0
        assert json.loads(named.read_text())["duplicate_groups"] == 1


@pytest.fixture
def small_disk(pair: House) -> Iterator[Path]:
    """The state folder on a disk with next to no room."""
    pair.state.mkdir(mode=0o700)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(pair.state), b"tmpfs", 0, b"size=64k,mode=700") != 0:
        pytest.skip(f"nothing can be mounted here ({os.strerror(ctypes.get_errno())})")
    yield pair.state
    libc.umount2(os.fsencode(pair.state), 2)


def test_a_full_disk_under_the_state_moves_nothing(pair: House, small_disk: Path) -> None:
    before = pair.photos()
    for command in (["scan", pair.root, "--yes"], ["run"]):
        line = sentence(pair.cli(*command), 1)
        assert str(small_disk) in line
        assert "full" in line
    assert pair.photos() == before


@pytest.mark.skipif(not ROOT, reason="only root can become a user who may not write there")
def test_a_state_folder_of_another_user(pair: House) -> None:
    pair.state.mkdir(mode=0o700)
    os.chown(pair.state, 65534, 65534)
    assert "belongs to another user" in sentence(pair.cli("scan", pair.root, "--yes"), 1)


def test_a_broken_photo_stays_and_is_named(pair: House) -> None:
    (pair.root / "2024/06/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    report = pair.scan("--yes")
    assert [entry["path"] for entry in report["skipped"]] == ["2024/06/broken.jpg"]
    assert (pair.root / "2024/06/broken.jpg").exists()
    assert len(report["groups"]) == 1


def test_a_client_in_other_surroundings_finds_the_daemon(pair: House) -> None:
    long = pair.folder / ("deep" * 30) / "state"  # too long for a socket: it lies in the runtime folder
    pair.state_name = str(long.relative_to(pair.folder))
    long.parent.mkdir()
    pair.configure()
    with pair.daemon():
        other = pair.folder / "other-run"
        other.mkdir(mode=0o700)
        done = subprocess.run(
            pair.command("status"), env=pair.env | {"XDG_RUNTIME_DIR": str(other)}, capture_output=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done
        assert b"running" in done.stdout


def test_months_from_python(pair: House) -> None:
    pair.add("2024/07/b.jpg", 3)
    pair.add("2024/07/b copy.jpg", 3)
    where = {"state_dir": pair.state, "embedder": "hashes"}
    before = pair.tree()
    dry = run_deduplication_for_months([(2024, 6)], pair.root, dry_run=True, **where)
    assert [(r.year, r.month, len(r.groups), r.moved) for r in dry] == [(2024, 6, 1, 0)]
    assert pair.tree() == before
    (june,) = run_deduplication_for_months([(2024, 6)], pair.root, **where)
    assert june.line == "Moved 1 duplicate files from 1 group(s) in 2024/06."
    assert (pair.root / "2024/07/b copy.jpg").exists()
    with pytest.raises(UsageError):
        run_deduplication_for_months([(2024, 13)], pair.root, **where)
    with pytest.raises((RootError, ConfigError)):
        run_deduplication_for_months([(2024, 6)], pair.folder / "nowhere", **where)


def test_a_scan_that_fails_in_the_daemon_fails_as_it_would_alone(house: House) -> None:
    house.configure(embedder="open_clip:ViT-B-32@/nowhere/weights.pt")
    house.add("2024/06/IMG_1.jpg", 1)
    alone = house.cli("scan", house.root)
    with house.daemon():
        beside = house.cli("scan", house.root)
    for failed in (alone, beside):
        assert failed.code == 1
        assert "/nowhere/weights.pt cannot be read" in failed.err
