"""`dedupd photos`: what comes out of Apple's Photos, and which of it may be proposed for deletion there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.apple import osxphotos
from dedupd.adapters.apple.exported_files import ExportedFiles
from dedupd.adapters.apple.osxphotos import OsxPhotos, Report
from dedupd.cli.commands import photos as command
from dedupd.cli.main import main
from dedupd.core.apple_photos import ALBUM, AlbumPair, ExportedFile, Exports, for_the_album
from dedupd.errors import ExitCode, PhotosError
from tests.fakes.apple_photos import FakePhotos
from tests.fakes.vision import pseudo_photo
from tests.support.shelf import Shelf

BIG, SMALL = pseudo_photo("lake"), pseudo_photo("lake", rendering="small", width=800, height=600)


class Mac:
    """A Mac with a Photos library, its export as the root of a dedupd library."""

    def __init__(self, at: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.at, self._capsys = at, capsys
        self.photos = FakePhotos(at=at)
        self.shelf = Shelf(at)
        self.folder = self.shelf.root
        (at / "config.toml").write_text(f'roots = ["{self.folder}"]\n[schedule]\nsettle_seconds = 0\n')

    @property
    def record(self) -> ExportedFiles:
        return ExportedFiles(self.at / "state", self.folder)

    def say(self, *words: str) -> tuple[int, dict[str, Any]]:
        self.photos.save()
        self._capsys.readouterr()
        status = main(["photos", *words, "--json", *self.places])
        out = self._capsys.readouterr().out
        return status, json.loads(out) if out else {}

    def export(self, *words: str) -> tuple[int, dict[str, Any]]:
        return self.say("export", str(self.folder), *words)

    def moves(self) -> None:
        """dedupd looks and moves what is a duplicate."""
        self.shelf.clock.advance(60)
        self.shelf.pass_()

    @property
    def places(self) -> tuple[str, ...]:
        return "--state-dir", str(self.at / "state"), "--config", str(self.at / "config.toml")


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mac:
    mac = Mac(tmp_path, capsys)
    monkeypatch.setattr(command, "on_a_mac", lambda: True)
    monkeypatch.setattr(osxphotos, "beside_python", lambda: None)
    monkeypatch.setenv("PATH", f"{mac.photos.program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PHOTOS", str(tmp_path / "photos.json"))
    for name, module in mac.photos.photoscript().items():
        monkeypatch.setitem(sys.modules, name, module)
    return mac


@pytest.fixture
def moved(mac: Mac) -> Mac:
    """A photo that was imported twice, exported; one of the two moved."""
    mac.photos.add("IMG_1.jpg", BIG, uuid="KEPT")
    mac.photos.add("IMG_1 copy.jpg", BIG, uuid="COPY")
    assert mac.export()[0] == ExitCode.OK
    mac.moves()
    assert "2024/06/duplicates/IMG_1 copy.jpg" in mac.shelf.files()
    return mac


# ---- export


def test_elsewhere_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["photos", "album"]) == ExitCode.USAGE
    assert "macOS alone" in capsys.readouterr().err


def test_originals_edits_and_moving_halves_come_into_their_months(mac: Mac) -> None:
    mac.photos.add("IMG_1.HEIC", b"original", uuid="A", edited=b"edited", live=b"second")
    mac.photos.add("IMG_1.HEIC", b"of another camera", uuid="B", edited=b"too")
    mac.photos.add("IMG_3.jpg", b"far away", uuid="C", in_cloud=True)
    mac.photos.add("IMG_4.jpg", b"thrown away", uuid="D", in_bin=True)
    status, told = mac.export()
    assert status == ExitCode.OK
    assert (told["photos"], told["files"], told["changed"], told["in_icloud_only"]) == (2, 5, 2, 1)
    assert {f.path.removeprefix(f"{mac.folder}/2024/06/"): f.uuid for f in mac.record.files()} == {
        "IMG_1.HEIC": "A", "IMG_1.mov": "A", "IMG_1_edited.jpeg": "A",
        "IMG_1 (1).HEIC": "B", "IMG_1_edited (1).jpeg": "B",
    }  # fmt: skip
    mac.photos.add("IMG_5.jpg", b"new", uuid="E")
    assert mac.export()[1]["changed"] == 1
    assert mac.photos.asked[0][1:4] == [str(mac.folder), "--update", "--directory"]
    assert not {"--cleanup", "--overwrite"} & {word for words in mac.photos.asked for word in words}


def test_what_lies_in_icloud_alone_is_fetched_only_when_asked_for(mac: Mac) -> None:
    mac.export()
    mac.export("--download-missing")
    assert ["--download-missing" in words for words in mac.photos.asked] == [False, True]


def test_one_that_fails_is_told(mac: Mac) -> None:
    mac.photos.add("IMG_1.jpg", BIG, error="no space left")
    status, told = mac.export()
    assert status == ExitCode.FAILED
    assert [e["error"] for e in told["errors"]] == ["no space left"]


def test_an_export_that_was_killed_goes_on_and_knows_what_came(
    mac: Mac, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        mac.photos.add(f"IMG_{number}.jpg", b"%d" % number, uuid=f"U{number}")
    mac.photos.killed_after = 2
    mac.photos.save()
    assert main(["photos", "export", str(mac.folder), *mac.places]) == ExitCode.FAILED
    assert "run the same command again" in capsys.readouterr().err
    assert {f.uuid for f in mac.record.files()} == {"U0", "U1"}
    mac.photos.killed_after = -1
    status, told = mac.export()
    assert (status, told["photos"], told["changed"]) == (ExitCode.OK, 4, 2)
    assert {f.uuid for f in mac.record.files()} == {"U0", "U1", "U2", "U3"}


def test_what_a_run_left_that_was_killed_with_dedupd_is_taken_in(mac: Mac) -> None:
    photo = mac.photos.add("IMG_1.jpg", BIG, uuid="A")
    mac.export()
    files = mac.record.work / "files.jsonl"
    files.write_bytes(files.read_bytes()[:10])  # cut in the middle of a line
    assert mac.record.files() == []
    photo.in_bin = True
    mac.export()
    assert [f.uuid for f in mac.record.files()] == ["A"]
    assert (mac.at / "state").stat().st_mode & 0o077 == 0


def test_what_an_older_osxphotos_left_stops_no_newer_one(mac: Mac) -> None:
    mac.photos.add("IMG_1.jpg", BIG, uuid="A")
    mac.photos.old = True
    assert mac.export()[0] == ExitCode.FAILED
    mac.photos.old = False
    assert mac.export()[0] == ExitCode.OK


def test_a_stop_ends_osxphotos_in_order(mac: Mac) -> None:
    """Ctrl-C: it is asked to stop, and what came before is known."""
    mac.photos.add("IMG_1.jpg", BIG, uuid="A")
    mac.photos.add("IMG_2.jpg", SMALL, uuid="B")
    mac.photos.hangs_after = 1
    mac.photos.save()
    record = mac.record
    record.begin("")
    (record.work / "skip.txt").touch()
    report = Report(record.work / osxphotos.REPORT)
    seen: list[str] = []

    def on_photo(number: int, total: int) -> None:
        seen.extend(file.uuid for file in report.more())
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OsxPhotos().export(
            mac.folder, record.work, skip=record.work / "skip.txt", library=None, download=False, on_photo=on_photo
        )  # fmt: skip
    assert seen == ["A"]


def test_a_daemon_that_moves_a_file_during_the_export_breaks_no_link(mac: Mac) -> None:
    mac.photos.add("IMG_1.jpg", BIG, uuid="A")
    mac.photos.add("IMG_2.jpg", SMALL, uuid="B")
    mac.photos.killed_after = 1
    mac.export()
    (mac.folder / "2024/06/IMG_1.jpg").rename(mac.folder / "elsewhere.jpg")
    assert [f.uuid for f in mac.record.files()] == ["A"]


def test_a_report_without_photos_is_of_an_older_osxphotos(
    mac: Mac, capsys: pytest.CaptureFixture[str]
) -> None:
    mac.photos.add("IMG_1.jpg", BIG)
    mac.photos.old = True
    mac.photos.save()
    assert main(["photos", "export", str(mac.folder), *mac.places]) == ExitCode.FAILED
    assert "install version" in capsys.readouterr().err


def test_what_osxphotos_says_at_its_end_is_passed_on(mac: Mac, capsys: pytest.CaptureFixture[str]) -> None:
    mac.photos.refuses = "Error: could not get authorization"
    mac.photos.save()
    assert main(["photos", "export", str(mac.folder), *mac.places]) == ExitCode.FAILED
    assert "could not get authorization" in capsys.readouterr().err


def test_folders_that_are_no_place_for_an_export(mac: Mac, capsys: pytest.CaptureFixture[str]) -> None:
    inside = mac.at / "My.photoslibrary" / "originals"
    mac.photos.save()
    assert main(["photos", "export", str(inside), *mac.places]) == ExitCode.USAGE
    assert not inside.exists()
    (mac.folder / ".osxphotos_export.db").touch()
    assert mac.export()[0] == ExitCode.USAGE
    assert main(["photos", "export", *mac.places]) == ExitCode.USAGE
    assert mac.photos.asked == []


def test_another_library_needs_another_folder(mac: Mac) -> None:
    assert mac.export("--library", str(mac.at / "a.photoslibrary"))[0] == ExitCode.OK
    assert mac.export("--library", str(mac.at / "b.photoslibrary"))[0] == ExitCode.USAGE
    assert mac.export()[0] == ExitCode.OK
    assert mac.photos.asked[-1][-2:] == ["--library", str(mac.at / "a.photoslibrary")]


def test_without_osxphotos_the_sentence_names_the_extra(
    mac: Mac, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(mac.at))
    assert main(["photos", "export", str(mac.folder), *mac.places]) == ExitCode.USAGE
    assert "dedupd[photos]" in capsys.readouterr().err


def test_what_was_moved_is_not_exported_again(moved: Mac) -> None:
    status, told = moved.export()
    assert (status, told["moved_as_duplicates"], told["photos"]) == (ExitCode.OK, 1, 1)
    assert not (moved.folder / "2024/06/IMG_1 copy.jpg").exists()


def test_what_was_put_back_is_exported_as_before(moved: Mac) -> None:
    moved.shelf.library.movement.undo(moved.shelf.library.movement.held(everything=True))
    assert moved.export()[1]["moved_as_duplicates"] == 0


# ---- album


def left_out(told: dict[str, Any]) -> str:
    (only,) = told["left_out"]
    assert told["photos"] == []
    return only["reason"]


def test_moved_duplicates_go_into_the_album(moved: Mac) -> None:
    status, told = moved.say("album", "--dry-run")
    assert (status, [p["uuid"] for p in told["photos"]], moved.photos.albums) == (ExitCode.OK, ["COPY"], {})
    status, told = moved.say("album")
    assert (status, told["added"], told["missing"]) == (ExitCode.OK, 1, [])
    assert moved.photos.albums == {ALBUM: ["COPY"]}
    status, told = moved.say("album")
    assert (status, told["added"], told["there"]) == (ExitCode.OK, 0, 1)


def test_a_photo_whose_keeper_is_gone_from_photos_is_never_proposed(moved: Mac) -> None:
    """The kept file of the export would be all that is left of it."""
    moved.photos.photos[0].in_bin = True
    status, told = moved.say("album")
    assert "not in Photos any more" in left_out(told)
    assert moved.photos.albums == {} and status == ExitCode.OK


def test_what_its_owner_has_deleted_there_needs_nothing_more(moved: Mac) -> None:
    moved.photos.photos[1].in_bin = True
    assert "not in Photos any more" in left_out(moved.say("album")[1])


def test_a_keeper_that_never_was_in_photos_stands_for_nothing_there(mac: Mac) -> None:
    mac.photos.add("IMG_1 copy.jpg", BIG, uuid="COPY")
    mac.export()
    os.utime(mac.shelf.add("2024/06/IMG_1.jpg"), ns=(1, 1))  # the older of two keeps
    mac.moves()
    assert "not exported from Photos" in left_out(mac.say("album")[1])


def test_a_keeper_that_changed_since_stands_for_nothing(moved: Mac) -> None:
    (moved.folder / "2024/06/IMG_1.jpg").write_bytes(b"another")
    assert "not there as it was seen last" in left_out(moved.say("album")[1])


def test_a_photo_with_a_part_that_stays_is_not_proposed(moved: Mac) -> None:
    edited = moved.folder / "2024/06/IMG_1 copy_edited.jpeg"
    edited.write_bytes(b"edited")
    with moved.record.work.joinpath("files.jsonl").open("a") as lines:
        lines.write(
            json.dumps(["2024/06/IMG_1 copy_edited.jpeg", "COPY", 6, edited.stat().st_mtime_ns]) + "\n"
        )
    assert "IMG_1 copy_edited.jpeg" in left_out(moved.say("album")[1])
    edited.unlink()
    assert moved.say("album")[1]["added"] == 1


@pytest.mark.parametrize("wrong", ["another size", "another time", "two photos claim it"])
def test_a_file_that_is_not_surely_a_photo_there_is_not_proposed(moved: Mac, wrong: str) -> None:
    lines = moved.record.work / "files.jsonl"
    rows = [json.loads(line) for line in lines.read_text().splitlines() if line]
    (copy,) = (row for row in rows if row[1] == "COPY")
    if wrong == "another size":
        copy[2] += 1
    elif wrong == "another time":
        copy[3] += 1
    else:
        rows.append([copy[0], "KEPT", *copy[2:]])
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "not sure" in left_out(moved.say("album")[1])


def test_two_files_of_one_photo_are_no_duplicates_there(moved: Mac) -> None:
    lines = moved.record.work / "files.jsonl"
    lines.write_text(lines.read_text().replace('"KEPT"', '"COPY"'))
    assert "same photo of Photos as the one kept" in left_out(moved.say("album")[1])


def test_what_a_purge_would_not_take_is_not_proposed(mac: Mac) -> None:
    """What it holds was never compared with its keeper: by an older dedupd, say."""
    mac.photos.add("IMG_1.jpg", BIG, uuid="KEPT")
    mac.photos.add("IMG_2.jpg", SMALL, uuid="COPY")
    mac.export()
    mac.moves()
    assert "never compared" in left_out(mac.say("album")[1])


def test_what_photos_does_not_take_is_told(mac: Mac) -> None:
    """Photos adds none without a word, or fails for one: the others still come in, and the album is read again."""
    for number in range(4):
        mac.photos.add(f"IMG_{number}0.jpg", pseudo_photo(f"scene {number}"), uuid=f"KEPT{number}")
        mac.photos.add(f"IMG_{number}0 copy.jpg", pseudo_photo(f"scene {number}"), uuid=f"COPY{number}")
    mac.export()
    mac.moves()
    mac.photos.silent, mac.photos.refused = {"COPY1"}, {"COPY2"}
    status, told = mac.say("album")
    assert (status, told["missing"], told["added"]) == (ExitCode.FAILED, ["COPY1", "COPY2"], 2)
    assert len(told["problems"]) == 1
    mac.photos.silent, mac.photos.refused = set(), set()
    status, told = mac.say("album")
    assert (status, told["added"], told["there"]) == (ExitCode.OK, 2, 2)


def test_what_is_no_duplicate_any_more_is_told_before_it_is_deleted(moved: Mac) -> None:
    moved.say("album")
    moved.shelf.library.movement.undo(moved.shelf.library.movement.held(everything=True))
    status, told = moved.say("album")
    assert (status, told["not_duplicates"]) == (ExitCode.FAILED, ["COPY"])


def test_a_photo_that_is_kept_elsewhere_is_not_proposed() -> None:
    """Each the keeper of the other: deleting both would be the end of it."""
    rows = [AlbumPair(path="a", uuid="A", keeper="B"), AlbumPair(path="b", uuid="B", keeper="A")]
    going, left = for_the_album(rows, {"A", "B"})
    assert going == [] and len(left) == 2


def test_an_accent_is_one_name_in_every_spelling() -> None:
    exports = Exports([ExportedFile(path="/x/Caf\u00e9.jpg", uuid="A", size=1, mtime_ns=2)])
    found = exports.photo_of("/x/Cafe\u0301.jpg", 1, 2)
    assert found is not None and found.uuid == "A"


def test_a_library_that_cannot_be_read_ends_it(moved: Mac) -> None:
    moved.photos.program.write_text("#!/bin/sh\necho no access; exit 1\n")
    with pytest.raises(PhotosError, match="no access"):
        OsxPhotos().alive(["COPY"], moved.record.work)
