"""Units: which files of a folder belong to one photo and move together or not at all (P10).

Owns the knowledge of names: RAW+JPEG, Live Photos and motion photos, sidecars, edits, Google's JSON, burst covers,
videos that stand alone.
Must never look at a file. Where names are ambiguous, every photo concerned gets a reason to stay. Where a name only
suggests an edit (`anna-maria.jpg` beside `anna.jpg`), the content of the two photos decides: see `is_edit`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import product

from dedupd.core.formats import layered_suffixes, suffixes

PHOTOS = suffixes(raw=False)
"""Extensions of pictures that are decoded and compared."""
RAWS = suffixes(raw=True)
"""Extensions of camera RAW: the companion of its JPEG, or a photo of its own."""
LAYERED = layered_suffixes()
"""Extensions of editors' documents: photos of their own, that no other file beside them belongs to while there is a picture."""
CLIPS = frozenset(("mov", "mp4", "m4v"))
"""Extensions of moving halves of Live Photos and motion photos, or of videos of their own."""
VIDEOS = CLIPS | frozenset((
    "360", "3g2", "3gp", "3gpp", "asf", "avi", "dv", "flv", "insv", "lrv", "m2t", "m2ts", "m2v", "mkv", "mod", "mp", "mpeg",
    "mpg", "mts", "mv", "mxf", "ogv", "qt", "tod", "ts", "vob", "webm", "wmv",
))  # fmt: skip
"""Extensions of videos."""
SIDECARS = frozenset(("xmp", "aae", "thm", "pp3", "dop", "on1", "vrd", "nksc", "json"))
"""Files about a photo."""

DISCS = frozenset(("video_ts", "bdmv", "avchd", "m4root", "xdroot"))
"""Folders of a DVD, a Blu-ray or a camera's card: their files are found by name and place."""
_PROXY = "lrv"
"""The small version that an action camera records beside its video: GX010001.MP4 with GL010001.LRV or GX010001.LRV."""

