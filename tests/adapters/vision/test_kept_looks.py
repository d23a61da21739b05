"""Pictures that are kept for the first look at a pair: they spare a decode, and are never what is acted on."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.vision import indexing, kept_looks, messages, proof
from dedupd.adapters.vision.decode import SHORT_SIDE, decode
from dedupd.adapters.vision.embedders.base import Shape
from dedupd.adapters.vision.kept_looks import KeptLooks, look_at, unpacked
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.adapters.vision.shapes import ShapedPictures
from dedupd.core.photo import FileStat, Measures
from dedupd.core.relations import Prospect
from dedupd.errors import VisionError
from tests.support.media import heic_sequence
from tests.support.pictures import picture, wide_profile

SIZE = (1600, 1200)
A, B = "a" * 64, "b" * 64
NOT_ASKED = Prospect(asked=False, by_hashes=False)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptLooks:
    monkeypatch.setattr(kept_looks, "LEAST_FREE", 0)  # of whatever disk the tests run on
    return KeptLooks(tmp_path / "index", RECIPE)


def content_of(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()


def look_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return look_at(decode(file, os.fspath(path), short_side=SHORT_SIDE))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def keep(kept: KeptLooks, *paths: Path) -> None:
    for path in paths:
        kept.keep(content_of(path), look_of(path))


def measured(
    a: Path,
    b: Path,
    kept: KeptLooks | None,
    may: Prospect = NOT_ASKED,
) -> Measures:
    pair = messages.PairToProve(
        key=0, a=content_of(a), b=content_of(b), path_a=os.fsencode(a), path_b=os.fsencode(b), may=may
    )
    answer = proof.prove(pair, proof.PairPictures(kept=kept))
    assert answer.measures is not None, answer.error
    return answer.measures


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were decoded for a pair."""
    names, really = list[str](), proof.decode

    def counted(file: Any, path: str, **how: Any) -> Any:
        names.append(os.path.basename(path))
        return really(file, path, **how)

    monkeypatch.setattr(proof, "decode", counted)
    return names


