"""Which folders are none of the library, and which only look like it."""

from __future__ import annotations

import pytest

from dedupd.core.foreign import MARKERS, TABLE, foreign, opens, told

BINS = [
    "#recycle", "2021/#Recycle", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "lost+found", "Lost+Found",
    ".Trash", ".Trash-1000", "2021/.Trashes", ".dtrash", "anna/files_trashbin", "Network Trash Folder",
]  # fmt: skip
SNAPSHOTS = ["#snapshot", "@Recently-Snapshot", ".snapshots", "~snapshot", "@GMT-2021.07.01-10.00.00", ".zfs"]
VERSIONS = [".stversions", ".sync", "anna/files_versions", "FileHistory", ".DocumentRevisions-V100"]
NAS = ["2021/07/@eaDir", "@EADIR", ".@__thumb", "2021/@Transcode"]
STORES = [
    "2021/.thumbnails", ".picasaoriginals", "2021/[Originals]", "iPod Photo Cache", "IPOD PHOTO CACHE",
    "2021/CaptureOne/Cache", "captureone/cache", "appdata_oc1a2b3c4d5e", "phone/Android/data", "M4ROOT/THMBNL",
    "Letter.rtfd", "Photo Booth Library",
]  # fmt: skip
PACKAGES = [
    "Photos Library.photoslibrary", "iPhoto Library.photolibrary", "Old.aplibrary", "x/Catalog Previews.lrdata",
    "Catalog Smart Previews.LRDATA", "Studio.cocatalog", "Film.fcpbundle", "Editor.app",
]  # fmt: skip


@pytest.mark.parametrize("folder", BINS + SNAPSHOTS + VERSIONS + NAS + STORES)
def test_a_name_that_only_such_a_folder_has_is_enough(folder: str) -> None:
    assert foreign(folder) is not None
    assert foreign(folder, defaults=False) is None


@pytest.mark.parametrize("folder", BINS)
def test_bins_are_called_bins(folder: str) -> None:
    kind = foreign(folder)
    assert kind is not None and kind.kind == "recycle bin" and kind.clause


@pytest.mark.parametrize("folder", PACKAGES)
def test_another_programs_database_is_closed_whatever_the_settings_say(folder: str) -> None:
    assert foreign(folder, defaults=False) is not None


@pytest.mark.parametrize(
    "folder",
    [
        "thumbs", "Thumbs", "2019/06/thumbs", "storage", "cache", "2021/Cache", "library", "upload", "profile", "data",
        "Recycled", "Recycling", "Trash", "recycle", "snapshot", "snapshots", "Originals", "Android", "CaptureOne",
        "_data", "iPhoto Library", "thumbnails", "encoded-video", "protected_media", "2021/07", "The key", "eaDir",
    ],
)  # fmt: skip
def test_a_persons_own_folder_of_such_a_name_is_looked_at(folder: str) -> None:
    assert foreign(folder, {"2021", "IMG_1.jpg"}, {"IMG_1.jpg", "a"}) is None


IMMICH, PHOTOPRISM = "Immich store", "PhotoPrism store"


@pytest.mark.parametrize(
    ("folder", "beside", "inside", "kind"),
    [
        ("thumbs", "library upload profile", "", IMMICH),
        ("photos/thumbs", "encoded-video", "", IMMICH),
        ("thumbs", "", ".immich 3f", IMMICH),
        ("encoded-video", "thumbs library", "", IMMICH),
        ("encoded-video", "", ".immich", IMMICH),
        ("profile", "thumbs encoded-video", "", IMMICH),
        ("storage", "", "cache sidecar config", PHOTOPRISM),
        ("storage", "originals", "cache sidecar", PHOTOPRISM),
        ("prism/storage", "", "sidecar config", PHOTOPRISM),
        ("pp-data", "", ".ppstorage cache", PHOTOPRISM),
        ("protected_media", "", "square_thumbnails faces", "LibrePhotos store"),
        ("_data", "galleries upload", "i templates_c", "Piwigo store"),
        ("iPhoto Library", "", "AlbumData.xml Masters", "Apple photo library"),
        ("Recycled", "", "INFO2 desktop.ini", "recycle bin"),
        ("2021/resized", "", "CACHEDIR.TAG a.jpg", "cache folder"),
        ("WhatsApp Images/Sent", "", ".nomedia a.jpg", "folder with .nomedia"),
    ],
)
def test_a_plain_name_needs_what_the_program_puts_beside_or_in_it(
    folder: str, beside: str, inside: str, kind: str
) -> None:
    found = foreign(folder, beside.split(), inside.split())
    assert found is not None and found.kind == kind
    assert foreign(folder, beside.split(), inside.split(), defaults=False) is None
    assert foreign(folder) is None


@pytest.mark.parametrize(
    ("folder", "beside", "inside"),
    [
        ("Thumbs", "library upload encoded-video", ""),  # these run where capitals count
        ("thumbs", "2021 2022", "a.jpg"),
        ("library", "thumbs encoded-video upload", ".immich"),  # the originals
        ("upload", "thumbs encoded-video library", ".immich"),
        ("profile", "thumbs", ""),
        ("storage", "cache sidecar config", "cache"),
        ("storage", "", "cache 2021"),
        ("originals", "storage", "2021"),
        ("iPhoto Library", "", "2009"),
    ],
)
def test_half_a_layout_is_none(folder: str, beside: str, inside: str) -> None:
    assert foreign(folder, beside.split(), inside.split()) is None


def test_every_row_says_what_it_is_and_can_be_met() -> None:
    for row in TABLE:
        assert row.kind and row.clause
        assert row.names or row.starts or row.ends or row.inside
        assert row.beside or row.inside or all(name == name.casefold() for name in (*row.names, *row.ends))
    assert {".nomedia", ".immich", ".ppstorage"} <= MARKERS


def test_what_people_read() -> None:
    assert told({}, 0) == ""
    assert told({"recycle bin": 3, "Synology thumbnails": 9}, 12) == (
        "12 folder(s) belong to other programs or bins (Synology thumbnails 9, recycle bin 3) and are not looked at; "
        "`ignore_defaults = false` in config.toml looks at them all the same"
    )
    assert told({"recycle bin": 2}, 1).endswith(
        "`ignore_defaults = false` in config.toml looks at 1 of them all the same"
    )
    assert told({"Apple photo library": 1}, 0).endswith("are not looked at")


def test_what_stays_closed_is_not_promised() -> None:
    hidden, bin_, package = foreign(".thumbnails"), foreign("#recycle"), foreign("a.photoslibrary")
    assert hidden and bin_ and package
    assert not opens(".thumbnails", hidden)
    assert opens("2021/#recycle", bin_)
    assert not opens("a.photoslibrary", package)