_EDIT_WORDS = (
    "edited", "effects", "smile", "mix", "bearbeitet", "modifié", "editado", "editada", "ha editado", "editat",
    "modificato", "modificata", "ha modificato", "bewerkt", "edytowane", "redigerad", "redigeret", "編集済み",
)  # fmt: skip
"""Words that Google adds to the name of an edited photo: the name alone proves an edit."""
_COPY_WORDS = frozenset((
    "copy", "copie", "kopie", "copia", "kopia", "small", "thumb", "thumbnail", "resized", "scaled", "compressed", "min",
))  # fmt: skip
"""Words that programs add to the name of a plain copy."""
_EDIT_SUFFIX = re.compile(
    rf"(?P<stem>.+)-(?:{'|'.join(_EDIT_WORDS)})(?P<copy>\(\d+\))?", re.IGNORECASE | re.DOTALL
)
_OSXPHOTOS_EDIT = re.compile(r"(?P<stem>.+)_edited(?P<copy> \(\d+\))?", re.DOTALL)
"""What osxphotos exports of a photo that was edited in Apple's Photos: IMG_1_edited.jpeg beside IMG_1.HEIC."""
_WORD_SUFFIX = re.compile(r"(?P<stem>.+)-(?P<word>[^-()\d_.]*)(?P<copy>\(\d+\))?", re.DOTALL)
_SAVED_AGAIN = re.compile(r"(?P<stem>.+)~\d+(?P<copy>\(\d+\))?", re.DOTALL)
_TAKEOUT_CUT = 46
"""A stem of so many characters may be one that Google cut: at 51 with the extension."""
_APPLE_EDIT = re.compile(r"(?P<head>.*IMG_)E(?P<number>\d{4,}.*)", re.IGNORECASE)
_APPLE_ORIGINAL_ADJUSTMENT = re.compile(r"(?P<head>.*IMG_)O(?P<number>\d{4,}.*)", re.IGNORECASE)
_MOTION_CLIP = re.compile(r".+\.(?:MP|MV)(?:~\d+)?|MVIMG_\d{8}_\d{6}[^.]*", re.IGNORECASE)
"""The moving half of a Pixel's photo: PXL_….MP beside PXL_….MP.jpg, and its edit's; older ones have no suffix at all."""
_MOTION_EDIT = re.compile(r"(?P<stem>.+\.(?:MP|MV))~\d+", re.IGNORECASE)
_NUMBERED_CLIP = re.compile(r"(?P<stem>.+)(?P<copy>\(\d+\))(?P<tail>\.(?:MP|MV)(?:~\d+)?)", re.IGNORECASE)
_PIXEL = re.compile(r"(?P<shot>(?:PXL|MVIMG)_\d{8}_\d{6,9})(?:\.[A-Z][A-Z0-9_-]*)*", re.IGNORECASE)
"""A shot, named by its millisecond, and the kind of file: .MP, .NIGHT, .PANO, .LS, .RAW-01.COVER, …"""
_PIXEL_ORIGINAL = re.compile(r"(?P<shot>.+?\.[A-Z_]+)(?:-\d\d)?(?:\.MP)?\.ORIGINAL", re.IGNORECASE)
_PIXEL_COVER = re.compile(r"(?P<shot>.+?\.[A-Z_]+)(?:-\d\d)?(?:\.MP)?(?:\.COVER)?", re.IGNORECASE)
_HEVC = "_hevc"
_BURST = re.compile(r"(?P<before>.*)BURST[-_]?(?P<stamp>\d*)", re.IGNORECASE)
_BURST_STAMP = 8
"""Digits behind BURST from which they are the time of the whole burst; fewer only count its frames."""
_COPY_NUMBER = re.compile(r"(?P<name>.*?)(?P<copy>\(\d+\))?", re.DOTALL)
_VIRTUAL_COPY = re.compile(r"(?P<stem>.+)_\d\d(?P<ext>\.[^.]+)")
_GOOGLE = "supplemental-metadata"
_GOOGLE_CUT = 46
"""Google cuts the name of its JSON to this many characters before '.json'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One photo or video with the files that move with it; paths as they were given."""

    photo: str
    """The file that is compared: the JPEG of RAW+JPEG, the still of a Live Photo, the original of an edit; or the video."""
    companions: tuple[str, ...] = ()
    """RAW, moving half, sidecars, edits; sorted."""
    edits: tuple[str, ...] = ()
    """The companions that are edited versions of the photo."""
    stay: str = ""
    """Why this unit must not move, one clause; '' when it may."""
    versions: tuple[str, ...] = ()
    """Photos with units of their own that may be edits of this one: their names alone do not say (`is_edit` does)."""
    originals: tuple[str, ...] = ()
    """The other way round: photos that this one may be an edit of."""

    @property
    def files(self) -> tuple[str, ...]:
        """The photo, then its companions."""
        return (self.photo, *self.companions)


@dataclass(slots=True)
class _Draft:
    """Most photos have nothing beside them, and a folder may hold all of a library: they share one empty set."""

    photo: str
    companions: AbstractSet[str] = frozenset()
    edits: AbstractSet[str] = frozenset()
    versions: AbstractSet[str] = frozenset()
    originals: AbstractSet[str] = frozenset()
    stay: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """When and with which camera a photo was taken, and its content: an edit has them from its original."""

    content: str
    captured: float | None
    camera: str


_SAME_SECOND = 1.0
"""Editors drop the fractions of a second."""


def is_edit(original: Shot | None, version: Shot | None) -> bool | None:
    """Whether a photo that is named like an edit of `original` is one: another file of the same shot.

    None while one of the two has not been read: until then both stay.
    """
    if original is None or version is None:
        return None
    if original.content == version.content or not original.camera or original.camera != version.camera:
        return False
    if original.captured is None or version.captured is None:
        return False
    return abs(original.captured - version.captured) <= _SAME_SECOND


def extension(path: str) -> str:
    """Lower-case extension without its dot."""
    name = _name(path)
    return name.rpartition(".")[2].lower() if "." in name else ""


def is_photo(path: str) -> bool:
    """True when the name is that of a picture, RAW included."""
    return extension(path) in PHOTOS or extension(path) in RAWS


def is_raw(path: str) -> bool:
    """True when the name is that of a camera RAW file."""
    return extension(path) in RAWS


def is_clip(path: str) -> bool:
    """True when the name can be that of the moving half of a photo."""
    return extension(path) in CLIPS or _MOTION_CLIP.fullmatch(_name(path)) is not None


