"""The month of a photo: folder, then EXIF, then file name, then mtime as a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.month import FIRST_YEAR, LAST_YEAR, Month, month_folder, month_in_name, month_of, year_folder
from dedupd.core.relocation import destination

JUNE = Month(2024, 6)
LATER = datetime(2025, 1, 31, 12, tzinfo=UTC).timestamp()

months = st.builds(Month, st.integers(FIRST_YEAR, LAST_YEAR), st.integers(1, 12))
texts = st.text(max_size=30).filter(lambda text: "/" not in text)


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("Pictures/2024/06/trip/a.jpg", "Pictures/2024/06"),
        ("2024/2024-06-15/b.jpg", "2024/2024-06-15"),
        ("2024-06/a.jpg", "2024-06"),
        ("2024_06/a.jpg", "2024_06"),
        ("2024/06 June/a.jpg", "2024/06 June"),
        ("2024/06-June/a.jpg", "2024/06-June"),
        ("2024/6/a.jpg", "2024/6"),
        ("2024/6 June/a.jpg", "2024/6 June"),
        ("2024/June/a.jpg", "2024/June"),
        ("2024/jun/a.jpg", "2024/jun"),
        ("2024/06/15/a.jpg", "2024/06"),
        ("2024/06-15 Birthday/a.jpg", "2024/06-15 Birthday"),
        ("2024/06/2024-06-15 Rome/a.jpg", "2024/06/2024-06-15 Rome"),
        ("2023/12/2024-06-01/a.jpg", "2023/12/2024-06-01"),
        ("06-2024/a.jpg", "06-2024"),
        ("June 2024/a.jpg", "June 2024"),
        ("2024 June/a.jpg", "2024 June"),
        ("20240615 Rome/a.jpg", "20240615 Rome"),
        ("DCIM/202406__/IMG_0001.HEIC", "DCIM/202406__"),
        ("202406/a.jpg", "202406"),
        ("2024-06-15 - 2024-07-02 Rome/a.jpg", "2024-06-15 - 2024-07-02 Rome"),
        ("2024/06/duplicates/trip/a.jpg", "2024/06"),
    ],
)
def test_a_folder_that_names_the_month_wins(path: str, folder: str) -> None:
    assert month_folder(path) == (JUNE, folder)
    assert month_of(path, LATER, LATER) == (JUNE, "folder")


@pytest.mark.parametrize(
    "path",
    [
        "a.jpg",
        "2024-06-15.jpg",
        "2024/a.jpg",
        "Trip/06/a.jpg",
        "06/2024/a.jpg",
        "2024/Trip/06/a.jpg",
        "2024/13/a.jpg",
        "x/2024-06-31/a.jpg",
        "0024/06/a.jpg",
        "1700-06/a.jpg",
        "2011-2012/a.jpg",
        "2024/5 days in Rome/a.jpg",
        "2024/Mayor's ball/a.jpg",
        "190612/a.jpg",
        "200612 Wedding/a.jpg",
        "1718456789/a.jpg",
        "2024061/a.jpg",
        "IMG_20240615/a.jpg",
        "٢٠٢٤/٠٦/a.jpg",
    ],
)
def test_a_folder_that_might_mean_something_else_names_no_month(path: str) -> None:
    assert month_folder(path) is None


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("Pictures/2024/06/a.jpg", "Pictures/2024"),
        ("2024/2024-06-15/b.jpg", "2024"),
        ("2024/a.jpg", "2024"),
        ("2020/2024/06/a.jpg", "2020/2024"),
        ("2024-06/x.jpg", None),
        ("Photos from 2024/x.jpg", None),
        ("2024.jpg", None),
        ("9999/x.jpg", None),
    ],
)
def test_the_year_folder_is_the_nearest_one_named_like_a_year(path: str, folder: str | None) -> None:
    assert year_folder(path) == folder


def test_a_year_folder_can_be_asked_for_by_year() -> None:
    assert year_folder("2020/2024/06/a.jpg", 2020) == "2020"
    assert year_folder("2024/06/a.jpg", 2023) is None


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20240615_120000.jpg",
        "IMG_20240615_120000123_HDR.jpg",
        "IMG20240615120000.jpg",
        "PXL_20240615_120000123.jpg",
        "PXL_20240615_120000123.PORTRAIT-01.COVER.jpg",
        "00000IMG_00000_BURST20240615120000123_COVER.jpg",
        "WhatsApp Image 2024-06-15 at 12.00.00 (1).jpeg",
        "IMG-20240615-WA0001.jpg",
        "Screenshot_2024-06-15-12-00-00-123_com.app.jpg",
        "Screenshot_20240615-120000.png",
        "Screenshot 2024-06-15 at 12.00.00.png",
        "signal-2024-06-15-120000.jpg",
        "photo_2024-06-15_12-00-00.jpg",
        "20240615_120000.jpg",
        "20240615.jpg",
        "WIN_20240615_12_00_00_Pro.jpg",
        "2024-06-15 12.00.00.jpg",
        "Rome 2024_06_15.jpg",
        "Photo on 2024-06-15 at 12.00.jpg",
        "Photo on 6-15-24 at 12.00 PM.jpg",
        "Photo on 15.06.2024 at 12.00.jpg",
    ],
)
def test_cameras_and_messengers_write_the_date_into_the_name(name: str) -> None:
    assert month_in_name(name) == JUNE
    assert month_of(f"Camera/{name}", None, LATER) == (JUNE, "name")


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1234.jpg",
        "DSC02406.jpg",
        "1718456789.jpg",
        "1718456789000.jpg",
        "FB_IMG_1718456789000.jpg",
        "+4920240615123.jpg",
        "0151-2024-06-15.jpg",
        "stock 20150823.jpg",
        "IMG_20241315_120000.jpg",
        "IMG_20240231_120000.jpg",
        "IMG_12340615_120000.jpg",
        "2024-06-155.jpg",
        "202406151.jpg",
        "12024-06-15.jpg",
        "17000615_996199.jpg",
        "Photo on 06-05-24 at 12.00.jpg",
        "v1.2024.06.15.jpg",
    ],
)
def test_digits_that_only_might_be_a_date_are_not_believed(name: str) -> None:
    assert month_in_name(name) is None
    assert month_of(name, None, LATER) == (Month(2025, 1), "mtime")


def test_exif_is_believed_before_the_name_and_before_mtime() -> None:
    june = datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC).timestamp()
    assert month_of("IMG_20230101_000000.jpg", june, LATER) == (JUNE, "exif")


@pytest.mark.parametrize("captured", [float("nan"), float("inf"), 1e300, -1e18, -5e9])
def test_an_impossible_exif_time_is_passed_over(captured: float) -> None:
    assert month_of("a.jpg", captured, LATER) == (Month(2025, 1), "mtime")


def test_an_impossible_mtime_still_gives_a_month() -> None:
    assert month_of("a.jpg", None, 1e300) == (Month(1970, 1), "mtime")


def test_mtime_is_read_in_the_zone_it_is_asked_for() -> None:
    last_hour = datetime(2024, 5, 31, 23, tzinfo=UTC).timestamp()
    assert month_of("a.jpg", None, last_hour)[0] == Month(2024, 5)
    assert month_of("a.jpg", None, last_hour, zone=timezone(timedelta(hours=2)))[0] == JUNE


@given(months)
def test_a_month_reads_back_what_it_writes(month: Month) -> None:
    assert Month.parse(str(month)) == month
    assert Month.parse(month.label) == month


@given(months, months)
def test_months_sort_like_their_names(a: Month, b: Month) -> None:
    assert (a < b) == (str(a) < str(b))


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-00", "2024-13", "24-06", "2024-06-15", "1700-06", "٢٠٢٤-٠٦"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        Month.parse(text)


@given(st.lists(texts, max_size=4), months, texts)
def test_a_plain_month_folder_is_found_below_anything(above: list[str], month: Month, name: str) -> None:
    folder = "/".join([*above, month.label])
    assert month_folder(f"{folder}/{name}") == (month, folder)
    assert year_folder(f"{folder}/{name}") == folder[:-3]


@given(st.lists(texts, max_size=6).map("/".join))
def test_a_named_folder_lies_on_the_path(path: str) -> None:
    found = month_folder(path)
    assert found is None or path.startswith(found[1] + "/")
    year = year_folder(path)
    assert year is None or path.startswith(year + "/")


@given(texts)
def test_any_name_is_read_without_failing(name: str) -> None:
    month = month_in_name(name)
    assert month is None or FIRST_YEAR <= month.year <= LAST_YEAR


@given(st.from_regex(r"[0-9]{9,13}", fullmatch=True), st.sampled_from(["", "IMG_", "received_", "+"]))
def test_no_date_is_taken_from_a_number(number: str, prefix: str) -> None:
    assert month_in_name(f"{prefix}{number}.jpg") is None


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/home/ana/Pictures/2024", "06/a.jpg", ("2024-06", "06")),
        ("/home/ana/Pictures/2024", "06/trip/a.jpg", ("2024-06", "06")),
        ("/home/ana/Pictures/2024/06", "a.jpg", ("2024-06", "")),
        ("/home/ana/Pictures/2024/06", "trip/a.jpg", ("2024-06", "")),
        ("/home/ana/Pictures/2024/06", "2023-01/a.jpg", ("2023-01", "2023-01")),
        ("/home/ana/Pictures/2024", "a.jpg", None),
        ("/backup/2024/06/Pictures", "a.jpg", None),
        ("/home/ana/2024-06-15 export", "a.jpg", None),
        ("/home/ana/Pictures", "06/a.jpg", None),
        ("", "06/a.jpg", None),
    ],
)
def test_a_root_that_is_a_year_or_a_month_below_one_knows_its_place(
    root: str, path: str, expected: tuple[str, str] | None
) -> None:
    found = month_folder(path, root)
    assert (found and (str(found[0]), found[1])) == expected


def test_duplicates_of_a_month_that_is_the_root_itself_go_into_the_root() -> None:
    assert destination("trip/a.jpg", "/Pictures/2024/06") == "duplicates/trip/a.jpg"
    assert destination("06/trip/a.jpg", "/Pictures/2024") == "06/duplicates/trip/a.jpg"
