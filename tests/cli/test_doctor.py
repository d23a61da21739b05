"""doctor says what each root can do, and touches none that dedupd was never at work in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.cli import machine
from dedupd.cli.commands import doctor
from dedupd.cli.main import main
from dedupd.config import Embedding, Settings, places
from dedupd.core.abilities import Way
from tests.support import disks


def moving(root: Path) -> doctor.Finding:
    (finding,) = [f for f in doctor._roots(Settings(roots=(root,))) if f.what == "moving"]
    return finding


def test_a_root_that_is_new_is_left_as_it_is(tmp_path: Path) -> None:
    before = tmp_path.stat()
    assert moving(tmp_path).good and "before the first move" in moving(tmp_path).told
    assert tmp_path.stat() == before


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Way.EXCLUSIVE, "a rename refuses a taken name"),
        (Way.LINK, "by a second name"),
        (Way.CLAIM, "an empty file has claimed"),
        (None, "nothing moves there"),
    ],
)
def test_a_known_root_says_how_files_move_in_it(
    tmp_path: Path, way: Way | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LocalDisk().mark(str(tmp_path))
    disks.limited(monkeypatch, way)
    found = moving(tmp_path)
    assert (found.good, told in found.told) == (way is not None, True), found


@pytest.mark.parametrize(("limit", "good"), [(8192, True), (1000, False)])
def test_too_few_watches_are_told_with_the_command(tmp_path: Path, limit: int, good: bool) -> None:
    (tmp_path / "max_user_watches").write_text(f"{limit}\n")
    (tmp_path / "max_user_instances").write_text("128\n")
    (found,) = machine.watching(2000, tmp_path)
    assert found.good is good and ("sysctl" in found.mend) is not good


def test_where_there_is_no_inotify_nothing_is_told(tmp_path: Path) -> None:
    assert list(machine.watching(2000, tmp_path)) == []


@pytest.mark.parametrize(("newest", "good"), [(0.0, True), (1e9, True), (1e9 + 86_400, False)])
def test_a_clock_that_was_set_back(newest: float, good: bool) -> None:
    (found,) = machine.clock(newest, 1e9)
    assert found.good is good and bool(found.mend) is not good


def test_what_a_file_system_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files, trash = machine.file_system(str(tmp_path))
    assert "told apart by capitals" in files.told and "finds a trash" in trash.told
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"
    assert list(machine.file_system(str(tmp_path / "gone"))) == []


def test_names_in_capitals(tmp_path: Path) -> None:
    (tmp_path / ".dedupd-root.json").write_text("{}")
    (tmp_path / ".DEDUPD-ROOT.JSON").symlink_to(".dedupd-root.json")  # as a file system does that folds case
    assert "other capitals is the same file" in next(machine.file_system(str(tmp_path))).told


def test_macos_keeps_out_whom_nobody_allowed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(path: object) -> list[str]:
        raise PermissionError

    monkeypatch.setattr(machine.os, "listdir", no)
    (found,) = machine.full_disk_access(tmp_path, "/usr/bin/python3", "darwin")
    assert not found.good and "Full Disk Access" in found.mend
    assert list(machine.full_disk_access(tmp_path, "/usr/bin/python3", "linux")) == []


@pytest.mark.parametrize(
    ("env", "real"), [({"TERM": "xterm-kitty"}, True), ({"TERM_PROGRAM": "WezTerm"}, True), ({}, False)]
)
def test_what_a_terminal_shows(env: dict[str, str], real: bool) -> None:
    (found,) = machine.terminal(env)
    assert ("real pixels" in found.told) is real and bool(found.mend) is not real


def test_all_of_it_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json", "--state-dir", str(tmp_path / "state")])
    told = json.loads(capsys.readouterr().out)
    assert {"packages", "state", "clock", "terminal", "engine"} <= {f["what"] for f in told}
    assert all(set(f) == {"what", "ok", "told", "mend"} for f in told)


def test_a_service_that_has_no_way_to_where_it_shall_embed_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dedupd.cli import login_service

    host = login_service.Host(platform="linux", home=tmp_path, env={})
    monkeypatch.setattr(login_service, "Host", lambda: host)
    monkeypatch.setattr("dedupd.cli.worker_module.last_line", lambda *asked, **more: (0, "sees with lite0"))
    settings = Settings(
        embedding=Embedding(mode="auto", url=("http://192.168.1.9:8766", "http://[fd00::9]:1"))
    )
    where = places(tmp_path / "state", tmp_path / "config.toml")

    def told() -> list[tuple[str, bool]]:
        return [(each.told, each.good) for each in doctor._embedding(settings, where)]

    answers = [("auto: sees with lite0", True)] * 2
    assert told() == answers, "no service is installed"
    drop_in = host.units / login_service.DROP_IN
    drop_in.parent.mkdir(parents=True)
    (host.units / login_service.UNIT).touch()
    drop_in.write_text("[Unit]\nWants=dedupd-proxy@192.168.1.9:8766.socket\n")
    said = "http://[fd00::9]:1 is not open to the service yet: run `dedupd service install` again."
    assert told() == [*answers, (said, False)]


def test_what_sees_is_asked_only_where_a_card_may_be(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    def ask(module: str, words: Sequence[str], otherwise: str) -> tuple[int, str]:
        asked.append((module, list(words)))
        return 0, "torch 2.13.0 on cuda:0 NVIDIA H100 (bfloat16, flash attention)"

    (plain,) = machine.engine(tmp_path, ("pillow",), platform="linux", ask=ask)
    assert plain.told.endswith("; on the processor")
    assert asked == []
    (tmp_path / "nvidia0").touch()
    (found,) = machine.engine(tmp_path, ("pillow",), "linux", "2", 0.5, ask)
    assert (found.good, "flash attention" in found.told) == (True, True)
    assert asked == [("accelerators", ["2", "0.5"])]
    (broken,) = machine.engine(tmp_path, ("pillow",), "darwin", ask=lambda *words: (1, "it cannot be loaded"))
    assert (broken.good, broken.told.endswith("it cannot be loaded")) == (False, True)


def test_a_card_that_this_torch_cannot_use_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.13.0+cpu"}
    monkeypatch.setattr("importlib.metadata.version", lambda name: versions[name])
    (tmp_path / "dxg").touch()
    (found,) = machine.engine(tmp_path, ("torch",), platform="linux")
    assert "this torch cannot use it" in found.told
    assert found.mend