def is_video(path: str) -> bool:
    """True when the name is that of a video: one of its own, or the moving half of a photo."""
    return extension(path) in VIDEOS or is_clip(path)


def travels_alone(path: str) -> bool:
    """True for a companion that means nothing without its photo, so that nothing is hidden when it moves along."""
    return extension(path) in SIDECARS


def units_in(paths: Iterable[str]) -> dict[str, Unit]:
    """The units among these files (relative paths, of one folder or of many) by the path of their photo.

    Every picture, RAW and video is in exactly one unit. Files that belong to none (an orphan sidecar) are in none.
    Independent of the order of `paths`.
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
        self._videos = [path for path in files if is_video(path) and not is_photo(path)]
        self._sidecars = [path for path in files if extension(path) in SIDECARS]
        self._owner: dict[str, _Draft] = {}
        self._by_stem: dict[str, list[_Draft]] = {}
        self._by_shot: dict[str, list[_Draft]] = {}
        self._videos_by_stem: dict[str, list[_Draft]] = {}
        self._names: dict[str, list[str]] = {}
        for path in files:
            self._names.setdefault(_key(_name(path)), []).append(path)
        self._stems: dict[str, list[str]] = {}

    def units(self) -> list[Unit]:
        self._pair_raws()
        for path in self._owner:
            self._stems.setdefault(_key(_stem(path)), []).append(path)
        self._join_originals()
        self._join_edits()
        self._index_stems()
        for path in sorted(self._videos, key=lambda path: extension(path) == _PROXY):
            self._place_video(path)
        jsons = any(extension(path) == "json" for path in self._sidecars)
        self._google = _GoogleNames(self._owner if jsons else ())
        for path in self._sidecars:
            self._attach(path, self._owners_of_sidecar(path))
        self._keep_covers()
        self._propose_edits()
        return [
            Unit(
                photo=d.photo,
                companions=tuple(sorted(d.companions)),
                edits=tuple(sorted(d.edits)),
                stay=d.stay,
                versions=tuple(sorted(d.versions)),
                originals=tuple(sorted(d.originals)),
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
            for path in [path for path in shot if extension(path) in LAYERED]:
                shot.remove(path)
                self._own(_Draft(path))
            raws = [path for path in shot if is_raw(path)]
            pictures = [path for path in shot if not is_raw(path)]
            if len(pictures) == 1:
                self._own(_Draft(pictures[0], frozenset(raws)))
                continue
            for path in shot:
                self._own(_Draft(path))
            if raws and pictures:
                self._doubt(shot, raws[0])

    def _join_originals(self) -> None:
        """Join what a Pixel phone made of a shot (COVER) and its source (ORIGINAL)."""
        covers: dict[str, list[str]] = {}
        for path in self._photos:
            stem = _stem(path)
            cover = None if _PIXEL_ORIGINAL.fullmatch(stem) else _PIXEL_COVER.fullmatch(stem)
            if cover and self._owner[path].photo == path:
                covers.setdefault(_key(cover["shot"]), []).append(path)
        for path in self._photos:
            original = _PIXEL_ORIGINAL.fullmatch(_stem(path))
            if original and self._owner[path].photo == path:
                shown = covers.get(_key(original["shot"]), [])
                self._join(path, [self._owner[cover] for cover in shown])

    def _join_edits(self) -> None:
        described = self._described()
        for path in self._photos:
            if self._owner[path].photo != path:
                continue
            stem = unicodedata.normalize("NFC", _stem(path))
            original = _original_stem(stem)
            if original is None and described and path not in described:
                # Google describes every photo but the edited ones, whose original it describes.
                named = _perhaps_original_stem(stem)
                original = named if described.intersection(self._stems.get(_key(named or ""), ())) else None
            if original is not None:
                owners = {id(o): o for p in self._stems.get(_key(original), ()) if (o := self._owner[p])}
                self._join(path, owners.values())

    def _join(self, path: str, owners: Iterable[_Draft]) -> None:
        """Make the photo at `path`, with its unit, part of the unit of its owner, when it has exactly one."""
        draft = self._owner[path]
        others = [owner for owner in owners if owner is not draft]
        if len(others) == 1:
            owner = others[0]
            owner.edits |= draft.edits | (set[str]() if is_raw(path) else {path})
            owner.companions |= {path} | draft.companions
            owner.stay = owner.stay or draft.stay
            for file in (path, *draft.companions):
                self._owner[file] = owner
        elif others:
            self._doubt([path, *(o.photo for o in others)], path)

    def _described(self) -> set[str]:
        """The photos that a Google JSON describes, by its full name."""
        jsons = [path for path in self._sidecars if extension(path) == "json"]
        google = _GoogleNames(self._photos) if jsons else None
        return {photo for path in jsons if google for photo in google.about(*_numbered(_stem(path)))}

    def _propose_edits(self) -> None:
        """Note possible edits by their names. The caller, who knows the photos' contents, asks `is_edit`."""
        for draft in filter(lambda draft: is_photo(draft.photo), self._drafts()):
            original = _perhaps_original_stem(unicodedata.normalize("NFC", _stem(draft.photo)))
            for path in self._stems.get(_key(original or ""), ()):
                owner = self._owner[path]
                if owner is not draft:
                    owner.versions = _with(owner.versions, draft.photo)
                    draft.originals = _with(draft.originals, owner.photo)

    def _index_stems(self) -> None:
        pictures = {_key(_stem(path)) for path in self._owner if extension(path) not in LAYERED}
        for path, draft in self._owner.items():
            stem = _stem(path)
            if extension(path) in LAYERED and _key(stem) in pictures:
                continue
            _add(self._by_stem, stem, draft)
            for shot in _shots(stem):
                _add(self._by_shot, shot, draft)

    def _place_video(self, path: str) -> None:
        """Put a video into the unit of its photo or film; else make it a unit, which stays if it could belong to several."""
        owners = self._owners_of_clip(path) if is_clip(path) else []
        if extension(path) == _PROXY:
            owners = [
                d for stem in _stems_of_proxy(_stem(path)) for d in self._videos_by_stem.get(_key(stem), ())
            ]
        if len(owners) != 1:
            disc = next((part for part in path.split("/")[:-1] if part.casefold() in DISCS), "")
            alone = _Draft(path, stay=f"it is a part of {disc}" if disc else "")
            self._own(alone)
            _add(self._videos_by_stem, _stem(path), alone)
            owners = [*owners, alone] if owners else []
        self._attach(path, owners)

    def _owners_of_clip(self, path: str) -> list[_Draft]:
        stems = list(_stems_of_clip(unicodedata.normalize("NFC", _name(path))))
        for by, stem in product((self._by_stem, self._by_shot), stems):
            if drafts := by.get(_key(stem)):
                return drafts
        return []

    def _owners_of_sidecar(self, path: str) -> list[_Draft]:
        base = _stem(path)
        if named := self._named(base):
            return named
        if extension(path) == "json":
            return self._owners_of_json(base)
        match = _VIRTUAL_COPY.fullmatch(base)
        if match and (named := self._named(match["stem"] + match["ext"])):
            return named
        if match := _APPLE_ORIGINAL_ADJUSTMENT.fullmatch(base):
            return self._called(match["head"] + match["number"])
        return self._called(base)

    def _called(self, stem: str) -> list[_Draft]:
        """Photos of this stem, else videos."""
        return self._by_stem.get(_key(stem)) or self._videos_by_stem.get(_key(stem), [])

    def _owners_of_json(self, base: str) -> list[_Draft]:
        """'a.jpg.json', 'a.jpg.supplemental-metadata.json' (both cut), 'a.jpg(1).json' for 'a(1).jpg'."""
        about = self._google.about(*_numbered(base))
        owners = {id(draft): draft for path in about if (draft := self._owner.get(path))}
        return list(owners.values()) or self._called(base)

    def _named(self, name: str) -> list[_Draft]:
        """Owners of the files of this name: of exactly this one, else of those that differ in case or Unicode form."""
        paths = self._names.get(_key(name), [])
        exact = [path for path in paths if _name(path) == name]
        owners = (self._owner.get(path) for path in exact or paths)
        return list({id(draft): draft for draft in owners if draft}.values())

    def _own(self, draft: _Draft) -> None:
        for path in (draft.photo, *draft.companions):
            self._owner[path] = draft

    def _attach(self, path: str, owners: list[_Draft]) -> None:
        if len(owners) == 1:
            owners[0].companions = _with(owners[0].companions, path)
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
                stamped = len(match["stamp"]) >= _BURST_STAMP
                bursts.setdefault(_key(match["stamp"] if stamped else match["before"]), []).append(draft)
        for frames in bursts.values():
            for draft in frames if len(frames) > 1 else []:
                if "COVER" in _stem(draft.photo).upper():
                    draft.stay = draft.stay or "it is the cover of a burst"