@pytest.fixture
def strangers(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one.jpg", tmp_path / "other.jpg"
    picture(1, SIZE).save(one, quality=92)
    picture(2, SIZE).save(other, quality=92)
    return one, other


def test_two_photos_with_kept_pictures_are_told_apart_without_decoding_them(
    kept: KeptLooks, strangers: tuple[Path, Path], decoded: list[str]
) -> None:
    keep(kept, *strangers)
    found = measured(*strangers, kept)
    assert decoded == []
    assert found.fine_worst is None
    assert found == measured(*strangers, None), "it is the same whether they were kept or not"
    assert len(decoded) == 2


def test_what_they_hold_is_told_as_after_decoding_them(
    kept: KeptLooks, strangers: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = strangers[1].with_name("wide.jpg")
    exif = Image.Exif()
    exif[0x010E] = "At the lake"
    picture(2, SIZE).save(wide, quality=92, icc_profile=wide_profile(), exif=exif)
    keep(kept, strangers[0], wide)
    told = measured(strangers[0], wide, kept)
    monkeypatch.setattr(proof, "_at_a_glance", lambda pair, gallery: None)
    full = measured(strangers[0], wide, kept)
    for mine, its in ((told.holds_a, full.holds_a), (told.holds_b, full.holds_b)):
        assert mine is not None and its is not None
        assert mine.beyond_srgb == pytest.approx(its.beyond_srgb, abs=0.02)
        of_pixels = {"beyond_srgb": 0.0, "colour": 0.0, "tint": 0.0, "framed": 0.0}
        assert replace(mine, **of_pixels) == replace(its, **of_pixels)
    assert max(h.beyond_srgb for h in (told.holds_a, told.holds_b) if h) > 0.01
    assert {h.says for h in (told.holds_a, told.holds_b) if h} == {(), ("caption",)}


def test_a_copy_is_measured_on_its_files_alone(kept: KeptLooks, tmp_path: Path, decoded: list[str]) -> None:
    """Whatever was kept: here two pictures of something else."""
    original, copy = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture(1, SIZE).save(original, quality=95)
    picture(1, SIZE).save(copy, quality=70)
    without = measured(original, copy, None)
    assert without.fine_worst is not None
    keep(kept, original, copy)
    decoded.clear()
    assert measured(original, copy, kept) == without
    assert set(decoded) == {"a.jpg", "b.jpg"}
    picture(1, SIZE).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "c.jpg", quality=30)
    for path in (original, copy):
        kept.keep(content_of(path), look_of(tmp_path / "c.jpg"))
    assert measured(original, copy, kept) == without


@pytest.mark.parametrize(
    ("may", "reads"),
    [
        (replace(NOT_ASKED, burst=True, moment=True), 2),
        (Prospect(likely=True), 2),
        (replace(NOT_ASKED, moment=True), 0),
        (NOT_ASKED, 0),
    ],
)
def test_shots_of_one_moment_and_likely_copies_are_decoded_at_once(
    kept: KeptLooks, strangers: tuple[Path, Path], decoded: list[str], may: Prospect, reads: int
) -> None:
    keep(kept, *strangers)
    measured(*strangers, kept, may=may)
    assert len(decoded) == reads


@pytest.mark.parametrize(("moment", "reads"), [(True, 2), (False, 0)])
def test_what_may_be_a_burst_is_never_settled_by_kept_pictures(
    kept: KeptLooks, strangers: tuple[Path, Path], decoded: list[str], moment: bool, reads: int
) -> None:
    one, other = strangers
    shown = Image.open(one)
    shown.paste(picture(9, (260, 260)), (300, 300))  # somebody came into the picture
    shown.save(other, quality=92)
    keep(kept, one, other)
    measured(one, other, kept, may=replace(NOT_ASKED, moment=moment))
    assert len(decoded) == reads


def test_a_changed_file_is_not_measured_by_what_was_kept_of_it(
    kept: KeptLooks, strangers: tuple[Path, Path]
) -> None:
    keep(kept, *strangers)
    one, other = strangers
    pair = messages.PairToProve(
        key=0, a=content_of(one), b=content_of(other), path_a=os.fsencode(one), path_b=os.fsencode(other)
    )
    picture(3, SIZE).save(one)
    assert "changed" in proof.prove(pair, proof.PairPictures(kept=kept)).error
    one.unlink()
    assert "no longer there" in proof.prove(pair, proof.PairPictures(kept=kept)).error


@pytest.mark.parametrize("damage", [b"", b"\0" * 4000, b"cut"])
def test_a_damaged_one_is_made_again(kept: KeptLooks, strangers: tuple[Path, Path], damage: bytes) -> None:
    keep(kept, *strangers)
    found = measured(*strangers, kept)
    whole = {path: path.read_bytes() for path in files_in(kept._folder)}
    for path, look in whole.items():
        path.write_bytes(look[:3000] if damage == b"cut" else damage)
    assert kept.of(content_of(strangers[0])) is None
    assert measured(*strangers, kept) == found
    assert {path: path.read_bytes() for path in files_in(kept._folder)} == whole


def test_frames_and_transparency_are_decoded_for_each_look(kept: KeptLooks, tmp_path: Path) -> None:
    moving, glass, still = (tmp_path / name for name in ("a.webp", "b.png", "c.jpg"))
    picture(1).save(moving, save_all=True, append_images=[picture(2)])
    picture(1).convert("RGBA").save(glass)
    seen = Image.open(glass)
    seen.putalpha(120)
    seen.save(glass)
    picture(1).save(still)
    keep(kept, moving, glass, still)
    rgb = {path: found.rgb for path in (moving, glass, still) if (found := kept.of(content_of(path)))}
    assert rgb[moving] is None and rgb[glass] is None
    assert rgb[still] is not None and rgb[still].shape == (300, 400, 3)
    found = measured(glass, still, kept)
    assert sorted(h.transparent for h in (found.holds_a, found.holds_b) if h) == [False, True]
    assert measured(moving, still, kept).method == "none"


def test_frames_beside_a_still_picture_prove_nothing(kept: KeptLooks, tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic_sequence(picture(1, (320, 240)), picture(2, (320, 240))))
    with (tmp_path / "a.heic").open("rb") as file:
        assert not decode(file, "a.heic", short_side=SHORT_SIDE).several, "its decoder does not tell"
    keep(kept, tmp_path / "a.heic")
    assert (
        proof.PairPictures(kept=kept).glance(os.fspath(tmp_path / "a.heic"), content_of(tmp_path / "a.heic"))
        is None
    )


def test_a_disk_that_is_nearly_full_keeps_few(kept: KeptLooks, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, most in ((kept_looks.LEAST_FREE, 200), (kept_looks.LEAST_FREE - 1, 15)):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(0, 0, free)
        )
        for number in range(200):
            kept.keep(f"00{number % 16:x}{number:061x}", b"look")
        assert len(files_in(kept._folder)) <= most
        assert most < 200 or len(files_in(kept._folder)) == 200


def test_those_kept_first_go_where_there_is_no_room(kept: KeptLooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_looks, "_MOST_IN_ONE", 10_000)
    contents = [
        f"ab{n % 10}{n:061}" for n in range(40)
    ]  # all in one folder; of every eighth on it is counted
    for at, content in enumerate(contents):
        kept.keep(content, bytes(1000))
        os.utime(kept._path(content), ns=(at, at))
    there = {path.name for path in files_in(kept._folder)}
    assert 10 <= len(there) <= 18
    assert there == set(contents[-len(there) :])
    kept.keep_where_room_is(contents[0], bytes(1000))
    assert {path.name for path in files_in(kept._folder)} == there


def test_they_are_private_and_go_with_their_photos(kept: KeptLooks, strangers: tuple[Path, Path]) -> None:
    before = os.umask(0o022)
    try:
        keep(kept, *strangers)
    finally:
        os.umask(before)
    folders = {kept._folder, *(path.parent for path in files_in(kept._folder))}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in files_in(kept._folder)} == {0o600}
    kept.remove([content_of(strangers[0]), A])
    assert [path.name for path in files_in(kept._folder)] == [content_of(strangers[1])]


