"""`dedupd scan` as one-shot tools are used: what it prints, what it counts, and how it ends. Photos are pseudo-photos."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from dedupd.cli.commands import scan
from dedupd.cli.main import main
from dedupd.cli.options import EVERY_CORE
from dedupd.config import Settings, places
from dedupd.errors import AlreadyRunning
from dedupd.library.build import Parts
from dedupd.protocol.requests import Scan
from dedupd.protocol.results import Acted
from tests.fakes.vision import FakeVision, pseudo_photo


class Desk:
    """A folder of photos, and the command line on it."""

    def __init__(self, at: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.at, self.root, self._capsys = at, at / "Pictures", capsys
        (at / "config.toml").write_text("[schedule]\nsettle_seconds = 0\n")
        self.add("2024/06/a.jpg")
        self.add("2024/06/a small.jpg", rendering="small", width=800, height=600)
        self.add("Album/a.jpg", rendering="album", width=800, height=600)

    def add(self, name: str, scene: str = "lake", rendering: str = "original", **traits: int) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pseudo_photo(scene, rendering=rendering, **traits))
        return path

    def scan(self, *words: str | Path) -> tuple[int, str, str]:
        places = ("--state-dir", str(self.at / "state"), "--config", str(self.at / "config.toml"))
        roots = [] if any(str(word).startswith(str(self.root)) for word in words[:1]) else [str(self.root)]
        try:
            code = main([*places, "scan", *roots, *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def files(self) -> set[str]:
        found = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*.jpg"))
        return {name for name in found if "duplicates/" not in name}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    vision = FakeVision(model="lite0-gem/1")
    monkeypatch.setattr(Parts, "vision_worker", lambda self, embedder="": vision)
    monkeypatch.setattr("dedupd.library.view.VisionWorker", lambda *given: vision)
    monkeypatch.setattr("dedupd.library.estimating.VisionWorker", lambda *given, **more: vision)
    monkeypatch.delenv("DEDUPD_CONFIG", raising=False)
    monkeypatch.setattr(scan, "can_ask", lambda: False)
    return Desk(tmp_path.resolve(), capsys)


@pytest.mark.parametrize(
    "words",
    [
        ("--keep", "oldest"),
        ("--dry",),
        ("--state", "x"),
        ("--cross-folders-only", "--within-folder-only"),
        ("--format", "xml"),
        ("--exclude", ""),
        ("--exclude", "/"),
        ("--min-size", "-1"),
        ("--min-size", "1T"),
        ("--min-size", "nan"),
        ("--min-size", "K"),
        ("--jobs", "0"),
        ("--gpus", "some"),
        ("--gpu-memory-fraction", "nan"),
        ("--gpu-memory-fraction", "1.5"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_before_anything_is_done(desk: Desk, words: tuple[str, ...]) -> None:
    """Options are written out: an abbreviation may mean another one tomorrow."""
    code, out, err = desk.scan("--dry-run", *words)
    assert (code, out) == (2, "")
    assert err
    assert not (desk.at / "state/ledger.db").exists()


def test_k_is_taken_and_is_no_keep_policy(desk: Desk) -> None:
    code, out, err = desk.scan("--dry-run", "--format", "json", "--k", "10")
    assert (code, json.loads(out)["keep_policy"]) == (0, "best")
    assert err == (
        "note: --k changes nothing: every photo is compared with all that may be like it, not with N of them\n"
    )


def test_how_much_of_the_machine_it_takes_is_said_on_the_command_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Settings] = []
    usual = Parts.vision_worker
    monkeypatch.setattr(Parts, "vision_worker", lambda self: told.append(self.settings) or usual(self))
    assert desk.scan("--dry-run", "--jobs", "3", "--gpus", "0", "--gpu-memory-fraction", "0.5")[0] == 0
    assert (told[0].jobs, told[0].gpus, told[0].gpu_memory_fraction) == (3, "0", 0.5)
    assert desk.scan("--dry-run", "--full-speed")[0] == 0
    assert told[-1].jobs == EVERY_CORE


def test_an_estimate_says_what_a_scan_would_come_to_and_leaves_no_trace(desk: Desk) -> None:
    desk.add("2024/07/the same.jpg")
    before = {p: p.stat().st_mtime_ns for p in desk.root.rglob("*")}
    code, out, _ = desk.scan("--estimate", "--yes")
    assert code == 0
    assert "about 4 photos" in out
    assert "about 1 file(s) have the bytes of another" in out
    _, out, _ = desk.scan("--estimate", "--format", "json", "--exclude", "2024/07")
    assert (json.loads(out)["photos"], json.loads(out)["same_files"]) == (3, 0)
    for more in (
        ["--report", desk.at / "r.json"],
        ["--fail-on-duplicates"],
        ["--format", "csv"],
        ["--month", "2024-06"],
    ):
        code, out, err = desk.scan("--estimate", *more)
        assert (code, out) == (2, "")
        assert f"leave out {more[0]}" in err
    assert {p: p.stat().st_mtime_ns for p in desk.root.rglob("*")} == before
    assert not list((desk.at / "state").iterdir())


def test_inplace_is_another_name_for_yes(desk: Desk) -> None:
    assert desk.scan()[0] == 3
    assert desk.scan("--inplace")[0] == 0
    assert desk.files() == {"2024/06/a.jpg"}


def test_stdout_is_the_report_alone_in_the_form_asked_for(desk: Desk) -> None:
    code, out, err = desk.scan("--dry-run", "--format", "json")
    assert (code, json.loads(out)["total_duplicates"], err) == (0, 2, "")
    _, out, _ = desk.scan("--dry-run", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["role"], row["path"]) for row in rows] == [
        ("keep", "2024/06/a.jpg"), ("duplicate", "2024/06/a small.jpg"), ("duplicate", "Album/a.jpg"),
    ]  # fmt: skip
    assert rows[0]["bytes"] == str((desk.root / "2024/06/a.jpg").stat().st_size)
    _, out, _ = desk.scan("--dry-run", "--format", "html")
    assert out.startswith("<!doctype html>\n<!-- dedupd report -->\n")
    assert "would move</b> Album/a.jpg" in out
    assert out.rstrip().endswith("</html>")
    usual = desk.scan("--dry-run")
    assert desk.scan("--dry-run", "--format", "text") == usual
    assert "3 photos, 1 group(s) of duplicates: 2 file(s) would move" in usual[1]


@pytest.mark.parametrize(
    ("name", "form", "begins"),
    [
        ("r.json", "csv", '{\n "generated_at"'),
        ("r.CSV", None, "group,role,"),
        ("r.html", None, "<!doctype html>"),
        ("r.txt", "json", "Duplicates found by dedupd\n"),
        ("r", "csv", "group,role,"),
        ("r", None, '{\n "generated_at"'),
    ],
)
def test_a_report_is_written_as_its_name_says_and_replaces_a_report_alone(
    desk: Desk, name: str, form: str | None, begins: str
) -> None:
    report, words = desk.at / name, ("--format", form) if form else ()
    report.write_text("")
    for _ in range(2):
        assert desk.scan("--dry-run", "--report", report, *words)[0] == 0
        assert report.read_text().startswith(begins)
    photo = desk.root / "2024/06/a.jpg"
    before = photo.read_bytes()
    code, _, err = desk.scan("--dry-run", "--report", photo, *words)
    assert (code, err) == (2, f"dedupd: {photo} is there and is no report of dedupd: name another file\n")
    assert photo.read_bytes() == before


def test_duplicates_are_an_exit_code_when_asked_for_and_every_other_one_wins(desk: Desk) -> None:
    assert desk.scan("--dry-run")[0] == 0
    assert desk.scan("--dry-run", "--fail-on-duplicates")[0] == 6
    assert desk.scan("--fail-on-duplicates")[0] == 3, "nobody could be asked"
    blocked = desk.root / "duplicates"
    blocked.write_text("my notes")
    assert desk.scan("--yes", "--fail-on-duplicates")[0] == 1, "one did not move"
    blocked.unlink()
    assert desk.scan("--yes", "--fail-on-duplicates")[0] == 6
    assert desk.scan("--yes", "--fail-on-duplicates")[0] == 0, "what lies in duplicates/ is none any more"
    assert desk.scan("--dry-run", "--fail-on-duplicates", "--report", desk.root / "2024/06/a.jpg")[0] == 2


@pytest.mark.parametrize(
    ("words", "moves"),
    [
        (("--cross-folders-only",), {"Album/a.jpg"}),
        (("--within-folder-only",), {"2024/06/a small.jpg"}),
        (("--exclude", "Album/"), {"2024/06/a small.jpg"}),
        (("--exclude", "./Album", "--exclude", "*small*"), set()),
        (("--min-size", "1K"), set()),
        (("--min-size", "0.001k"), {"2024/06/a small.jpg", "Album/a.jpg"}),
    ],
)
def test_only_what_counts_moves(desk: Desk, words: tuple[str, ...], moves: set[str]) -> None:
    before = desk.files()
    code, out, _ = desk.scan("--yes", "--format", "json", *words)
    report = json.loads(out)
    assert code == 0
    assert before - desk.files() == moves
    assert {path for group in report["groups"] for path in group["duplicates"]} == moves
    assert (report["total_duplicates"], report["duplicate_groups"]) == (len(moves), int(bool(moves)))


def test_a_name_as_the_shell_completes_it_is_that_very_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = desk.add("2024/06/odd[1].jpg", "hill")
    desk.add("Album/odd.jpg", "hill", rendering="small", width=800, height=600)
    monkeypatch.chdir(desk.at)
    code, *_ = desk.scan(
        "--yes", "--exclude", "Pictures/2024/06/odd[1].jpg", "--exclude", "Pictures/Album/a.jpg"
    )
    assert code == 0
    assert {"2024/06/odd[1].jpg", "Album/odd.jpg", "Album/a.jpg"} <= desk.files()
    assert odd.exists()


def test_a_reference_is_kept_under_any_of_its_names(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add("2024/06/hill.jpg", "hill")
    desk.add("Album/a long name of the hill.jpg", "hill")
    (desk.at / "link").symlink_to(desk.root / "Album")
    monkeypatch.chdir(desk.root)
    for name in ("Album", desk.at / "link", "2024/../Album/"):
        _, out, _ = desk.scan("--dry-run", "--format", "json", "--reference", name)
        keeps = {group["keep"]: group["duplicates"] for group in json.loads(out)["groups"]}
        assert keeps["Album/a long name of the hill.jpg"] == ["2024/06/hill.jpg"], name
        assert not any(path.startswith("Album/") for paths in keeps.values() for path in paths)
    assert desk.scan("--yes", "--reference", "Album")[0] == 0
    assert {name for name in desk.files() if name.startswith("Album/")} == {
        "Album/a.jpg",
        "Album/a long name of the hill.jpg",
    }


def test_a_reference_adds_to_what_is_protected(desk: Desk) -> None:
    with (desk.at / "config.toml").open("r+") as config:
        rest = config.read()
        config.seek(0)
        config.write(f'protected = ["{desk.root}/2024/06"]\n{rest}')
    _, out, _ = desk.scan("--dry-run", "--format", "json", "--reference", desk.root / "Album")
    assert json.loads(out)["total_duplicates"] == 0


def test_a_reference_that_no_scanned_folder_holds_is_refused(desk: Desk) -> None:
    outside = desk.at / "Elsewhere"
    outside.mkdir()
    inside = desk.root / "link"
    inside.symlink_to(outside)
    for reference, why in (
        (outside, "lies in none of the folders to scan"),
        (inside, "lies in none of the folders to scan"),
        (desk.root / "Albun", "is no folder: check the spelling"),
        (desk.root / "2024/06/a.jpg", "is no folder"),
    ):
        code, out, err = desk.scan("--yes", "--reference", reference)
        assert (code, out) == (2, "")
        assert why in err
        assert len(err.splitlines()) == 1
    assert len(desk.files()) == 3


def test_a_reference_that_is_a_root_of_its_own_says_what_it_cannot_do(desk: Desk) -> None:
    own = desk.at / "Archive"
    own.mkdir()
    (own / "a.jpg").write_bytes((desk.root / "2024/06/a.jpg").read_bytes())
    code, _, err = desk.scan(own, "--yes", "--reference", own)
    assert (code, (own / "a.jpg").exists()) == (0, True)
    assert f"note: {own} is a ROOT of its own, and a photo moves only beside one" in err
    assert desk.files() == {"2024/06/a.jpg"}


def test_names_of_any_bytes_come_through_every_form(desk: Desk) -> None:
    folder = os.fsencode(desk.root / "2024/07")
    os.mkdir(folder)
    for name, more in ((b"=1+1 \xe9.jpg", {}), (b"=1+1 \xe9 small.jpg", {"width": 800, "height": 600})):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(pseudo_photo("hill", rendering=str(len(more)), **more))
    _, out, _ = desk.scan("--dry-run", "--format", "json")
    assert '"2024/07/=1+1 \\udce9 small.jpg"' in out
    for form in ("csv", "html"):
        _, out, _ = desk.scan("--dry-run", "--format", form)
        assert "2024/07/=1+1 \\udce9 small.jpg" in out
        out.encode("utf-8")


class TestBesideADaemon:
    """It holds the lock; what it is asked, and what not."""

    @pytest.fixture
    def asked(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        desk.scan("--dry-run")
        places(desk.at / "state", desk.at / "config.toml").socket.touch()
        asked: list[object] = []

        def busy(*given: object) -> None:
            raise AlreadyRunning("another dedupd holds the lock")

        def ask(socket: Path, request: object, kind: object, *, timeout: float | None) -> Acted:
            asked.append(request)
            return Acted()

        monkeypatch.setattr("dedupd.adapters.fs.lock.lock_library", busy)
        monkeypatch.setattr("dedupd.client.connection.ask", ask)
        return asked

    @pytest.mark.parametrize(
        "narrow",
        [
            ("--cross-folders-only",),
            ("--within-folder-only",),
            ("--exclude", "x"),
            ("--min-size", "1"),
        ],
    )
    def test_what_narrows_a_scan_is_not_asked_of_it(
        self, desk: Desk, asked: list[object], narrow: tuple[str, ...]
    ) -> None:
        code, out, err = desk.scan("--yes", *narrow)
        assert (code, out, asked) == (4, "", [])
        assert "a daemon does whole scans only" in err

    def test_a_reference_is_another_setting_than_its_own(self, desk: Desk, asked: list[object]) -> None:
        for words in ((), ("--reference", desk.root / "Album")):
            assert desk.scan("--dry-run", *words)[0] == 0
        plain, referring = asked
        assert isinstance(plain, Scan)
        assert isinstance(referring, Scan)
        assert plain.settings != referring.settings

    def test_its_scan_has_every_form_and_exit_code_of_ours(self, desk: Desk, asked: list[object]) -> None:
        code, out, err = desk.scan("--dry-run", "--fail-on-duplicates", "--format", "json", "--jobs", "2")
        assert (code, json.loads(out)["total_duplicates"]) == (6, 2)
        assert "--jobs" in err
        assert desk.scan("--dry-run", "--fail-on-duplicates", "--month", "2024-07")[0] == 0