class _GoogleNames:
    """An index by name: finds the photos (and moving halves) that a Google JSON describes."""

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
        name = unicodedata.normalize("NFC", name)
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
    """The stem of the photo that this one surely is an edit of, by Apple's, Google's or osxphotos' naming; None for no edit."""
    if match := _APPLE_EDIT.fullmatch(stem):
        return match["head"] + match["number"]
    if match := _EDIT_SUFFIX.fullmatch(stem) or _OSXPHOTOS_EDIT.fullmatch(stem):
        return match["stem"] + (match["copy"] or "")
    if match := _MOTION_EDIT.fullmatch(stem):
        return match["stem"]
    match = _WORD_SUFFIX.fullmatch(stem)
    if match is None or len(stem.removesuffix(match["copy"] or "")) < _TAKEOUT_CUT:
        return None
    cut = any(word.startswith(match["word"].casefold()) for word in _EDIT_WORDS)
    return match["stem"] + (match["copy"] or "") if cut else None


def _perhaps_original_stem(stem: str) -> str | None:
    """The stem of the photo that this one may be an edit of: Google writes '-edited' in the user's language."""
    if match := _SAVED_AGAIN.fullmatch(stem):
        return match["stem"] + (match["copy"] or "")
    match = _WORD_SUFFIX.fullmatch(stem)
    if match is None or match["word"].casefold() in _COPY_WORDS or not _is_word(match["word"]):
        return None
    return match["stem"] + (match["copy"] or "")