def test_a_disk_that_refuses_keeps_nothing_up(
    kept: KeptLooks, monkeypatch: pytest.MonkeyPatch, strangers: tuple[Path, Path]
) -> None:
    def refused(*arguments: object, **named: object) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_looks.os, "open", refused)
    monkeypatch.setattr(kept_looks.Path, "unlink", refused)
    kept.keep(A, b"look")
    kept.keep_where_room_is(A, b"look")
    kept.remove([A])
    assert kept.of(A) is None


def test_a_full_disk_is_told_once_and_not_of_each_photo(
    kept: KeptLooks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **named: object) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_looks.os, "open", full)
    monkeypatch.setattr(kept_looks.Path, "unlink", full)
    for content in (A, B, "c" * 64):
        kept.keep(content, b"look")
    kept.remove([A, B])
    assert capsys.readouterr().err.splitlines() == [
        "pictures for pairs not kept: [Errno 28] No space left on device",
        "pictures for pairs not removed: [Errno 28] No space left on device",
    ]


def test_a_link_in_the_place_of_one_is_replaced_and_not_followed(kept: KeptLooks, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"the only one")
    kept.keep(A, b"look")
    kept._path(A).unlink()
    kept._path(A).symlink_to(photo)
    kept.keep(A, b"look")
    assert photo.read_bytes() == b"the only one"
    assert not kept._path(A).is_symlink()
    assert kept._path(A).read_bytes() == b"look"


