"""The shapes of the JSON API for its OpenAPI page, taken from the messages themselves, so that they cannot
differ.

Owns the bodies of acts. Unlike on the socket, an unknown field is refused: half of an act must never be done
because of a misspelt word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from dedupd.protocol.limits import MANY_IDS
from dedupd.protocol.requests import Key

Id = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Ids = Annotated[list[Id], Meta(max_length=MANY_IDS)]
MANY_GROUPS = 5_000
"""Groups in one act: with their versions they fit into one message to the daemon."""
MonthName = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}$")]


class Yes(Struct, forbid_unknown_fields=True, kw_only=True):
    """Approve or reject a group."""

    version: int | None = None
    """The version that the client saw; 409 when it changed since. None: any version."""
    key: Key = ""
    """A request that is sent again with the same key gets the first answer and is not done again."""


class Keep(Struct, forbid_unknown_fields=True, kw_only=True):
    """The members are duplicates, and stay where they are."""

    version: int | None = None
    files: Ids | None = None
    """File ids; None: all members of the group that wait."""
    key: Key = ""


class Verdict(Struct, forbid_unknown_fields=True, kw_only=True):
    """A verdict for each picture, by file ids."""

    version: int | None = None
    keeper: Id | None = None
    """File id of another keeper; None: as proposed."""
    move: Ids = field(default_factory=list[int])
    different: Ids = field(default_factory=list[int])
    """Not duplicates of the keeper, for ever."""
    keep: Ids = field(default_factory=list[int])
    """Duplicates that stay where they are."""
    key: Key = ""


class Back(Struct, forbid_unknown_fields=True, kw_only=True):
    """Move files back: exactly one of moves and batches, group, month, last, all, held_changed."""

    moves: Ids = field(default_factory=list[int])
    batches: Annotated[list[str], Meta(max_length=MANY_IDS)] = field(default_factory=list[str])
    group: Id | None = None
    month: MonthName | None = None
    last: bool = False
    all: bool = False
    held_changed: bool = False
    key: Key = ""


class Seen(Struct, forbid_unknown_fields=True, kw_only=True):
    """A group, in the version the client saw."""

    id: Id
    version: int | None = None


class Many(Struct, forbid_unknown_fields=True, kw_only=True):
    """Approve these groups, or all that is proposed: exactly one of the two."""

    groups: Annotated[list[Seen], Meta(max_length=MANY_GROUPS)] = field(default_factory=list[Seen])
    all: bool = False
    """Everything that is proposed (not what is under review), and the first consent for the roots."""
    key: Key = ""


class Swap(Struct, forbid_unknown_fields=True, kw_only=True):
    """Exchange files in duplicates/ that hold more than their keeper with it; of all groups when none is
    named."""

    groups: Annotated[list[Seen], Meta(max_length=MANY_GROUPS)] = field(default_factory=list[Seen])
    key: Key = ""


class Unlearn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Forget these lessons."""

    lessons: Annotated[list[Id], Meta(min_length=1, max_length=MANY_IDS)]
    key: Key = ""


class Tried(Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings to try: what they would change is counted; nothing is changed."""

    tiers: Annotated[
        dict[Literal["exact", "copy", "burst", "similar"], Literal["move", "review", "off"]],
        Meta(extra_json_schema={"propertyNames": {"enum": ["exact", "copy", "burst", "similar"]}}),
    ] = field(default_factory=dict[Any, Any])
    threshold: float | None = None
    keep_policy: Literal["best", "oldest", "newest", "largest", "smallest", "lexi"] | None = None


class Nothing(Struct, forbid_unknown_fields=True, kw_only=True):
    """An empty answer."""


class Uploaded(Struct, kw_only=True):
    """One picture of a set; null in the place of one that cannot be read."""

    index: int
    name: str
    width: int
    height: int


class UploadedSet(Struct, kw_only=True):
    request_id: str
    images: list[Uploaded | None]


class Pair(Struct, kw_only=True):
    """Two pictures of a set by their index, a < b."""

    a: int
    b: int
    score: float
    """Similarity from 0 to 1: the embedder's cosine; with hashes alone, the share of equal bits."""
    relation: str
    """'exact' | 'copy' | 'burst' | 'similar'."""
    confidence: float | None
    """Probability that the relation holds; null when nothing was measured."""


class SetGroup(Struct, kw_only=True):
    keep: int
    duplicates: list[int]
    """Proven: in a library they would move without a person."""
    review: list[int]
    """In a library a person would be asked."""


class SetDuplicates(Struct, kw_only=True):
    pairs: list[Pair]
    groups: list[SetGroup]


class Problematic(Struct, kw_only=True):
    code: str
    message: str


class ErrorBody(Struct, kw_only=True):
    error: Problematic


_REF = "#/components/schemas/{name}"


def described(result: type[Struct], *errors: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route."""
    return {200: {"description": "Done", "content": _json(result)}} | refusals(*errors)


def refusals(*errors: int) -> dict[int | str, dict[str, Any]]:
    """The statuses with which a route may say no: these, and those of the door."""
    told = {"description": "What is wrong, in one sentence", "content": _json(ErrorBody)}
    return dict.fromkeys((400, 401, 429, *errors), told)


def takes(body: type[Struct]) -> dict[str, Any]:
    """The `openapi_extra` of a route with a JSON body."""
    return {"requestBody": {"required": False, "content": _json(body)}}


def _json(kind: type[Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def schemas(kinds: Sequence[type[Struct]]) -> dict[str, Any]:
    """`components.schemas` of these messages and all within."""
    return msgspec.json.schema_components(kinds, ref_template=_REF)[1]
