"""Which names belong together, and which leave a doubt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.units import Unit, companions_in, is_photo, travels_alone, units_in


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
    ],
)
def test_a_doubt_holds_every_photo_it_concerns(files: tuple[str, ...]) -> None:
    found = units_in(files)
    photos = [path for path in files if is_photo(path)]
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


def test_the_cover_of_a_burst_stays() -> None:
    names = ["00001IMG_BURST20180101120000.jpg", "00002IMG_BURST20180101120000_COVER.jpg"]
    found = units_in(names)
    assert [bool(found[name].stay) for name in names] == [False, True]
    assert not units_in(names[1:])[names[1]].stay


@pytest.mark.parametrize(
    "path", ["movie.mp4", "x.xmp", "metadata.json", "notes.txt", ".hidden", "noext", "IMG_1.AAE"]
)
def test_no_photo_no_unit(path: str) -> None:
    assert units_in([path]) == {} and companions_in([path, "other.jpg"]) == set()


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
            "IMG_1234",
            "IMG_E1234",
            "IMG_O1234",
            "a",
            "A",
            "a(1)",
            "a-edited",
            "b_01",
            "x" * 60,
            "BURST1",
            "BURST1_COVER",
        ]
    ),
    st.sampled_from(["", ".jpg", ".CR2", ".jpg.supplemental-metadata", ".jpg(1)"]),
    st.sampled_from([".jpg", ".HEIC", ".cr2", ".mov", ".xmp", ".aae", ".json", ".txt", ""]),
)


@given(st.lists(NAMES, max_size=12, unique=True), st.randoms())
def test_every_photo_is_in_one_unit_and_no_file_in_two(names: list[str], chance: random.Random) -> None:
    found = units_in(names)
    files = [file for unit in found.values() for file in unit.files]
    assert len(files) == len(set(files)) and set(files) <= set(names)
    assert {name for name in names if is_photo(name)} <= set(files)
    assert all(set(unit.edits) <= set(unit.companions) for unit in found.values())
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
