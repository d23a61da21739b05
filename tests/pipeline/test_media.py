"""Media that nobody decodes: the same bytes are the same bytes, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dedupd.core.photo import FileState
from dedupd.pipeline.ingest import readmit_media
from dedupd.pipeline.review import status_view
from tests.support.media import avi, jxl, mkv, mp4, mts, raw
from tests.support.pictures import picture, save
from tests.support.shelf import Shelf


def put(shelf: Shelf, path: str, data: bytes) -> Path:
    at = shelf.path(path)
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_bytes(data)
    return at


def states(shelf: Shelf) -> dict[str, str]:
    return {f.path: f.state for f in shelf.ledger.files.of_root(shelf.row.id)}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.dng", raw()), ("a.NEF", raw()), ("a.cr3", mp4(brand=b"crx ")), ("a.jxl", jxl()), ("a.mp4", mp4()),
        ("a.mov", mp4(brand=b"qt  ")), ("a.avi", avi()), ("a.MTS", mts()), ("a.mkv", mkv()), ("a.mp4", mp4()[:5000]),
        ("MVIMG_20240601_120000", mp4()),
    ],
)  # fmt: skip
def test_twins_move_and_come_back(shelf: Shelf, name: str, data: bytes) -> None:
    """Cut short or not: what nobody decodes is known by its bytes."""
    put(shelf, f"2024/06/{name}", data)
    put(shelf, f"2024/06/b/{name}", data)
    before = shelf.census()
    assert shelf.pass_().files == 1
    assert shelf.files() == {f"2024/06/{name}", f"2024/06/duplicates/b/{name}"}
    assert shelf.group().members[0].relation == "exact" and shelf.census() == before
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert set(states(shelf).values()) == {"undecoded"}
    for _ in range(2):
        assert shelf.pass_().files == 0
    assert states(shelf) == {f"2024/06/{name}": "undecoded", f"2024/06/b/{name}": "undecoded"}


@pytest.mark.parametrize("name", ["a.pdf", "a.zip", "a.docx", "a.txt", "a.exe", "a.psd", "a.svg", "a"])
@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"PK\3\4" + bytes(40), mp4(), raw()])
def test_documents_never_move_whatever_they_hold(shelf: Shelf, name: str, data: bytes) -> None:
    put(shelf, f"2024/06/{name}", data)
    put(shelf, f"2024/06/b/{name}", data)
    assert shelf.pass_().files == 0
    assert set(states(shelf).values()) == {"skipped"} and shelf.views() == []


def test_a_name_that_says_otherwise_is_left_alone(shelf: Shelf) -> None:
    """A video named .jpg stays beside its twin; a zip named .mp4 too; a photo named .mp4 is the photo it is."""
    put(shelf, "2024/06/a.mp4", mp4())
    put(shelf, "2024/06/b.jpg", mp4())
    put(shelf, "2024/06/c.mp4", b"PK\3\4" + bytes(40))
    put(shelf, "2024/06/d.mp4", b"PK\3\4" + bytes(40))
    shelf.add("2024/06/e.jpg", "lake")
    shelf.add("2024/06/f.mp4", "lake")
    assert shelf.pass_().files == 1
    assert {p for p in shelf.files() if "duplicates" in p} == {"2024/06/duplicates/f.mp4"}
    assert {p for p, state in states(shelf).items() if state == "skipped"} == {
        "2024/06/b.jpg", "2024/06/c.mp4", "2024/06/d.mp4",
    }  # fmt: skip


def test_a_raw_beside_its_jpeg_goes_with_it_alone(shelf: Shelf) -> None:
    for folder in ("2024/06", "2024/06/b"):
        put(shelf, f"{folder}/a.dng", raw())
    shelf.add("2024/06/a.jpg")
    shelf.add("2024/06/b/a.jpg", "another")
    assert shelf.pass_().files == 0
    assert states(shelf)["2024/06/b/a.dng"] == FileState.COMPANION
    shelf.add("2024/06/b/a.jpg")
    assert shelf.pass_().files == 2
    assert {p for p in shelf.files() if "duplicates" in p} == {
        "2024/06/duplicates/b/a.jpg", "2024/06/duplicates/b/a.dng",
    }  # fmt: skip


@pytest.mark.parametrize("policy", ["best", "newest", "oldest", "lexi", "largest"])
@pytest.mark.parametrize("clip_first", [True, False])
def test_a_lone_twin_of_a_clip_moves_beside_it_and_the_clip_never(
    shelf: Shelf, policy: str, clip_first: bool
) -> None:
    shelf.again(keep_policy=policy)
    if not clip_first:
        put(shelf, "2024/06/a.mov", mp4(brand=b"qt  "))
        shelf.pass_()
    shelf.add("2024/06/z/IMG_1.heic", format="HEIF")
    put(shelf, "2024/06/z/IMG_1.MOV", mp4(brand=b"qt  "))
    shelf.pass_()
    if clip_first:
        put(shelf, "2024/06/a.mov", mp4(brand=b"qt  "))
        shelf.pass_()
    assert shelf.files() == {"2024/06/z/IMG_1.heic", "2024/06/z/IMG_1.MOV", "2024/06/duplicates/a.mov"}
    (view,) = shelf.views()
    assert (view.keep, view.month) == ("2024/06/z/IMG_1.MOV", "2024-06")
    assert "belongs to 'IMG_1.heic'" in view.reasons
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert "2024/06/a.mov" in shelf.files()
    assert shelf.pass_().files == 0


def test_two_photos_with_one_clip_are_no_reason_to_move_a_clip(shelf: Shelf) -> None:
    for name, scene in (("IMG_1", "lake"), ("IMG_2", "hill")):
        shelf.add(f"2024/06/{name}.jpg", scene)
        put(shelf, f"2024/06/{name}.mov", mp4())
    put(shelf, "2024/06/lone.mov", mp4())
    shelf.look()
    assert shelf.proposals().keys() == {"2024/06/lone.mov"}
    assert [len(view.review) for view in shelf.views()] == [0]
    assert shelf.pass_().files == 1


def test_a_clip_that_keeps_copies_stays_and_so_does_its_photo(shelf: Shelf) -> None:
    shelf.add("2024/06/b/IMG_1.jpg", rendering="small", width=800, height=600)
    put(shelf, "2024/06/b/IMG_1.mov", mp4())
    put(shelf, "2024/06/lone.mov", mp4())
    assert shelf.pass_().files == 1
    shelf.add("2024/06/IMG_1.jpg")
    put(shelf, "2024/06/IMG_1.mov", mp4())
    assert shelf.pass_().files == 0
    why = [m.why for g in shelf.ledger.groups.all() for m in g.members if m.role == "review"]
    assert why == ["'IMG_1.mov' belongs to it and keeps copies in duplicates/"]


def test_a_copy_comes_back_when_the_clip_that_keeps_it_goes_or_changes(shelf: Shelf) -> None:
    shelf.add("2024/06/z/IMG_1.jpg")
    clip = put(shelf, "2024/06/z/IMG_1.mov", mp4())
    put(shelf, "2024/06/lone.mov", mp4())
    assert shelf.pass_().files == 1
    clip.write_bytes(mp4(2))
    shelf.pass_()
    shelf.pass_()
    assert shelf.path("2024/06/lone.mov").read_bytes() == mp4()


def test_what_stands_beside_a_video_goes_with_it(shelf: Shelf) -> None:
    put(shelf, "2024/06/best/VID_1.mp4", mp4())
    put(shelf, "2024/06/b/VID_1.mp4", mp4())
    for n, name in enumerate(("VID_1.mp4.json", "VID_1.xmp")):
        put(shelf, f"2024/06/b/{name}", b"about it %d" % n)
    shelf.again(protected=(shelf.root / "2024/06/best",))
    assert shelf.pass_().files == 3
    assert {p for p in shelf.files() if "duplicates" not in p} == {"2024/06/best/VID_1.mp4"}


def test_a_clip_that_may_belong_to_two_photos_stays(shelf: Shelf) -> None:
    shelf.add("2024/06/IMG_1.jpg")
    shelf.add("2024/06/IMG_1.png", "another")
    put(shelf, "2024/06/IMG_1.mov", mp4())
    put(shelf, "2024/06/a/film.mov", mp4())
    shelf.again(protected=(shelf.root / "2024/06/a",))
    assert shelf.pass_().files == 0
    assert shelf.member().why == "IMG_1.mov could belong to more than one photo"


def test_the_index_is_never_asked_for_them(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def missing(contents: Sequence[str]) -> list[str]:
        asked.extend(contents)
        return [content for content in contents if content not in shelf.vision.index]

    monkeypatch.setattr(shelf.vision, "missing", missing)
    put(shelf, "2024/06/a.mp4", mp4())
    put(shelf, "2024/06/b.mp4", mp4(2))
    shelf.add("2024/06/a.jpg")
    shelf.look()
    looked = list(shelf.vision.looked)
    assert len(shelf.vision.index) == len(shelf.ledger.contents.live()) == 1
    for _ in range(2):
        shelf.again()
        shelf.pass_()
        shelf.library.grouper.regroup(everything=True)
    assert shelf.vision.looked == looked and set(asked) == set(shelf.vision.index)
    shelf.library.scan(dry_run=True)
    for name, seed in (
        ("c.mp4", 3),
        ("d.mp4", 4),
    ):  # once the index is known to be whole, what is new is asked about
        put(shelf, f"2024/06/{name}", mp4(seed))
        shelf.add(f"2024/06/new {seed}.jpg", f"scene {seed}")
        shelf.pass_()
    assert set(asked) == set(shelf.vision.index)


def test_clips_are_read_only_when_something_that_stands_alone_is_as_large(shelf: Shelf) -> None:
    for n in range(4):
        shelf.add(f"2024/06/IMG_{n}.jpg", f"scene {n}")
        put(shelf, f"2024/06/IMG_{n}.mov", mp4(n, size=1000 + n))
    shelf.pass_()
    assert len(shelf.vision.looked) == 4
    put(shelf, "2024/06/lone.mov", mp4(7, size=1002))
    for _ in range(3):
        shelf.pass_()
    assert len(shelf.vision.looked) == 6
    put(shelf, "2024/06/lone2.mov", mp4(2, size=1002))
    assert shelf.pass_().files == 1


def test_a_clip_in_the_cloud_is_asked_about_once(shelf: Shelf) -> None:
    shelf.add("2024/06/IMG_1.jpg")
    clip = put(shelf, "2024/06/IMG_1.mov", mp4())
    put(shelf, "2024/06/lone.mov", mp4())
    shelf.vision.clouds = {"IMG_1.mov"}
    for _ in range(3):
        assert shelf.pass_().files == 0
    assert len(shelf.vision.looked) == 3
    shelf.vision.clouds = set()
    clip.chmod(0o600)  # a download changes ctime at least
    assert shelf.pass_().files == 1


def test_a_companion_whose_bytes_are_in_the_cloud_is_not_opened(shelf: Shelf) -> None:
    for folder in ("2024/06", "2024/06/b"):
        shelf.add(f"{folder}/IMG_1.jpg")
        put(shelf, f"{folder}/IMG_1.mov", b"")
        os.truncate(shelf.path(f"{folder}/IMG_1.mov"), 1 << 20)
    assert shelf.pass_().files == 0
    assert "in the cloud only" in shelf.member().why
    rows = shelf.ledger.files.of_root(shelf.row.id)
    assert {f.content for f in rows if f.path.endswith("mov")} == {None}


def test_what_is_counted(shelf: Shelf) -> None:
    """`total_images` and `photos`: pictures that were seen. Videos and RAW are none, and are left alone no more."""
    for name in ("a.mp4", "b.mp4"):
        put(shelf, f"2024/06/{name}", mp4())
    put(shelf, "2024/06/c.dng", raw())
    put(shelf, "2024/06/notes.txt", b"notes")
    shelf.add("2024/06/e.jpg", "lake")
    shelf.add("2024/06/f.jpg", "lake")
    outcome = shelf.library.scan(yes=True)
    assert outcome.report["total_images"] == 2
    assert (outcome.report["total_duplicates"], outcome.report["duplicate_groups"]) == (2, 2)
    skipped = {entry["path"]: entry["reason"] for entry in outcome.report["skipped"]}
    assert skipped == {
        "2024/06/notes.txt": "not a picture dedupd reads",
        "2024/06/c.dng": "compared by its bytes alone (raw photo: pip install 'dedupd[raw]' to have it decoded)",
    }
    status = status_view(shelf.ledger, shelf.library.roots.all, daemon="stopped", now=0.0)
    assert (status.photos, status.undecoded, status.skipped) == (1, 2, 1)
    assert outcome.months[0].line == "Moved 2 duplicate files from 2 group(s) in 2024/06."
    (month,) = shelf.library.reviewer.months()
    assert (month.photos, month.moved) == (1, 2)


def test_a_month_of_a_video_comes_from_folder_name_or_time(shelf: Shelf) -> None:
    put(shelf, "2024/06/a.mp4", mp4(1))
    put(shelf, "VID_20230501_120000.mp4", mp4(2))
    os.utime(put(shelf, "c.mp4", mp4(3)), (1_600_000_000, 1_600_000_000))
    shelf.look()
    found = {f.path: (f.month, f.month_source) for f in shelf.ledger.files.of_root(shelf.row.id)}
    assert found == {
        "2024/06/a.mp4": ("2024-06", "folder"),
        "VID_20230501_120000.mp4": ("2023-05", "name"),
        "c.mp4": ("2020-09", "mtime"),
    }


def test_a_group_shows_what_they_are(shelf: Shelf) -> None:
    for name in ("a.mp4", "b.mp4"):
        put(shelf, f"2024/06/{name}", mp4())
    shelf.look()
    detail = shelf.library.reviewer.detail(shelf.group())
    assert detail is not None
    assert [(p.format, p.width) for p in detail.photos] == [("MP4 video", 0)] * 2
    assert shelf.library.thumbnails([p.file for p in detail.photos]) == {}


def test_a_ledger_of_before_learns_of_them_once(shelf: Shelf) -> None:
    """An older dedupd wrote them down as left alone, documents too."""
    for name, data in (
        ("a.mp4", mp4()),
        ("b.mp4", mp4()),
        ("a.dng", raw()),
        ("a.pdf", b"%PDF"),
        ("z.jpg", b"?"),
    ):
        put(shelf, f"2024/06/{name}", data)
    shelf.library.roots.reconcile()
    with shelf.ledger.transaction():
        for file in shelf.ledger.files.of_root(shelf.row.id):
            why = "raw photo, not decoded yet" if file.path.endswith("dng") else "not a picture dedupd reads"
            shelf.ledger.files.skipped(file.id, why, "")
    assert shelf.pass_().files == 1
    assert {p: s for p, s in states(shelf).items() if s == "skipped"}.keys() == {
        "2024/06/a.pdf",
        "2024/06/z.jpg",
    }
    looked = len(shelf.vision.looked)
    readmit_media(shelf.ledger)
    shelf.pass_()
    assert looked == len(shelf.vision.looked) == 3


def test_with_the_extra_that_decodes_them_they_are_looked_at_once_more(shelf: Shelf) -> None:
    """And its keeper keeps what it keeps meanwhile."""
    for name, data in (("a.dng", raw()), ("b/a.dng", raw()), ("c.mp4", mp4())):
        put(shelf, f"2024/06/{name}", data)
    assert shelf.pass_().files == 1
    shelf.vision.installed = "rawpy/1"
    looked = len(shelf.vision.looked)
    for _ in range(2):
        assert shelf.pass_().files == 0
        assert states(shelf)["2024/06/a.dng"] == "indexed"
    assert shelf.files() == {"2024/06/a.dng", "2024/06/duplicates/b/a.dng", "2024/06/c.mp4"}
    assert len(shelf.vision.looked) == looked + 1


def test_a_decoded_picture_never_gives_way_to_what_nobody_decodes(shelf: Shelf) -> None:
    """One content, seen as a picture under one name and read under the other: neither moves by itself."""
    for name in ("a.dng", "b.jpg"):
        shelf.add(f"2024/06/{name}")
    shelf.look()
    rows = {f.path: f for f in shelf.ledger.files.of_root(shelf.row.id)}
    content = rows["2024/06/a.dng"].content or ""
    with shelf.ledger.transaction():
        shelf.ledger.files.read(rows["2024/06/a.dng"].id, FileState.UNDECODED, content, "2024-06", "folder")
        shelf.ledger.months.mark_changed(shelf.row.id, "2024-06", 0.0)
    shelf.library.grouper.regroup()
    assert shelf.library.movement.move(yes=True).files == 0


def test_real_eyes_read_them_to_the_end(tmp_path: Path) -> None:
    """The worker itself, with real pictures beside."""
    from dedupd import Library

    root = tmp_path / "Pictures/2024/06"
    for name, data in (
        ("a.mov", mp4()),
        ("b/a.mov", mp4()),
        ("c.dng", raw()),
        ("b/c.dng", raw()),
        ("d.jpg", mp4()),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    save(root / "IMG_1.jpg", picture(1))
    (root / "IMG_1.MOV").write_bytes(mp4(3))
    (root / "lone.mov").write_bytes(mp4(3))
    (root / "e.mp4").write_bytes((root / "IMG_1.jpg").read_bytes())
    (root / "cloud.mp4").touch()
    os.truncate(root / "cloud.mp4", 1 << 20)
    with Library.open([tmp_path / "Pictures"], state_dir=tmp_path / "state", embedder="hashes") as library:
        report = library.scan(yes=True).report
    moved = {path: group["keep"] for group in report["groups"] for path in group["moved_to"]}
    assert moved == {
        "2024/06/b/a.mov": "2024/06/a.mov", "2024/06/b/c.dng": "2024/06/c.dng",
        "2024/06/lone.mov": "2024/06/IMG_1.MOV", "2024/06/e.mp4": "2024/06/IMG_1.jpg",
    }  # fmt: skip
    assert {entry["path"]: entry["reason"] for entry in report["skipped"]} == {
        "2024/06/d.jpg": "not a picture dedupd reads", "2024/06/cloud.mp4": "cloud placeholder",
        "2024/06/c.dng": "compared by its bytes alone (raw photo of a kind that rawpy does not decode)",
    }  # fmt: skip
