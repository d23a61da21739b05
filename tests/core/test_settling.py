"""Names of files that are no photos yet."""

from __future__ import annotations

import pytest

from dedupd.core.settling import passed_over


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg.part",
        "a.jpg.partial",
        "a.jpg.CRDOWNLOAD",
        "a.download",
        "a.tmp",
        "~a.jpg",
        "~$a.jpg",
        "a.jpg~",
        ".a.jpg.x7Fq2",
        ".DS_Store",
        ".a.heic.icloud",
        "a.jpg.nextcloud",
        "a.jpg.ownCloud",
        "a.jpg.cloud",
    ],
)
def test_names_of_unfinished_and_hidden_files_are_passed_over(name: str) -> None:
    assert passed_over(name)


def test_a_cloud_placeholder_is_called_one() -> None:
    for name in (".IMG_0001.HEIC.icloud", "IMG_0001.HEIC.nextcloud", "IMG_0001.HEIC.owncloud"):
        assert passed_over(name) == "still in the cloud"


@pytest.mark.parametrize(
    "name", ["a.jpg", "part.jpg", "a.part.jpg", "IMG~2.JPG", "tmp", "download", "…\u200b.png"]
)
def test_other_names_may_be_photos(name: str) -> None:
    assert passed_over(name) == ""
