"""Units: which files of a folder are one photo and share one fate (P10).

Owns the knowledge of names: RAW+JPEG, Live Photos, sidecars, edits, Google's JSON, burst covers.
Must never look at a file. Where names leave a doubt, every photo concerned gets a reason to stay.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

PHOTOS = frozenset((
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "gif", "bmp", "avif", "heic", "heif", "hif",
    "jp2", "j2k", "jpx", "jxl",
))  # fmt: skip
"""Extensions of pictures that are compared by what they show."""
RAWS = frozenset((
    "3fr", "ari", "arw", "bay", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "k25", "kdc",
    "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "pef", "ptx", "raf", "raw", "rw2", "rwl", "sr2", "srf",
    "srw", "x3f",
))  # fmt: skip
"""Extensions of camera RAW: the companion of its JPEG, or a photo of its own that is not decoded yet."""
VIDEOS = frozenset(("mov", "mp4", "m4v"))
"""Moving halves of Live Photos and motion photos."""
SIDECARS = frozenset(("xmp", "aae", "thm", "pp3", "dop", "on1", "vrd", "nksc", "json"))
"""Files about a photo."""

_EDIT_WORDS = (
    "edited|effects|bearbeitet|modifié|editado|editada|modificato|modificata|bewerkt|edytowane|redigerad"
    "|redigeret"
)
_EDIT_SUFFIX = re.compile(rf"(?P<stem>.+)-(?:{_EDIT_WORDS})(?P<copy>\(\d+\))?", re.IGNORECASE)
_APPLE_EDIT = re.compile(r"(?P<head>.*IMG_)E(?P<number>\d{4,}.*)", re.IGNORECASE)
_APPLE_ORIGINAL_ADJUSTMENT = re.compile(r"(?P<head>.*IMG_)O(?P<number>\d{4,}.*)", re.IGNORECASE)
_BURST = re.compile(r"(?P<burst>.*BURST\d+)(?P<rest>.*)", re.IGNORECASE)
_COPY_NUMBER = re.compile(r"(?P<name>.*?)(?P<copy>\(\d+\))?", re.DOTALL)
_VIRTUAL_COPY = re.compile(r"(?P<stem>.+)_\d\d(?P<ext>\.[^.]+)")
_GOOGLE = "supplemental-metadata"
_GOOGLE_CUT = 46
"""Google cuts the name of its JSON to this many characters before '.json'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One photo and the files that share its fate; paths as they were given."""

    photo: str
    """The file that is compared: the JPEG of RAW+JPEG, the still of a Live Photo, the original of an edit."""
    companions: tuple[str, ...] = ()
    """RAW, moving half, sidecars, edits; sorted."""
    edits: tuple[str, ...] = ()
    """Those companions that are pictures of their own: edited versions of the photo."""
    stay: str = ""
    """Why this unit must not move, one clause; '' when nothing speaks against it."""

    @property
    def files(self) -> tuple[str, ...]:
        """The photo, then its companions."""
        return (self.photo, *self.companions)


@dataclass(slots=True)
class _Draft:
    photo: str
    companions: set[str] = field(default_factory=set)
    edits: set[str] = field(default_factory=set)
    stay: str = ""


def extension(path: str) -> str:
    """Lower-case extension without its dot."""
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""


def is_photo(path: str) -> bool:
    """True when the name is that of a picture, RAW included."""
    return extension(path) in PHOTOS or extension(path) in RAWS


def is_raw(path: str) -> bool:
    """True when the name is that of a camera RAW file."""
    return extension(path) in RAWS


def is_companion(path: str) -> bool:
    """True when the name can only be that of a companion: a moving half or a sidecar."""
    return extension(path) in VIDEOS or extension(path) in SIDECARS


def travels_alone(path: str) -> bool:
    """True for a companion that means nothing without its photo: it hides nothing when it goes along."""
    return extension(path) in SIDECARS


def units_in(paths: Iterable[str]) -> dict[str, Unit]:
    """The units among these files (relative paths, of one folder or of many) by the path of their photo.

    Every picture and every RAW is in exactly one unit. Files that belong to no photo (a video alone,
    an orphan sidecar) are in none. Independent of the order of `paths`.
    """
    folders: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    found = [unit for files in folders.values() for unit in _Folder(files).units()]
    return {unit.photo: unit for unit in sorted(found, key=lambda unit: unit.photo)}


def companions_in(paths: Iterable[str]) -> set[str]:
    """Those of these files that are companions of a photo among them."""
    return {path for unit in units_in(paths).values() for path in unit.companions}


class _Folder:
    """Sorts the files of one folder into units."""

    def __init__(self, files: list[str]) -> None:
        self._photos = [path for path in files if is_photo(path)]
        self._others = [path for path in files if is_companion(path)]
        self._owner: dict[str, _Draft] = {}
        self._by_stem: dict[str, list[_Draft]] = {}
        self._names = {_key(_name(path)): path for path in files}
        self._stems: dict[str, list[str]] = {}

    def units(self) -> list[Unit]:
        self._pair_raws()
        for path in self._owner:
            self._stems.setdefault(_key(_stem(path)), []).append(path)
        self._join_edits()
        self._index_stems()
        for path in self._others:
            if extension(path) in VIDEOS:
                self._attach(path, self._by_stem.get(_key(_stem(path)), []))
        self._google = _GoogleNames(self._owner)
        for path in self._others:
            if extension(path) in SIDECARS:
                self._attach(path, self._owners_of_sidecar(path))
        self._keep_covers()
        return [
            Unit(
                photo=d.photo,
                companions=tuple(sorted(d.companions)),
                edits=tuple(sorted(d.edits)),
                stay=d.stay,
            )
            for d in self._drafts()
        ]

    def _drafts(self) -> list[_Draft]:
        return list({id(draft): draft for draft in self._owner.values()}.values())

    def _pair_raws(self) -> None:
        shots: dict[str, list[str]] = {}
        for path in self._photos:
            shots.setdefault(_key(_stem(path)), []).append(path)
        for shot in shots.values():
            raws = [path for path in shot if is_raw(path)]
            pictures = [path for path in shot if not is_raw(path)]
            if len(pictures) == 1:
                self._own(_Draft(pictures[0], set(raws)))
                continue
            for path in shot:
                self._own(_Draft(path))
            if raws and pictures:
                self._doubt(shot, raws[0])

    def _join_edits(self) -> None:
        for path in self._photos:
            original = _original_stem(unicodedata.normalize("NFC", _stem(path)))
            draft = self._owner[path]
            if original is None or draft.photo != path:
                continue
            named = (self._owner[p] for p in self._stems.get(_key(original), ()))
            owners = {id(o): o for o in named if o is not draft}
            if len(owners) == 1:
                owner = next(iter(owners.values()))
                owner.edits |= {path} | draft.edits
                owner.companions |= {path} | draft.companions
                owner.stay = owner.stay or draft.stay
                for file in (path, *draft.companions):
                    self._owner[file] = owner
            elif owners:
                self._doubt([path, *(o.photo for o in owners.values())], path)

    def _index_stems(self) -> None:
        for path, draft in self._owner.items():
            drafts = self._by_stem.setdefault(_key(_stem(path)), [])
            if draft not in drafts:
                drafts.append(draft)

    def _owners_of_sidecar(self, path: str) -> list[_Draft]:
        base = _stem(path)
        if named := self._named(base):
            return [named]
        if extension(path) == "json":
            return self._owners_of_json(base)
        match = _VIRTUAL_COPY.fullmatch(base)
        if match and (named := self._named(match["stem"] + match["ext"])):
            return [named]
        if match := _APPLE_ORIGINAL_ADJUSTMENT.fullmatch(base):
            return self._by_stem.get(_key(match["head"] + match["number"]), [])
        return self._by_stem.get(_key(base), [])

    def _owners_of_json(self, base: str) -> list[_Draft]:
        """'a.jpg.json', 'a.jpg.supplemental-metadata.json' (both cut), 'a.jpg(1).json' for 'a(1).jpg'."""
        match = _COPY_NUMBER.fullmatch(base)
        assert match is not None
        name, copy = match["name"], match["copy"] or ""
        owners = {
            id(draft): draft for path in self._google.about(name, copy) if (draft := self._owner.get(path))
        }
        return list(owners.values()) or self._by_stem.get(_key(base), [])

    def _named(self, name: str) -> _Draft | None:
        path = self._names.get(_key(name))
        return self._owner.get(path) if path is not None else None

    def _own(self, draft: _Draft) -> None:
        for path in (draft.photo, *draft.companions):
            self._owner[path] = draft

    def _attach(self, path: str, owners: list[_Draft]) -> None:
        if len(owners) == 1:
            owners[0].companions.add(path)
            self._owner[path] = owners[0]
        elif owners:
            self._doubt([draft.photo for draft in owners], path)

    def _doubt(self, photos: Iterable[str], shared: str) -> None:
        for photo in photos:
            draft = self._owner[photo]
            draft.stay = draft.stay or f"{_name(shared)} could belong to more than one photo"

    def _keep_covers(self) -> None:
        bursts: dict[str, list[_Draft]] = {}
        for draft in self._drafts():
            if match := _BURST.match(_stem(draft.photo)):
                bursts.setdefault(_key(match["burst"][match["burst"].upper().rfind("BURST") :]), []).append(
                    draft
                )
        for frames in bursts.values():
            for draft in frames if len(frames) > 1 else []:
                if "COVER" in _stem(draft.photo).upper():
                    draft.stay = draft.stay or "it is the cover of a burst"


class _GoogleNames:
    """Finds the photos (and moving halves) that a JSON of Google's describes, without looking through them all."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_name: dict[tuple[str, str], list[str]] = {}
        for path in paths:
            stem, dot, ext = _name(path).rpartition(".")
            match = _COPY_NUMBER.fullmatch(stem)
            copy = (match["copy"] or "") if match else ""
            for number in {"", copy}:
                name = _key(stem.removesuffix(number) + dot + ext)
                self._by_name.setdefault((number, name), []).append(path)
        self._sorted = sorted(self._by_name)

    def about(self, name: str, copy: str) -> Iterable[str]:
        """Files described by a JSON named `name`, its '(1)' taken off as `copy`."""
        cut = _key(name)
        for dot in (*(at for at, letter in enumerate(cut) if letter == "."), len(cut)):
            if dot == len(cut) or _GOOGLE.startswith(cut[dot + 1 :]):
                yield from self._by_name.get((copy, cut[:dot]), ())
        if len(name) < _GOOGLE_CUT:
            return
        for key in self._sorted[bisect_left(self._sorted, (copy, cut)) :]:
            if key[0] != copy or not key[1].startswith(cut):
                break
            yield from self._by_name[key]


def _original_stem(stem: str) -> str | None:
    """The stem of the photo that this one is an edit of, by Apple's or Google's naming; None for no edit."""
    if match := _APPLE_EDIT.fullmatch(stem):
        return match["head"] + match["number"]
    if match := _EDIT_SUFFIX.fullmatch(stem):
        return match["stem"] + (match["copy"] or "")
    return None


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    name = _name(path)
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _key(name: str) -> str:
    # Pairs come from cameras and systems that disagree about case and Unicode form.
    return unicodedata.normalize("NFC", name).casefold()
