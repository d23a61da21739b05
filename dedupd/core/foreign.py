"""Not a library: folders of other programs, bins and snapshots, told by their names and by what lies in or beside them.

Owns the one table of them (P17) and the words people read about it. Must never look at a disk: the names of the
entries beside and inside a folder are handed in. A plain word ("thumbs", "storage") never closes a folder by
itself: what the program always puts there must be there too.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of a root is looked at, by its owner's settings."""

    ignore: tuple[str, ...] = ()
    """Globs of files and folders that are not looked at."""
    defaults: bool = True
    """Whether the table below counts; without it only the kinds marked `always` are closed."""
    roots: frozenset[str] = frozenset()
    """Absolute paths of all roots: another one inside this root is a disk of its own, and nobody need be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """One kind of folder that is none of the library."""

    kind: str
    """What people call it."""
    clause: str
    """What lies in it, for people."""
    names: frozenset[str] = frozenset()
    """Its name, or the parent's name and its own ("captureone/cache")."""
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    """How its name begins and ends. Without `names`, `starts` and `ends` any name fits, and the layout decides."""
    beside: tuple[frozenset[str], ...] = ()
    inside: tuple[frozenset[str], ...] = ()
    """Its layout, if any: all names of one of these sets must lie beside the folder or in it."""
    always: bool = False
    """Another program's database, or a document that is a folder: closed whatever the settings say."""

    def fits(self, path: Sequence[str], beside: Container[str], inside: Container[str]) -> bool:
        """`path`: the last two parts of the folder's, in small letters unless a layout tells it too."""
        return self.is_named(path) and self._fits_layout(beside, inside)

    def is_named(self, path: Sequence[str]) -> bool:
        """True for a folder of its names, whatever lies beside or in it."""
        name, pair = path[-1], "/".join(path)
        if (
            name in self.names
            or pair in self.names
            or name.startswith(self.starts)
            or name.endswith(self.ends)
        ):
            return True
        return not (self.names or self.starts or self.ends)

    def _fits_layout(self, beside: Container[str], inside: Container[str]) -> bool:
        layouts = (*((beside, names) for names in self.beside), *((inside, names) for names in self.inside))
        return not layouts or any(all(name in there for name in names) for there, names in layouts)


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


def _any(*layouts: str) -> tuple[frozenset[str], ...]:
    """'a b', 'c' -> a and b, or c."""
    return tuple(frozenset(layout.split(" ")) for layout in layouts)


