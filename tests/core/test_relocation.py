"""Where duplicates go, and what a taken name becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.relocation import destination, duplicates_folder, is_held, numbered

PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=60
).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    ("path", "goes_to"),
    [
        ("Pictures/2024/06/trip/a.jpg", "Pictures/2024/06/duplicates/trip/a.jpg"),
        ("2024/06/a.jpg", "2024/06/duplicates/a.jpg"),
        ("2024/2024-06-15/b.jpg", "2024/2024-06-15/duplicates/b.jpg"),
        ("2024-06/b/c/d.jpg", "2024-06/duplicates/b/c/d.jpg"),
        ("x/c.jpg", "duplicates/x/c.jpg"),
        ("c.jpg", "duplicates/c.jpg"),
        ("IMG_20240615_120000.jpg", "duplicates/IMG_20240615_120000.jpg"),
    ],
)
def test_destination(path: str, goes_to: str) -> None:
    assert destination(path) == goes_to


@given(PATHS)
def test_destination_keeps_the_path_below_and_stays_above(path: str) -> None:
    goes_to = destination(path)
    assert [p for p in goes_to.split("/") if p != "duplicates"] == [
        p for p in path.split("/") if p != "duplicates"
    ]
    assert is_held(goes_to)
    if not is_held(path):
        above = duplicates_folder(goes_to).removesuffix("duplicates")
        assert path.startswith(above)


def test_the_folder_of_the_receipts() -> None:
    assert duplicates_folder("2024/06/duplicates/trip/a.jpg") == "2024/06/duplicates"
    with pytest.raises(ValueError, match="does not lie in"):
        duplicates_folder("2024/06/duplicates")


@pytest.mark.parametrize(
    ("path", "number", "stem", "sibling"),
    [
        ("x/a.jpg", 0, "", "x/a.jpg"),
        ("x/a.jpg", 1, "", "x/a (1).jpg"),
        ("a.tar.gz", 2, "", "a.tar (2).gz"),
        ("noext", 1, "", "noext (1)"),
        (".hidden", 1, "", ".hidden (1)"),
        ("b/IMG_1.JPG.xmp", 1, "IMG_1", "b/IMG_1 (1).JPG.xmp"),
        ("b/IMG_E1.JPG", 1, "IMG_1", "b/IMG_E1 (1).JPG"),
    ],
)
def test_numbered(path: str, number: int, stem: str, sibling: str) -> None:
    assert numbered(path, number, stem) == sibling


@given(
    st.binary(min_size=1, max_size=255).filter(lambda b: b"/" not in b and b"\0" not in b),
    st.integers(1, 9999),
)
def test_numbered_names_fit_and_differ(name: bytes, number: int) -> None:
    text = name.decode("utf-8", "surrogateescape")
    sibling = numbered(f"folder/{text}", number)
    assert sibling.startswith("folder/") and sibling != f"folder/{text}"
    assert sibling != numbered(f"folder/{text}", number + 1)
    if "." not in text[-100:]:
        assert len(sibling.removeprefix("folder/").encode("utf-8", "surrogateescape")) <= 255


@pytest.mark.parametrize("path", ["duplicates/a.jpg", "2024/06/Duplicates/x/a.jpg", "a/DUPLICATES/b"])
def test_held_however_the_folder_is_spelled(path: str) -> None:
    assert is_held(path)


@pytest.mark.parametrize("path", ["duplicates", "x/duplicates.jpg", "my duplicates/a.jpg"])
def test_not_held(path: str) -> None:
    assert not is_held(path)
