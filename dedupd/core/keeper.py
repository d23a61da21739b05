"""Which photo of a group is the keeper, and the reasons in words.

Owns the order of keepers for each policy. Must never look at a file: everything comes from traits, size,
time and path. The order is total, so equal libraries give equal keepers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dedupd.core.formats import rank_of
from dedupd.core.photo import Traits

RankKey = tuple[Any, ...]
"""Sorts the better keeper first; comparable only within one policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One file of the library, with all that the choice of a keeper depends on."""

    id: int
    """The ledger's file id."""
    root: int
    month: str
    path: str
    """Relative to its root, '/' between parts."""
    content: str
    traits: Traits
    size: int
    """Bytes."""
    mtime: float
    protected: bool = False
    """It lies in a protected folder: preferred as keeper, and never moved without a person."""
    pinned: bool = False
    """It is the keeper of copies in duplicates/: it stays the keeper and never becomes a member."""
    stay: str = ""
    """Why it must not move without a person; '' when it may."""
    kept_by_person: bool = False
    """A person undid its move: it is never moved again without a person."""
    carries: int = 0
    """Number of its companions that mean something on their own: a RAW, a film, an edit."""
    companions: int = 0
    """Number of files that belong to it: RAW, Live Photo clip, sidecars."""
    belongs_to: str = ""
    """The photo whose clip or RAW it is. It is keeper before equal files that have no photo, and never a member, because it
    moves only with its photo."""


_EDITORS = re.compile(
    r"photoshop|lightroom|gimp|snapseed|picasa|paint|affinity|pixelmator|darktable|capture one|canva|vsco|photoscape"
    r"|acdsee|irfanview|xnview|instagram|facetune|meitu|remini|photos \d|imagemagick|faststone|polarr|pixlr",
    re.IGNORECASE,
)
_MESSENGER = re.compile(
    r"whatsapp|-WA\d{3,}|^signal-|^viber|^telegram|^photo_\d{4}-\d\d-\d\d|^received_|^FB_IMG|^messenger|^\d{6,}_n\b",
    re.IGNORECASE,
)
_COPY_NAME = re.compile(
    r"[ _]\(\d+\)$|[ _-](copy|copie|kopie|copia|kopia)\b|^(copy|copie|kopie|copia) (of|de|von|di)\b"
    r"|[-_ ](edited|edit|bearbeitet|small|thumb|resized|scaled|compressed|crop(ped)?)$|~\d$|_\d$",
    re.IGNORECASE,
)
_CONFLICT = re.compile(
    r"conflicted copy|case conflict|in konflikt stehende kopie|kopie in konflikt|copie en conflit|copia en conflicto"
    r"|copia in conflitto|\.sync-conflict-\d{8}-\d{6}|_conflict-\d{8}-\d{6}|\((SF)?conflict\b|\[conflict\b"
    r"|-(?-i:DESKTOP-[A-Z0-9]{7}|LAPTOP-[A-Z0-9]{8})(-\d+)?$",
    re.IGNORECASE,
)
"""How Dropbox, Nextcloud, ownCloud, Syncthing, Seafile and OneDrive name a copy made because of a sync conflict."""
_CONVERTED = rank_of("JPEG")


def rank_key(node: Node, policy: str = "best", *, in_burst: bool = False) -> RankKey:
    """The sort key of `node` as keeper under `policy`: the smallest key is the keeper. ValueError for an unknown policy.

    Sharpness counts only with `in_burst`: a sharpened or downscaled copy always looks sharper than its original.
    """
    try:
        own = _POLICIES[policy](node)
    except KeyError:
        raise ValueError(f"{policy!r} is no keep policy: use one of {', '.join(_POLICIES)}") from None
    sharpness = -round(2 * math.log2(1 + max(node.traits.sharpness, 0.0))) if in_burst else 0
    return (not node.protected, *own, sharpness, *_last_resort(node))


def better(node: Node, keeper: Node, policy: str = "best") -> bool:
    """True when `node` would be the better keeper than `keeper`, and not merely because of its name."""
    own = _POLICIES[policy]
    return own(node) < own(keeper)


def reasons(keeper: Node, other: Node, policy: str = "best") -> list[str]:
    """Why `keeper` is the keeper and not `other`, strongest reason first, one clause each; empty when they are equal."""
    found = [text for differs, text in _differences(keeper, other) if differs]
    if policy != "best":
        named = {
            "oldest": "oldest",
            "newest": "newest",
            "largest": "largest file",
            "smallest": "smallest file",
        }
        found.insert(0, f"policy: {named.get(policy, 'first by path')}")
    return found


