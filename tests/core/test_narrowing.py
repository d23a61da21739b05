"""What a narrowed scan counts, by names and sizes alone."""

from __future__ import annotations

import pytest

from dedupd.core.narrowing import Narrowing

ROOT = "/home/ann/Pictures"


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.gif", "2024/06/a.gif", True),
        ("*.gif", "2024/06/a.gif.jpg", False),
        ("Screenshots", "2024/Screenshots/deep/a.jpg", True),
        ("Screenshots", "2024/Screenshots.jpg", False),
        ("2024/06/*", "2024/06/trip/a.jpg", True),
        ("2024/06/*", "2023/2024/06/a.jpg", False),
        ("**/Screenshots/**", "Screenshots/a.jpg", True),
        ("/Screenshots", "Screenshots/a.jpg", True),
        ("/Screenshots", "2024/Screenshots/a.jpg", False),
        (f"{ROOT}/2024/*", "2024/06/a.jpg", True),
        (f"{ROOT}/2024/*", "2023/06/a.jpg", False),
        ("*ann*", "2024/06/a.jpg", False),
        ("a[1.jpg", "2024/06/a[1.jpg", True),
        ("a[[]1].jpg", "2024/06/a[1].jpg", True),
        ("[z-a]", "2024/z.jpg", False),
        ("*\udce9*", "2024/lat\udce9.jpg", True),
        ("*e\u0301t\u00e9*", "2024/\u00e9te\u0301.jpg", True),
        ("line*break.jpg", "2024/line\nbreak.jpg", True),
    ],
)
def test_a_glob_fits_names_paths_and_folders_above(glob: str, path: str, fits: bool) -> None:
    """Never the root itself: `*ann*` says nothing about what lies in /home/ann."""
    assert Narrowing(exclude=("nothing", glob)).looks_at(ROOT, path, 1) is not fits


def test_smaller_files_are_left_out() -> None:
    assert [Narrowing(min_size=10).looks_at(ROOT, "a.jpg", size) for size in (9, 10)] == [False, True]


@pytest.mark.parametrize(
    ("keeper", "path", "where"),
    [
        ("a.jpg", "b.jpg", "within"),
        ("x/a.jpg", "x/b.jpg", "within"),
        ("x/a.jpg", "x/y/b.jpg", "across"),
        ("a.jpg", "x/b.jpg", "across"),
    ],
)
def test_a_pair_lies_in_one_folder_or_across_two(keeper: str, path: str, where: str) -> None:
    asked = [f for f in ("any", "across", "within") if Narrowing(folders=f).counts(keeper, path)]
    assert asked == ["any", where]
