"""Which names belong together, and which leave a doubt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.units import Shot, Unit, companions_in, is_edit, is_photo, is_video, travels_alone, units_in


def shape(*paths: str) -> dict[str, tuple[str, ...]]:
    """photo -> companions, for units that nothing holds back."""
    found = units_in(paths)
    assert all(not unit.stay for unit in found.values()), found
    return {photo: unit.companions for photo, unit in found.items()}


@pytest.mark.parametrize(
    ("files", "photo"),
    [
        (("IMG_1.JPG", "IMG_1.CR2"), "IMG_1.JPG"),
        (("IMG_1.jpg", "IMG_1.NEF", "IMG_1.xmp"), "IMG_1.jpg"),
        (("IMG_1.HEIC", "IMG_1.DNG"), "IMG_1.HEIC"),
        (("IMG_1.JPG", "IMG_1.CR2", "IMG_1.DNG"), "IMG_1.JPG"),
        (("IMG_1.HEIC", "IMG_1.MOV"), "IMG_1.HEIC"),
        (("IMG_1.JPG", "IMG_1.mp4"), "IMG_1.JPG"),
        (("IMG_1.HEIC", "IMG_1.MOV", "IMG_1.AAE"), "IMG_1.HEIC"),
        (("a.JPG", "a.JPG.xmp"), "a.JPG"),
        (("a.JPG", "a.xmp"), "a.JPG"),
        (("a.CR2", "a.CR2.xmp"), "a.CR2"),
        (("a.CR2", "a.JPG", "a.CR2.xmp", "a.JPG.xmp"), "a.JPG"),
        (("a.CR2", "a_01.CR2.xmp"), "a.CR2"),
        (("a.CR2", "a.CR2.pp3", "a.CR2.dop"), "a.CR2"),
        (("MVI_1.JPG", "MVI_1.THM", "MVI_1.MP4"), "MVI_1.JPG"),
        (("IMG_1234.HEIC", "IMG_E1234.JPG", "IMG_1234.AAE", "IMG_O1234.AAE"), "IMG_1234.HEIC"),
        (("IMG_1234.HEIC", "IMG_1234.MOV", "IMG_E1234.JPG", "IMG_E1234.MOV"), "IMG_1234.HEIC"),
        (("IMG_1.jpg", "IMG_1-edited.jpg"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-bearbeitet.jpg"), "IMG_1.jpg"),
        (("IMG_1(1).jpg", "IMG_1-edited(1).jpg"), "IMG_1(1).jpg"),
        (("IMG_1.HEIC", "IMG_1.mov", "IMG_1_edited.jpeg", "IMG_1_edited.mov"), "IMG_1.HEIC"),
        (("IMG_1 (1).HEIC", "IMG_1_edited (1).jpeg"), "IMG_1 (1).HEIC"),
        (("a.jpg", "a.jpg.json"), "a.jpg"),
        (("a.jpg", "a.jpg.supplemental-metadata.json"), "a.jpg"),
        (("a.jpg", "a.jpg.supplemental-meta.json"), "a.jpg"),
        (("a.jpg", "a.jpg.s.json"), "a.jpg"),
        (("a.jpg", "a.json"), "a.jpg"),
        (("a.HEIC", "a.MP4", "a.HEIC.json", "a.MP4.supplemental-metadata.json"), "a.HEIC"),
        (("a(1).jpg", "a.jpg(1).json"), "a(1).jpg"),
        (("a(1).jpg", "a.jpg.supplemental-metadata(1).json"), "a(1).jpg"),
        (("a(1).jpg", "a(1).jpg.json"), "a(1).jpg"),
        (("x" * 60 + ".jpg", "x" * 46 + ".json"), "x" * 60 + ".jpg"),
        (("img_1.jpg", "IMG_1.MOV"), "img_1.jpg"),
        (("caf\u00e9.jpg", "cafe\u0301.xmp"), "caf\u00e9.jpg"),
    ],
)
def test_belongs_together(files: tuple[str, ...], photo: str) -> None:
    assert shape(*files) == {photo: tuple(sorted(set(files) - {photo}))}


PXL = "PXL_20230501_090000000"
MVIMG = "MVIMG_20180101_120000"


@pytest.mark.parametrize(
    ("files", "photo"),
    [
        ((f"{PXL}.MP.jpg", f"{PXL}.MP"), f"{PXL}.MP.jpg"),
        ((f"{PXL}.MP.jpg", f"{PXL}.MP.mp4"), f"{PXL}.MP.jpg"),
        ((f"{PXL}.MP.jpg", f"{PXL}.mp4"), f"{PXL}.MP.jpg"),
        ((f"{PXL}.MP.heic", f"{PXL}.mp"), f"{PXL}.MP.heic"),
        ((f"{PXL}.MP.jpg", f"{PXL}.MP", f"{PXL}.MP~2.jpg"), f"{PXL}.MP.jpg"),
        ((f"{PXL}.MP.jpg", f"{PXL}.MP~2.jpg", f"{PXL}.MP~2"), f"{PXL}.MP.jpg"),
        ((f"{PXL}.MP~2.jpg", f"{PXL}.MP~2"), f"{PXL}.MP~2.jpg"),
        ((f"{PXL}.MP~2.jpg", f"{PXL}.MP"), f"{PXL}.MP~2.jpg"),
        ((f"{PXL}.MP(1).jpg", f"{PXL}(1).MP"), f"{PXL}.MP(1).jpg"),
        ((f"{PXL}.jpg", f"{PXL}.MP"), f"{PXL}.jpg"),
        ((f"{PXL}.MV.jpg", f"{PXL}.MV"), f"{PXL}.MV.jpg"),
        ((f"{PXL}.MV.jpg", f"{PXL}.mv"), f"{PXL}.MV.jpg"),
        ((f"{PXL}.MV.jpg", f"{PXL}.MV~2.jpg", f"{PXL}.MV~2"), f"{PXL}.MV.jpg"),
        ((f"{PXL}.jpg", f"{PXL}.MV"), f"{PXL}.jpg"),
        (("b.MP.jpg", "b.MP"), "b.MP.jpg"),
        ((f"{MVIMG}.jpg", MVIMG), f"{MVIMG}.jpg"),
        ((f"{MVIMG}.jpg", f"{MVIMG}.MP4"), f"{MVIMG}.jpg"),
        ((f"{MVIMG}.jpg", MVIMG, f"{MVIMG}.jpg.json"), f"{MVIMG}.jpg"),
        ((f"{MVIMG}(1).jpg", f"{MVIMG}(1)"), f"{MVIMG}(1).jpg"),
        ((f"{MVIMG}~2.jpg", MVIMG), f"{MVIMG}~2.jpg"),
    ],
)
def test_motion_clips_belong_to_their_photo(files: tuple[str, ...], photo: str) -> None:
    assert shape(*files) == {photo: tuple(sorted(set(files) - {photo}))}


@pytest.mark.parametrize(
    ("files", "photo"),
    [
        (("IMG_1234.HEIC", "IMG_1234_HEVC.MOV"), "IMG_1234.HEIC"),
        (("IMG_1234.JPG", "IMG_1234_HEVC.MOV"), "IMG_1234.JPG"),
        (("IMG_1234.HEIC", "IMG_1234.MOV", "IMG_1234_HEVC.MOV"), "IMG_1234.HEIC"),
        (("IMG_1234.HEIC", "img_1234_hevc.mov"), "IMG_1234.HEIC"),
        (("IMG_1234.HEIC", "IMG_E1234.HEIC"), "IMG_1234.HEIC"),
        (("IMG_1234.HEIC", "IMG_E1234.MOV"), "IMG_1234.HEIC"),
        (("IMG_1234.HEIC", "IMG_E1234.JPG", "IMG_E1234_HEVC.MOV"), "IMG_1234.HEIC"),
        (("IMG_1234 (1).HEIC", "IMG_E1234 (1).JPG"), "IMG_1234 (1).HEIC"),
    ],
)
def test_apples_edits_and_clips_belong_to_their_photo(files: tuple[str, ...], photo: str) -> None:
    assert shape(*files) == {photo: tuple(sorted(set(files) - {photo}))}


@pytest.mark.parametrize(
    ("files", "photo"),
    [
        ((f"{PXL}.RAW-01.COVER.jpg", f"{PXL}.RAW-02.ORIGINAL.dng"), f"{PXL}.RAW-01.COVER.jpg"),
        ((f"{PXL}.RAW-01.MP.COVER.jpg", f"{PXL}.RAW-02.ORIGINAL.dng"), f"{PXL}.RAW-01.MP.COVER.jpg"),
        ((f"{PXL}.RAW-01.COVER.jpg", f"{PXL}.RAW-02.ORIGINAL.DNG", f"{PXL}.mp4"), f"{PXL}.RAW-01.COVER.jpg"),
        ((f"{PXL}.PORTRAIT-01.COVER.jpg", f"{PXL}.PORTRAIT-02.ORIGINAL.jpg"), f"{PXL}.PORTRAIT-01.COVER.jpg"),
        ((f"{PXL}.PORTRAIT.jpg", f"{PXL}.PORTRAIT.ORIGINAL.jpg"), f"{PXL}.PORTRAIT.jpg"),
        ((f"{PXL}.PORTRAIT-01.COVER.jpg", f"{PXL}.PORTRAIT-01.COVER-edited.jpg"), f"{PXL}.PORTRAIT-01.COVER.jpg"),
        ((f"{PXL}.NIGHT.jpg", f"{PXL}.NIGHT.jpg.json"), f"{PXL}.NIGHT.jpg"),
        ((f"{PXL}.jpg", f"{PXL}.LS.mp4"), f"{PXL}.jpg"),
        ((f"{PXL}.NIGHT.jpg", f"{PXL}.LS.mp4"), f"{PXL}.NIGHT.jpg"),
    ],
)  # fmt: skip
def test_what_a_pixel_made_of_one_shot_belongs_together(files: tuple[str, ...], photo: str) -> None:
    assert shape(*files) == {photo: tuple(sorted(set(files) - {photo}))}


def test_the_original_of_a_portrait_is_a_picture_and_that_of_a_raw_is_not() -> None:
    portrait = (f"{PXL}.PORTRAIT-01.COVER.jpg", f"{PXL}.PORTRAIT-02.ORIGINAL.jpg")
    assert units_in(portrait)[portrait[0]].edits == portrait[1:]
    raw = (f"{PXL}.RAW-01.COVER.jpg", f"{PXL}.RAW-02.ORIGINAL.dng")
    assert units_in(raw)[raw[0]].edits == ()


@pytest.mark.parametrize(
    ("files", "photo"),
    [
        (("IMG_1.jpg", "IMG_1-編集済み.jpg"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-ha editado.jpg"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-edytowane.jpg"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-modificato.jpg", "IMG_1.jpg.json"), "IMG_1.jpg"),
        (("IMG_1(1).jpg", "IMG_1(1)-edited.jpg"), "IMG_1(1).jpg"),
        (("é" * 42 + ".jpg", "é" * 42 + "-edit.jpg"), "é" * 42 + ".jpg"),
        (("x" * 45 + ".jpg", "x" * 45 + "-e.jpg"), "x" * 45 + ".jpg"),
        (("x" * 46 + ".jpg", "x" * 46 + "-.jpg"), "x" * 46 + ".jpg"),
        (("x" * 41 + "(1).jpg", "x" * 41 + "-bearb(1).jpg"), "x" * 41 + "(1).jpg"),
        # Google describes the original and not the edit: whatever the word is.
        (("IMG_1.jpg", "IMG_1-muokattu.jpg", "IMG_1.jpg.json"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-отредактировано.jpg", "IMG_1.jpg.supplemental-metadata.json"), "IMG_1.jpg"),
        (("IMG_1.jpg", "IMG_1-संपादित.jpg", "IMG_1.jpg.s.json"), "IMG_1.jpg"),
        (("IMG_1(1).jpg", "IMG_1-muokattu(1).jpg", "IMG_1.jpg(1).json"), "IMG_1(1).jpg"),
        (("x" * 43 + ".jpg", "x" * 43 + "-muo.jpg", "x" * 43 + ".jp.json"), "x" * 43 + ".jpg"),
        (("IMG_1.jpg", "IMG_1~2.jpg", "IMG_1.jpg.json"), "IMG_1.jpg"),
    ],
)
def test_googles_edits_belong_to_their_original(files: tuple[str, ...], photo: str) -> None:
    assert shape(*files) == {photo: tuple(sorted(set(files) - {photo}))}


@pytest.mark.parametrize(
    ("original", "version"),
    [
        ("IMG_1.jpg", "IMG_1-muokattu.jpg"),
        ("IMG_1.jpg", "IMG_1-отредактировано.jpg"),
        ("IMG_1.jpg", "IMG_1-संपादित.jpg"),
        ("IMG_1.jpg", "IMG_1-đã chỉnh sửa.jpg"),
        ("IMG_1(1).jpg", "IMG_1-muokattu(1).jpg"),
        ("IMG_1.HEIC", "img_1-muokattu.jpg"),
        ("caf\u00e9.jpg", "cafe\u0301-upraveno.jpg"),
        ("cafe\u0301.jpg", "caf\u00e9-e\u0301dite\u0301.jpg"),
        ("IMG_1.jpg", "IMG_1~2.jpg"),
        (f"{PXL}.jpg", f"{PXL}~2.jpg"),
        (f"{PXL}.PANO.jpg", f"{PXL}.PANO~2.jpg"),
        (f"{MVIMG}.jpg", f"{MVIMG}~2.jpg"),
        ("anna.jpg", "anna-maria.jpg"),
    ],
)
def test_a_name_proposes_an_edit(original: str, version: str) -> None:
    found = units_in([version, original])
    assert (found[original].versions, found[version].originals) == ((version,), (original,))
    assert not found[original].companions and not found[original].stay


@pytest.mark.parametrize(
    "version",
    [
        "IMG_1-2.jpg",
        "IMG_1-copy.jpg",
        "IMG_1-Kopie.jpg",
        "IMG_1-.jpg",
        "IMG_1(1).jpg",
        "IMG_1-a_b.jpg",
        "IMG_1 b.jpg",
    ],
)
def test_a_name_proposes_no_edit(version: str) -> None:
    assert not any(unit.versions or unit.originals for unit in units_in(["IMG_1.jpg", version]).values())


def test_a_photo_that_google_describes_is_no_edit_by_its_name() -> None:
    files = ("IMG_1.jpg", "IMG_1.jpg.json", "IMG_1-muokattu.jpg", "IMG_1-muokattu.jpg.json")
    assert set(units_in(files)) == {"IMG_1.jpg", "IMG_1-muokattu.jpg"}


def test_an_edit_is_another_file_of_the_same_shot() -> None:
    original = Shot(content="a", captured=100.25, camera="Maker|Model")
    assert is_edit(original, Shot(content="b", captured=100.0, camera="Maker|Model"))
    for other in (
        Shot(content="a", captured=100.25, camera="Maker|Model"),
        Shot(content="b", captured=102.0, camera="Maker|Model"),
        Shot(content="b", captured=100.25, camera="Maker|Other"),
        Shot(content="b", captured=None, camera="Maker|Model"),
    ):
        assert is_edit(original, other) is False
    nobody = Shot(content="b", captured=100.25, camera="")
    assert (
        is_edit(nobody, nobody) is False
        and is_edit(Shot(content="a", captured=100.25, camera=""), nobody) is False
    )
    assert is_edit(original, None) is None and is_edit(None, original) is None


def test_both_unicode_forms_pair_alike_and_mixed() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for stem, other in ((composed, decomposed), (decomposed, composed)):
        files = (
            f"{stem}.MP.jpg", f"{other}.MP", f"{other}.MP~2.jpg", f"{stem}.MP.jpg.json", f"{other}.MP-bearbeitet.jpg",
        )  # fmt: skip
        assert shape(*files) == {files[0]: tuple(sorted(files[1:]))}


def test_googles_cut_counts_letters_and_not_their_parts() -> None:
    """Thirty letters are no name that was cut at 46, though they are sixty when accents stand apart."""
    assert shape("\u00e9" * 30 + "b.jpg", "e\u0301" * 30 + ".json") == {"\u00e9" * 30 + "b.jpg": ()}


def test_two_photos_of_one_name_in_two_unicode_forms_are_no_reason_to_guess() -> None:
    files = ("caf\u00e9.jpg", "cafe\u0301.jpg", "CAF\u00c9.jpg.xmp")
    assert all(unit.stay and not unit.companions for unit in units_in(files).values())
    assert shape(*files[:2], "cafe\u0301.jpg.xmp") == {files[0]: (), files[1]: ("cafe\u0301.jpg.xmp",)}


@pytest.mark.parametrize(
    "files",
    [
        ("IMG_1.JPG", "IMG_2.CR2"),
        ("IMG_1.HEIC", "IMG_1.JPG"),
        ("IMG_1.CR2", "IMG_1.DNG"),
        ("a/IMG_1.JPG", "b/IMG_1.CR2"),
        ("IMG_1.jpg", "IMG_1(1).jpg"),
        ("IMG_E1234.JPG",),
        ("IMG_1-edited.jpg",),
        ("a.jpg", "b-edited.jpg"),
        (f"{PXL}.MP.jpg", "PXL_20230501_090000001.jpg"),
        (f"{PXL}.PORTRAIT-01.COVER.jpg", "PXL_20230501_090000001.PORTRAIT-02.ORIGINAL.jpg"),
        (f"{PXL}.RAW-02.ORIGINAL.dng",),
    ],
)
def test_stays_apart(files: tuple[str, ...]) -> None:
    assert shape(*files) == dict.fromkeys(files, ())


@pytest.mark.parametrize(
    "files",
    [
        ("IMG_1.HEIC", "IMG_1.JPG", "IMG_1.MOV"),
        ("IMG_1.HEIC", "IMG_1.JPG", "IMG_1.AAE"),
        ("IMG_1.HEIC", "IMG_1.JPG", "IMG_1.xmp"),
        ("IMG_1.HEIC", "IMG_1.JPG", "IMG_1.DNG"),
        ("IMG_1234.HEIC", "IMG_1234.JPG", "IMG_E1234.JPG"),
        ("x" * 50 + "a.jpg", "x" * 50 + "b.jpg", "x" * 46 + ".json"),
        ("IMG_1.jpg", "img_1.jpg", "IMG_1.mov"),
        ("IMG_1.HEIC", "IMG_1.JPG", "IMG_1_HEVC.MOV"),
        (f"{PXL}.MP.jpg", f"{PXL}.MP.heic", f"{PXL}.MP"),
        (f"{PXL}.jpg", f"{PXL}.png", f"{PXL}.LS.mp4"),
        (f"{PXL}.PORTRAIT-01.COVER.jpg", f"{PXL}.PORTRAIT.jpg", f"{PXL}.PORTRAIT-02.ORIGINAL.jpg"),
    ],
)
def test_a_doubt_holds_every_photo_it_concerns(files: tuple[str, ...]) -> None:
    found = units_in(files)
    photos = [path for path in files if is_photo(path) or is_video(path)]
    assert {path for path, unit in found.items() if unit.stay} == set(photos)
    assert all(not unit.companions for unit in found.values())


def test_a_doubt_holds_nobody_else() -> None:
    found = units_in(["IMG_1.HEIC", "IMG_1.JPG", "IMG_1.MOV", "IMG_2.HEIC", "IMG_2.MOV"])
    assert found["IMG_2.HEIC"] == Unit(photo="IMG_2.HEIC", companions=("IMG_2.MOV",))


def test_a_sidecar_named_in_full_leaves_no_doubt() -> None:
    assert shape("a.HEIC", "a.JPG", "a.JPG.xmp") == {"a.HEIC": (), "a.JPG": ("a.JPG.xmp",)}


def test_google_numbers_are_told_apart() -> None:
    files = ("a.jpg", "a(1).jpg", "a.jpg.json", "a.jpg(1).json")
    assert shape(*files) == {"a.jpg": ("a.jpg.json",), "a(1).jpg": ("a.jpg(1).json",)}


def test_edits_are_pictures_of_their_own() -> None:
    unit = units_in(["IMG_1234.HEIC", "IMG_E1234.JPG", "IMG_1234.AAE"])["IMG_1234.HEIC"]
    assert unit.edits == ("IMG_E1234.JPG",)
    assert unit.files == ("IMG_1234.HEIC", "IMG_1234.AAE", "IMG_E1234.JPG")


@pytest.mark.parametrize(
    "names",
    [
        ["00001IMG_BURST20180101120000.jpg", "00002IMG_BURST20180101120000_COVER.jpg"],
        ["00000IMG_00001_BURST20180101120000123.jpg", "00000IMG_00000_BURST20180101120000123_COVER.jpg"],
        ["IMG_20150101_120000_BURST002.jpg", "IMG_20150101_120000_BURST001_COVER.jpg"],
        [f"{PXL}.BURST-02.jpg", f"{PXL}.BURST-01.COVER.jpg"],
        [f"{PXL}_BURST-02.jpg", f"{PXL}_BURST-01-COVER.jpg"],
    ],
)
def test_the_cover_of_a_burst_stays(names: list[str]) -> None:
    found = units_in(names)
    assert [bool(found[name].stay) for name in names] == [False, True]
    assert not units_in(names[1:])[names[1]].stay


def test_frames_of_two_bursts_that_count_alike_are_no_burst() -> None:
    names = ["IMG_20150101_120000_BURST001_COVER.jpg", "IMG_20150101_130000_BURST001_COVER.jpg"]
    assert not any(unit.stay for unit in units_in(names).values())


@pytest.mark.parametrize("path", ["x.xmp", "metadata.json", "notes.txt", ".hidden", "noext", "IMG_1.AAE"])
def test_no_photo_no_unit(path: str) -> None:
    assert units_in([path]) == {} and companions_in([path, "other.jpg"]) == set()


@pytest.mark.parametrize(
    ("files", "video"),
    [
        (("movie.mp4",), "movie.mp4"),
        (("MVI_1.AVI", "MVI_1.THM"), "MVI_1.AVI"),
        (("VID_1.mp4", "VID_1.mp4.supplemental-metadata.json"), "VID_1.mp4"),
        (("caf\u00e9.MTS", "cafe\u0301.MTS.xmp"), "caf\u00e9.MTS"),
        ((f"{PXL}.MP",), f"{PXL}.MP"),
        ((MVIMG,), MVIMG),
        (("GOPR0001.MP4", "GOPR0001.LRV", "GOPR0001.THM"), "GOPR0001.MP4"),
        (("GX010001.MP4", "GL010001.LRV", "GX010001.THM"), "GX010001.MP4"),
        (("GH010001.MP4", "gl010001.lrv"), "GH010001.MP4"),
        (("GL010001.LRV",), "GL010001.LRV"),
    ],
)
def test_a_video_without_a_photo_is_a_unit_of_its_own(files: tuple[str, ...], video: str) -> None:
    assert shape(*files) == {video: tuple(sorted(set(files) - {video}))}


@pytest.mark.parametrize(
    "path", ["DVD/VIDEO_TS/VTS_01_1.VOB", "Card/AVCHD/BDMV/STREAM/00001.MTS", "PRIVATE/M4ROOT/CLIP/C0001.MP4", "bdmv/1.m2ts"]
)  # fmt: skip
def test_what_a_disc_or_card_is_made_of_stays(path: str) -> None:
    assert units_in([path])[path].stay.startswith("it is a part of ")


def test_a_film_beside_a_photo_of_its_name_is_no_clip_of_it() -> None:
    assert shape("IMG_1.jpg", "IMG_1.avi", "IMG_1.xmp") == {"IMG_1.jpg": ("IMG_1.xmp",), "IMG_1.avi": ()}


def test_folders_are_worlds_of_their_own() -> None:
    assert companions_in(["a/1.jpg", "a/1.mov", "b/1.mov", "1.xmp"]) == {"a/1.mov"}


@pytest.mark.parametrize(
    ("path", "alone"),
    [("a.xmp", True), ("a.AAE", True), ("a.mov", False), ("a.CR2", False), ("a.jpg", False)],
)
def test_what_hides_nothing_when_it_goes_along(path: str, alone: bool) -> None:
    assert travels_alone(path) == alone


NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        [
            "IMG_1234", "IMG_E1234", "IMG_O1234", "IMG_1234_HEVC", "a", "A", "a(1)", "a-edited", "a-muokattu", "a~2",
            "b_01", "x" * 60, "x" * 46, "x" * 46 + "-", "BURST1", "BURST1_COVER", "caf\u00e9", "cafe\u0301", PXL, MVIMG,
            f"{PXL}.MP", f"{PXL}.MP~2", f"{PXL}~2", f"{MVIMG}~2", f"{PXL}.RAW-01.COVER", f"{PXL}.RAW-02.ORIGINAL",
            f"{PXL}.PORTRAIT-01.COVER", f"{PXL}.PORTRAIT-02.ORIGINAL", f"{PXL}.PORTRAIT",
        ]
    ),
    st.sampled_from(["", ".jpg", ".CR2", ".jpg.supplemental-metadata", ".jpg(1)", "-edited", "-muokattu"]),
    st.sampled_from([".jpg", ".HEIC", ".cr2", ".mov", ".MP", ".xmp", ".aae", ".json", ".txt", ""]),
)  # fmt: skip


@given(st.lists(NAMES, max_size=12, unique=True), st.randoms())
def test_every_photo_is_in_one_unit_and_no_file_in_two(names: list[str], chance: random.Random) -> None:
    found = units_in(names)
    files = [file for unit in found.values() for file in unit.files]
    assert len(files) == len(set(files)) and set(files) <= set(names)
    assert {name for name in names if is_photo(name) or is_video(name)} <= set(files)
    assert all(set(unit.edits) <= set(unit.companions) for unit in found.values())
    # What is proposed leads from photo to photo, both ways, and ends: an edit's name is the longer one.
    asked = {(unit.photo, version) for unit in found.values() for version in unit.versions}
    assert asked == {(original, unit.photo) for unit in found.values() for original in unit.originals}
    assert all(original in found and version in found for original, version in asked)
    chance.shuffle(names)
    assert units_in(names) == found


def test_google_names_of_any_letters_and_number() -> None:
    """A name with a line break is a name; and ten thousand of them are sorted while one looks on."""
    assert units_in(["a\nb.jpg", "a\nb.jpg.supplemental-metadata.json", "c\nd.json"])[
        "a\nb.jpg"
    ].companions == ("a\nb.jpg.supplemental-metadata.json",)
    names = [f"IMG_{n}.jpg" for n in range(10_000)]
    jsons = [f"{name}.supplemental-metadata.json" for name in names]
    units = units_in([*names, *jsons])
    assert all(units[name].companions == (json,) for name, json in zip(names, jsons, strict=True))


def test_an_editors_document_belongs_to_no_photo_and_takes_nothing_from_one() -> None:
    assert shape("a.psd", "a.jpg", "a.cr2", "a.xmp") == {"a.psd": (), "a.jpg": ("a.cr2", "a.xmp")}
    assert shape("a.psd", "a.cr2") == {"a.psd": (), "a.cr2": ()}
    assert shape("a.psd", "a.xmp") == {"a.psd": ("a.xmp",)}