def _is_word(text: str) -> bool:
    """True for one or more words of letters in any script."""
    return text[:1].isalpha() and all(unicodedata.category(c)[0] in "LM" or c in " '’" for c in text)


def _stems_of_clip(name: str) -> Iterator[str]:
    """Stems that the photo of a moving half may have, surest first."""
    if _MOTION_CLIP.fullmatch(name):
        yield name
        if match := _NUMBERED_CLIP.fullmatch(name):
            yield match["stem"] + match["tail"] + match["copy"]
    stem = _stem(name)
    yield stem
    bare = stem[: -len(_HEVC)] if stem.casefold().endswith(_HEVC) else stem
    yield bare
    if match := _APPLE_EDIT.fullmatch(bare):
        yield match["head"] + match["number"]
    yield from _shots(stem)


def _stems_of_proxy(stem: str) -> Iterator[str]:
    yield stem
    if stem[:2].casefold() == "gl":
        yield from (start + stem[2:] for start in ("gx", "gh"))


def _shots(stem: str) -> Iterator[str]:
    """What a Pixel's photo, edit and clips of one shot have in common."""
    if match := _SAVED_AGAIN.fullmatch(stem):
        stem = match["stem"]
        yield stem
    if match := _PIXEL.fullmatch(stem):
        yield match["shot"]


def _numbered(base: str) -> tuple[str, str]:
    """'a.jpg', '(1)' of 'a.jpg(1)'; the number is '' when there is none."""
    match = _COPY_NUMBER.fullmatch(base)
    assert match is not None
    return match["name"], match["copy"] or ""


def _add(to: dict[str, list[_Draft]], name: str, draft: _Draft) -> None:
    drafts = to.setdefault(_key(name), [])
    if draft not in drafts:
        drafts.append(draft)


def _with(files: AbstractSet[str], path: str) -> AbstractSet[str]:
    """These and this one: a set of their own grows, the empty one that all share is replaced."""
    if isinstance(files, set):
        files.add(path)
        return files
    return {*files, path}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    name = _name(path)
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def _key(name: str) -> str:
    # Cameras and systems disagree about case and Unicode form.
    return unicodedata.normalize("NFC", name).casefold()