def test_a_photo_whose_row_was_not_stored_leaves_none(
    kept: KeptLooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no row is never forgotten: its picture would stay."""

    def full(rows: object) -> None:
        raise VisionError("no space")

    index, insides = (PhotoIndex(tmp_path / "index", name, RECIPE, lambda: 0) for name in ("", "inside"))
    monkeypatch.setattr(index, "add", full)
    with pytest.raises(VisionError):
        read(tmp_path / "a.jpg", index, insides, kept)
    assert files_in(kept._folder) == []


def read(
    path: Path,
    index: PhotoIndex,
    insides: PhotoIndex,
    kept: KeptLooks,
    prepares: ShapedPictures | None = None,
) -> None:
    """As the worker reads a photo."""
    picture(1, SIZE).save(path, quality=92, icc_profile=wide_profile())
    found = path.stat()
    stat = FileStat(
        size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns, dev=found.st_dev, ino=found.st_ino
    )  # fmt: skip
    with ThreadPoolExecutor(1) as decoders:
        reading = indexing.Ingester(
            index,
            insides,
            None,
            lambda: None,
            "",
            2,
            decoders,
            lambda message: None,
            preparing=lambda: prepares,
            looks=kept,
        )
        reading.ingest([messages.FileToRead(key=0, path=os.fsencode(path), stat=stat)])


def test_what_is_kept_when_a_photo_is_read_is_what_would_be_made_later(
    kept: KeptLooks, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    index, insides = (PhotoIndex(tmp_path / "index", name, RECIPE, lambda: 0) for name in ("", "inside"))
    read(path, index, insides, kept)
    (at,) = files_in(kept._folder)
    assert (at.name, at.read_bytes()) == (content_of(path), look_of(path))
    look = unpacked(at.read_bytes())
    assert look is not None and look.rgb is not None
    assert look.profile == wide_profile()


def test_a_model_that_takes_larger_pictures_leaves_them_to_be_made_when_they_are_needed(
    kept: KeptLooks, tmp_path: Path
) -> None:
    """Made of a larger picture, what is found of a pair would depend on whether they were kept."""
    index, insides = (PhotoIndex(tmp_path / "index", name, RECIPE, lambda: 0) for name in ("", "inside"))
    large = Shape(side=SHORT_SIDE + 64, fit="squash", resample="bicubic", dimensions=8)
    read(tmp_path / "a.jpg", index, insides, kept, ShapedPictures(large, large.side))
    assert index.holds(content_of(tmp_path / "a.jpg"))
    assert files_in(kept._folder) == []


def test_a_profile_that_no_camera_writes_is_not_kept(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.jpg", icc_profile=wide_profile() + bytes(70_000))
    look = unpacked(look_of(tmp_path / "a.jpg"))
    assert look is not None and look.rgb is None
    assert len(look_of(tmp_path / "a.jpg")) < 1000


def test_what_a_person_is_asked_about_is_measured_on_the_files(
    kept: KeptLooks, strangers: tuple[Path, Path], decoded: list[str]
) -> None:
    """Who says yes goes by what is shown, and then a file moves."""
    one, other = strangers
    shown = Image.open(one)
    shown.paste(picture(9, (260, 260)), (300, 300))
    shown.save(other, quality=92)
    keep(kept, one, other)
    measured(one, other, kept, may=Prospect(by_hashes=False))
    assert len(decoded) == 2


@pytest.mark.parametrize("size", [(48, 27), (400, 24)])
def test_tiny_and_narrow_pictures_are_decoded_for_each_look(
    kept: KeptLooks, strangers: tuple[Path, Path], size: tuple[int, int]
) -> None:
    """A copy of 48 px, which the files prove, was laid nowhere by its kept picture."""
    path = strangers[0].with_name("tiny.png")
    Image.open(strangers[0]).resize(size).save(path)
    keep(kept, path)
    assert proof.PairPictures(kept=kept).glance(os.fspath(path), content_of(path)) is None


def test_a_picture_with_little_texture_is_found_in_its_copy(kept: KeptLooks, tmp_path: Path) -> None:
    """Of a dark photo the kept picture is mostly what compression left: its copy was taken for another photo."""
    dark = Image.fromarray((np.asarray(picture(4, SIZE)) * 0.05).astype(np.uint8))
    dark.save(tmp_path / "a.jpg", quality=93)
    dark.resize((900, 675)).point(lambda level: min(255, round(level * 1.3))).save(
        tmp_path / "b.jpg", quality=85
    )
    one, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    keep(kept, one, other)
    pair = messages.PairToProve(
        key=0, a=content_of(one), b=content_of(other), path_a=os.fsencode(one), path_b=os.fsencode(other), may=NOT_ASKED,
    )  # fmt: skip
    assert proof._at_a_glance(pair, proof.PairPictures(kept=kept)) is None


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_folder_that_changes_or_is_closed_keeps_no_pair_from_being_measured(
    kept: KeptLooks, strangers: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    keep(kept, *strangers)
    found = measured(*strangers, kept)
    kept.remove([content_of(path) for path in strangers])

    def refused(folder: object) -> Any:
        raise error(13, "refused")

    monkeypatch.setattr(kept_looks.os, "scandir", refused)
    assert measured(*strangers, kept) == found


def test_what_has_no_kept_picture_takes_little_memory_too(
    kept: KeptLooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_GLANCES_BYTES", 3 * proof._NONE_BYTES)
    gallery = proof.PairPictures(1, kept)
    for number in range(8):
        picture(number, (64, 48)).save(tmp_path / f"{number}.png")
        path = tmp_path / f"{number}.png"
        assert gallery.glance(os.fspath(path), content_of(path)) is None
    assert len(gallery._glances._pictures) <= 4


def test_a_draft_that_a_kill_left_is_swept_at_the_next_start(kept: KeptLooks, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "grey").save(photo)
    keep(kept, photo)
    (look,) = files_in(kept._folder)
    left, under_way = look.with_name(f".{look.name}.0011.tmp"), look.with_name(f".{look.name}.2233.tmp")
    for draft in (left, under_way):
        draft.write_bytes(b"half")
    os.utime(left, (0, 0))
    os.utime(look, (0, 0))
    KeptLooks(kept._folder.parent, RECIPE)
    assert set(files_in(kept._folder)) == {look, under_way}