def editor(traits: Traits) -> str:
    """The editor that the EXIF Software field names; '' for a camera's own firmware."""
    return traits.software if _EDITORS.search(traits.software) else ""


def _differences(keeper: Node, other: Node) -> list[tuple[bool, str]]:
    k, o = keeper.traits, other.traits
    return [
        (bool(keeper.belongs_to), f"belongs to {keeper.belongs_to.rpartition('/')[2]!r}"),
        (keeper.pinned and not other.pinned, "already keeps copies in duplicates/"),
        (keeper.protected and not other.protected, "lies in a protected folder"),
        (_strangeness(keeper) < _strangeness(other), _original_clause(keeper, other)),
        (
            keeper.companions > other.companions or keeper.carries > other.carries,
            "comes with companions (RAW, Live Photo or sidecar)",
        ),
        (_format(k) < _format(o), f"{k.format} rather than {o.format}"),
        (
            k.width * k.height > o.width * o.height,
            f"more pixels ({k.width}×{k.height}, not {o.width}×{o.height})",
        ),
        (
            None not in (k.jpeg_quality, o.jpeg_quality) and _quality(k) > _quality(o) + 2,
            f"less compressed (quality {_quality(k):.0f}, not {_quality(o):.0f})",
        ),
        (k.metadata_fields > o.metadata_fields, "richer metadata"),
        (_in_conflict(other) and not _in_conflict(keeper), "not a sync client's conflicting copy"),
        (_taken(keeper) < _taken(other), "older"),
        (_clutter(keeper.path) < _clutter(other.path), "cleaner name"),
    ]


def _original_clause(keeper: Node, other: Node) -> str:
    if keeper.traits.camera and not other.traits.camera:
        return "carries the camera's own data"
    if editor(other.traits) and not editor(keeper.traits):
        return f"not edited (the other: {other.traits.software})"
    return "looks like the original"


def _best(node: Node) -> RankKey:
    t = node.traits
    return (
        -node.carries,
        _strangeness(node),
        -node.companions,
        _format(t),
        -t.width * t.height,
        -round(_quality(t) / 3),
        -t.metadata_fields,
    )


def _strangeness(node: Node) -> int:
    """How little a file looks like a camera's own, 0 to 6."""
    t = node.traits
    # A date without a camera was written by hand, or by the program that made the copy.
    camera = 0 if t.camera and t.captured is not None else 1 if t.camera else 2
    return camera + (2 if editor(t) else 0) + (1 if _MESSENGER.search(_stem(node.path)) else 0)


def _format(traits: Traits) -> int:
    """The rank of its format. A HEIC without a camera was converted, so it is no better than a JPEG."""
    rank = rank_of(traits.format)
    return max(rank, _CONVERTED) if not traits.camera else rank


def _quality(traits: Traits) -> float:
    """JPEG quality, 1 to 100; other formats count as the middle of what cameras write."""
    return traits.jpeg_quality if traits.jpeg_quality is not None else 85.0


def _taken(node: Node) -> float:
    return node.traits.captured if node.traits.captured is not None else node.mtime


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _in_conflict(node: Node) -> bool:
    return _CONFLICT.search(_stem(node.path)) is not None


def _clutter(path: str) -> tuple[int, int]:
    """How much a name looks copied or garbled, then its length."""
    stem = _stem(path)
    marks = (_COPY_NAME.search(stem), _MESSENGER.search(stem), _CONFLICT.search(stem), not stem.isprintable())
    return (sum(map(bool, marks)), len(stem))


def _last_resort(node: Node) -> RankKey:
    # Before the age: a client may write the conflicting copy with the older time, and its name would stay for ever.
    return (_in_conflict(node), _taken(node), *_clutter(node.path), node.path, node.root, node.id)


_POLICIES: dict[str, Callable[[Node], RankKey]] = {
    "best": _best,
    "oldest": lambda node: (_taken(node), node.mtime),
    "newest": lambda node: (-_taken(node), -node.mtime),
    "largest": lambda node: (-node.size,),
    "smallest": lambda node: (node.size,),
    "lexi": lambda node: (node.path,),
}