TABLE = (
    Foreign(
        kind="recycle bin",
        clause="what was thrown away, and is on its way out",
        names=_names(
            "#recycle", "@recycle", "$recycle.bin", "recycler", ".recycle", ".recycle.bin", ".trash", ".trashes",
            ".dtrash", "files_trashbin", "network trash folder", "trashbox", "lost+found",
        ),
        starts=(".trash-",),
    ),
    Foreign(
        kind="recycle bin",
        clause="what was thrown away, and is on its way out",
        names=_names("Recycled", "RECYCLED"),
        inside=_any("INFO2", "info2"),
    ),
    Foreign(
        kind="snapshot",
        clause="an earlier state of what lies elsewhere",
        names=_names(
            "#snapshot", "@recently-snapshot", "@snapshots", "~snapshot", ".snapshot", ".snapshots", ".zfs",
            "system volume information",
        ),
        starts=("@gmt-",),
    ),
    Foreign(
        kind="version store",
        clause="earlier versions that a program keeps of what lies elsewhere",
        names=_names(
            ".stversions", ".sync", ".dropbox.cache", "files_versions", "filehistory", "backups.backupdb",
            ".documentrevisions-v100",
        ),
    ),
    Foreign(kind="Synology thumbnails", clause="pictures that the NAS made of yours", names=_names("@eadir")),
    Foreign(
        kind="QNAP thumbnails",
        clause="pictures that the NAS made of yours",
        names=_names(".@__thumb", "@transcode"),
    ),
    Foreign(
        kind="thumbnails", clause="small pictures that a phone or desktop made of yours", names=_names(".thumbnails")
    ),
    Foreign(
        kind="Picasa originals",
        clause="what Picasa needs to take its edits back",
        names=_names(".picasa", ".picasaoriginals", ".picasatemp"),
    ),
    Foreign(
        kind="ACDSee originals",
        clause="what ACDSee needs to take its edits back",
        names=_names("[originals]", "[originale]"),
    ),
    Foreign(
        kind="iPod photo cache", clause="pictures that iTunes made of yours", names=_names("ipod photo cache")
    ),
    Foreign(
        kind="Lightroom store",
        clause="previews and data of a Lightroom catalog",
        ends=(".lrdata", ".lrlibrary", ".lrcat-data"),
        always=True,
    ),
    Foreign(
        kind="Apple photo library",
        clause="the database of Photos, iPhoto or Aperture",
        ends=(
            ".photoslibrary", ".photolibrary", ".aplibrary", ".apvault", ".migratedphotolibrary",
            ".migratedaplibrary",
        ),
        always=True,
    ),
    Foreign(
        kind="Apple photo library",
        clause="the database of iPhoto",
        names=_names("iPhoto Library"),
        inside=_any("AlbumData.xml"),
    ),
    Foreign(
        kind="Apple photo library", clause="the database of Photo Booth", names=_names("photo booth library")
    ),
    Foreign(kind="Capture One catalog", clause="the database of Capture One", ends=(".cocatalog",), always=True),
    Foreign(
        kind="Capture One cache",
        clause="pictures that Capture One made of yours",
        names=_names("captureone/cache"),
    ),
    Foreign(
        kind="film library",
        clause="the database of iMovie or Final Cut",
        ends=(".imovielibrary", ".fcpbundle"),
        always=True,
    ),
    Foreign(kind="program", clause="a program with its own pictures", ends=(".app",), always=True),
    Foreign(
        kind="document",
        clause="a document that is a folder, with its pictures",
        ends=(".rtfd", ".pages", ".textbundle", ".scriv", ".dayone"),
    ),
    Foreign(
        kind="Immich store",
        clause="pictures that Immich made of yours",
        names=_names("thumbs"),
        beside=_any("encoded-video", "library", "upload", "profile"),
        inside=_any(".immich"),
    ),
    Foreign(
        kind="Immich store",
        clause="films that Immich made of yours",
        names=_names("encoded-video"),
        beside=_any("thumbs", "library", "upload", "profile"),
        inside=_any(".immich"),
    ),
    Foreign(
        kind="Immich store",
        clause="portraits of the people who use Immich",
        names=_names("profile"),
        beside=_any("thumbs encoded-video"),
        inside=_any(".immich"),
    ),
    Foreign(
        kind="PhotoPrism store",
        clause="pictures that PhotoPrism made of yours",
        names=_names("storage"),
        inside=_any("cache sidecar", "cache config", "sidecar config"),
    ),
    Foreign(
        kind="PhotoPrism store", clause="pictures that PhotoPrism made of yours", inside=_any(".ppstorage")
    ),
    Foreign(
        kind="LibrePhotos store",
        clause="pictures that LibrePhotos made of yours",
        names=_names("protected_media"),
        inside=_any("square_thumbnails", "thumbnails_big"),
    ),
    Foreign(
        kind="Piwigo store", clause="pictures that Piwigo made of yours", names=_names("_data"), inside=_any("i")
    ),
    Foreign(kind="Nextcloud store", clause="pictures that Nextcloud made of yours", starts=("appdata_oc",)),
    Foreign(
        kind="app data", clause="what the apps of a phone keep for themselves", names=_names("android/data")
    ),
    Foreign(
        kind="camera thumbnails",
        clause="pictures that a camera made of its films",
        names=_names("m4root/thmbnl"),
    ),
    Foreign(
        kind="cache folder", clause="what a program can make again, as it says", inside=_any("CACHEDIR.TAG")
    ),
    Foreign(
        kind="folder with .nomedia",
        clause="what is not to be shown among photos, as that file says",
        inside=_any(".nomedia"),
    ),
)  # fmt: skip
"""The first row that fits says what a folder is. Names in lower case, except where a layout decides too."""

MARKERS = frozenset(name for row in TABLE for names in row.inside for name in names)
"""Names that, when they appear or disappear, may open or close the folder they lie in."""


_NAMED = [row for row in TABLE if row.names or row.starts or row.ends]
_UNNAMED = [row for row in TABLE if row not in _NAMED]
_EVERY_NAME = Foreign(
    kind="any",
    clause="",
    names=frozenset(name.casefold() for row in _NAMED for name in row.names),
    starts=tuple(start for row in _NAMED for start in row.starts),
    ends=tuple(end for row in _NAMED for end in row.ends),
)
"""All names in one row: most folders have none of them, and need not be compared with each row."""


def foreign(
    folder: str, beside: Container[str] = (), inside: Container[str] = (), *, defaults: bool = True
) -> Foreign | None:
    """What kind of folder that is none of the library this one is, by its path and what is known to lie beside and in it."""
    path = folder.split("/")[-2:]
    small = [part.casefold() for part in path]
    for row in TABLE if _EVERY_NAME.is_named(small) else _UNNAMED:
        laid_out = row.beside or row.inside
        if (defaults or row.always) and row.fits(path if laid_out else small, beside, inside):
            return row
    return None


def opens(folder: str, kind: Foreign) -> bool:
    """Whether `ignore_defaults = false` would open it: another program's database and a hidden folder stay closed."""
    return not kind.always and not folder.rpartition("/")[2].startswith(".")


def told(kinds: Mapping[str, int], opening: int) -> str:
    """One sentence for people: how many such folders there are, of which kinds; '' when there are none.

    `opening`: how many of them the setting would open.
    """
    count = sum(kinds.values())
    if not count:
        return ""
    most_first = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{kind} {number}" for kind, number in most_first)
    sentence = f"{count} folder(s) belong to other programs or bins ({listed}) and are not looked at"
    if opening:
        which = "them" if opening == count else f"{opening} of them"
        sentence += f"; `ignore_defaults = false` in config.toml looks at {which} all the same"
    return sentence
