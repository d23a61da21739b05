"""Large families of look-alikes: the nearest at once, the rest in idle hours, nothing left out and nothing hidden."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import pytest
from blake3 import blake3

from dedupd.cli.commands.scan import _print
from dedupd.cli.commands.status import _print as print_status
from dedupd.core.photo import Candidate, Traits
from dedupd.core.records import DeferredRow
from dedupd.core.relations import Prospect
from dedupd.daemon import jobs
from dedupd.errors import VisionError
from dedupd.library import LibraryView, passes
from dedupd.pipeline import compare, families
from dedupd.pipeline.compare import Comparison
from dedupd.pipeline.review import status_view
from dedupd.ports import Proposal
from tests.support.jobs_rig import JobsRig
from tests.support.safe_points import at
from tests.support.shelf import Shelf

PHOTOS = 9


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


def family(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of one scene, each another exposure, of which two at a time are compared."""
    monkeypatch.setattr(families, "OTHERS", 2)
    for number in range(PHOTOS):
        shelf.add(f"2024/06/{number}.jpg", "lake", exposure=str(number))
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()


def with_one_unreadable(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> DeferredRow:
    """The next of a family that is left to compare, which cannot be read."""
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    (row,) = shelf.ledger.deferred.next(shelf.vision.model)
    shelf.vision.unreadable.add(row.content)
    return row


def pairs(shelf: Shelf) -> set[tuple[str, str]]:
    return {(p.a, p.b) for p in shelf.ledger.pairs.among(shelf.vision.index, shelf.vision.model)}


def attention(shelf: Shelf) -> str:
    view = status_view(shelf.ledger, shelf.library.roots.all, daemon="stopped", now=shelf.clock.now())
    return "\n".join(view.attention)


def work_until_it_rests(shelf: Shelf, rounds: int) -> None:
    """A daemon's jobs, one after another, that group and compare; it must rest in so many rounds."""
    rig = JobsRig(shelf)
    rig.jobs.recluster()
    done = 0
    while rig.engine.queued or rig.soon:
        rig.work()
        acts = [act for act in rig.soon if act in (rig.jobs.recluster, rig.jobs.compare_deferred)]
        rig.soon.clear()
        for act in acts:
            act()
        done += 1
        assert done < rounds


@pytest.mark.parametrize(
    ("together", "pairs_at_once"), [(1, 10_000), (4, 10_000), (32, 10_000), (32, 2 * PHOTOS)]
)
def test_the_rest_of_a_family_is_told_and_worked_off_to_the_last_pair(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, together: int, pairs_at_once: int
) -> None:
    monkeypatch.setattr(compare, "TOGETHER", together)
    monkeypatch.setattr(compare, "TOGETHER_PAIRS", pairs_at_once)
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    every = set(combinations(sorted(shelf.vision.index), 2))
    assert PHOTOS <= len(pairs(shelf)) < len(every)
    assert shelf.library.grouper.left()
    assert "large families of look-alikes" in attention(shelf)
    stops = iter([False, False, True] * 100)
    rounds = 0
    while shelf.library.grouper.left():
        shelf.library.grouper.compare_deferred(lambda: next(stops))
        rounds += 1
        assert rounds < 100
    assert rounds > 1 or together > 1, "it was stopped on the way"
    assert pairs(shelf) == every
    assert len(shelf.vision.proved) == len(set(shelf.vision.proved)), "none was measured twice"
    assert "look-alikes" not in attention(shelf)


@pytest.fixture
def searched(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The parts that the eyes searched for, by their place in all of one block; two pairs in each."""
    parts: list[int] = []
    usual = shelf.vision.candidates

    def candidates(*asked: Any) -> Iterator[list[Candidate]]:
        found = [pair for part in usual(*asked) for pair in part]
        for start in range(0, len(found), 2):
            parts.append(start // 2)
            yield found[start : start + 2]

    monkeypatch.setattr(shelf.vision, "candidates", candidates)
    return parts


EVERY = set(range(PHOTOS * (PHOTOS - 1) // 4))
"""Parts of a block of all photos."""


def whole_family(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of its pairs is compared at once; one photo is compared when all the others were."""
    monkeypatch.setattr(families, "OTHERS", 0)
    for number in range(PHOTOS):
        shelf.add(f"2024/06/{number}.jpg", "lake", exposure=str(number))
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    shelf.library.grouper.regroup()
    assert shelf.library.grouper.left() == PHOTOS - 1 and not pairs(shelf)


def test_people_wait_for_one_search_of_an_idle_hour_and_it_goes_on_where_it_was(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    rounds = 0
    while shelf.library.grouper.left():
        before = len(searched)
        shelf.library.grouper.compare_deferred(lambda: True)
        rounds += 1
        assert len(searched) <= before + 1
    assert set(searched) == EVERY
    assert len(searched) == len(EVERY), "no search is made twice"
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert waiting(shelf) == ["2024-06"]


def test_a_search_whose_pairs_were_not_measured_to_the_end_is_not_taken_for_done(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    monkeypatch.setattr(compare, "PROOFS", (1, 1))
    while shelf.library.grouper.left():
        shelf.library.grouper.compare_deferred(lambda: True)
    assert len(searched) == len(EVERY)
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert len(shelf.vision.proved) == len(set(shelf.vision.proved))


def test_what_could_not_be_read_in_a_part_is_told_at_the_end_of_all(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    first = min(shelf.vision.index)
    shelf.vision.unreadable.add(first)
    shelf.library.grouper.compare_deferred(lambda: True)
    shelf.vision.unreadable.clear()
    while shelf.library.grouper.compare_deferred():
        pass
    assert first in {row.content for row in shelf.ledger.deferred.next(shelf.vision.model, PHOTOS)}
    shelf.clock.advance(compare.SET_ASIDE_SECONDS + 1)
    while shelf.library.grouper.compare_deferred():
        pass
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert not shelf.library.grouper.left()


@pytest.mark.parametrize("within", [False, True])
def test_a_photo_that_left_and_came_back_meanwhile_meets_what_came_while_it_was_away(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int], within: bool
) -> None:
    """The search for it has passed by what came; of its own return the nearest are compared at once."""
    whole_family(shelf, monkeypatch)
    monkeypatch.setattr(families, "OTHERS", 2)
    files = {f.content: f.path for f in shelf.ledger.files.live_in_month(shelf.row.id, "2024-06")}
    gone = sorted(files, key=str)[-2]
    assert gone
    usual = shelf.vision._candidate

    def candidate(a: str, b: str) -> Candidate | None:
        """One that came resembles the photo alone, and less than its family does."""
        if gone in (a, b) and "bridge" in (shelf.vision.index[a]["scene"], shelf.vision.index[b]["scene"]):
            return Candidate(a=a, b=b, cosine=0.8, hash_distance=18)
        return usual(a, b)

    monkeypatch.setattr(shelf.vision, "_candidate", candidate)

    def come_and_go() -> None:
        os.rename(shelf.path(files[gone]), shelf.at / "elsewhere")
        shelf.library.roots.reconcile()
        shelf.add("2024/06/new.jpg", "bridge")
        shelf.look()
        os.rename(shelf.at / "elsewhere", shelf.path(files[gone]))
        shelf.look()

    if within:
        assert shelf.library.grouper.compare_deferred(at(2, come_and_go), seconds=0), (
            "it goes on without delay"
        )
    else:
        for _ in range(2):
            shelf.library.grouper.compare_deferred(lambda: True)
        come_and_go()
    while shelf.library.grouper.left():
        shelf.library.grouper.compare_deferred()
    (new,) = (c for c, shown in shelf.vision.index.items() if shown["scene"] == "bridge")
    assert tuple(sorted((gone, new))) in pairs(shelf)


def test_a_month_grouped_again_with_a_photo_that_cannot_be_read_begins_no_search_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    monkeypatch.setattr(families, "OTHERS", PHOTOS)
    for _ in range(3):
        shelf.library.grouper.compare_deferred(lambda: True)
    unreadable = sorted(shelf.vision.index)[-2]
    shelf.vision.unreadable.add(unreadable)
    shelf.ledger.pairs.forget_compared([unreadable])
    shelf.ledger.months.mark_changed(shelf.row.id, "2024-06", shelf.clock.now())
    shelf.library.grouper.regroup()
    shelf.vision.unreadable.clear()
    while shelf.library.grouper.left():
        shelf.library.grouper.compare_deferred()
        shelf.clock.advance(compare.SET_ASIDE_SECONDS + 1)
    assert searched[:5] == [0, 1, 2, 3, 4]
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))


def test_nothing_is_held_of_a_family_that_is_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_family(shelf, monkeypatch)
    usual, held = shelf.vision.candidates, [0]

    def candidates(*asked: Any) -> Iterator[list[Candidate]]:
        held[0] += 1
        try:
            for part in usual(*asked):
                yield from ([pair] for pair in part)
        finally:
            held[0] -= 1

    monkeypatch.setattr(shelf.vision, "candidates", candidates)
    shelf.library.grouper.compare_deferred(lambda: True)
    assert held == [1]
    monkeypatch.setattr(shelf.library.grouper, "left", lambda: 0)
    assert not shelf.library.grouper.compare_deferred()
    assert held == [0]


def test_whoever_comes_in_between_may_go_on_with_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    """Scans that people asked the daemon for, each stopped itself somewhere, the last one not."""
    whole_family(shelf, monkeypatch)
    monkeypatch.setattr(compare, "PROOFS", (1, 1))
    asked, ends = 0, {1: [False, True], 4: [True], 6: [False, False, True], 14: [False] * 100}

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked in ends:
            shelf.library.grouper.compare_deferred(iter(ends[asked]).__next__)
        return False

    shelf.library.grouper.compare_deferred(stop)
    assert asked >= 14
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert not shelf.library.grouper.left()


def test_a_family_of_which_the_index_was_lost_meanwhile_is_begun_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    for _ in range(3):
        shelf.library.grouper.compare_deferred(lambda: True)
    shelf.vision.index.clear()
    assert shelf.library.grouper.compare_deferred()
    assert searched[:4] == [0, 1, 2, 0]
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))


def test_a_search_that_failed_is_begun_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, searched: list[int]
) -> None:
    whole_family(shelf, monkeypatch)
    usual = shelf.vision.candidates

    def failing(*asked: Any) -> Iterator[list[Candidate]]:
        for number, part in enumerate(usual(*asked)):
            if number == 3:
                raise VisionError("the vision worker hung twice")
            yield part

    with monkeypatch.context() as patch:
        patch.setattr(shelf.vision, "candidates", failing)
        with pytest.raises(VisionError):
            shelf.library.grouper.compare_deferred()
    assert shelf.library.grouper.left() == PHOTOS - 1
    assert shelf.library.grouper.compare_deferred()
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))


def test_a_family_worked_off_gives_the_groups_of_one_compared_at_once(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    assert shelf.library.grouper.compare_deferred()
    shelf.library.grouper.regroup()
    monkeypatch.undo()
    other = Shelf(tmp_path / "other")
    try:
        for number in range(PHOTOS):
            other.add(f"2024/06/{number}.jpg", "lake", exposure=str(number))
        other.look()
        assert shelf.stars() == other.stars()
    finally:
        other.close()


def test_what_the_eyes_cut_is_left_for_later(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    family(shelf, monkeypatch)
    monkeypatch.undo()
    usual = shelf.vision.propose

    def propose(*asked: Any) -> Iterator[Proposal]:
        for part in usual(*asked):
            yield replace(part, pairs=part.pairs[:3], cut=sorted(part.fresh)[:5])

    monkeypatch.setattr(shelf.vision, "propose", propose)
    shelf.library.grouper.regroup()
    assert shelf.library.grouper.left() == 5


def test_look_alikes_are_shown_without_being_aligned_and_never_move(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    usual = shelf.vision.propose

    def propose(*asked: Any) -> Iterator[Proposal]:
        for part in usual(*asked):
            yield replace(part, pairs=[replace(p, unlike=True, cosine=0.95) for p in part.pairs])

    monkeypatch.setattr(shelf.vision, "propose", propose)
    shelf.pass_()
    assert shelf.vision.proved == []
    assert not shelf.library.grouper.left()
    members = [member for group in shelf.ledger.groups.all() for member in group.members]
    assert {(m.role, str(m.relation)) for m in members} == {("review", "similar")}
    assert all("was not compared pixel by pixel" in str(m.evidence.only_here) for m in members)


def test_shots_of_other_moments_are_shown_as_look_alikes_and_only_a_burst_or_copy_is_aligned(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "OTHERS", 2)
    shots = [0.0, 100.0, 200.0, 300.0, 301.0]  # the last two: a burst
    content = [
        blake3(
            shelf.add(
                f"2024/06/{n}.jpg", "lake", exposure=str(n), camera="Maker|One|7", captured=1000.0 + s
            ).read_bytes()
        ).hexdigest()
        for n, s in enumerate(shots)
    ]
    shelf.small("2024/06/sent.jpg", "lake", rendering="sent")
    shelf.pass_()
    while shelf.library.grouper.left():
        shelf.library.grouper.compare_deferred()
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2)), "all are known"
    moments = {frozenset(pair) for pair in combinations(content, 2)} - {frozenset(content[3:])}
    proved = {frozenset(pair) for pair in shelf.vision.proved}
    assert not proved & moments
    assert len(proved) == 1 + len(shots), "the burst, and each shot with the one that has no date"
    told = [
        m.evidence.only_here for g in shelf.ledger.groups.all() for m in g.members if m.relation == "similar"
    ]
    assert told and all("shows another moment" in clauses for clauses in told)


def test_a_photo_is_not_taken_for_compared_before_the_rest_is_noted(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)

    def killed(*later: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shelf.ledger.deferred, "add", killed)
        with pytest.raises(KilledError):
            shelf.library.grouper.regroup()
    assert waiting(shelf) == ["2024-06"]
    shelf.library.grouper.regroup()
    shelf.library.grouper.compare_deferred()
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))


def waiting(shelf: Shelf) -> list[str]:
    return [m.month for m in shelf.ledger.months.all() if m.waiting]


class KilledError(Exception):
    """The process ended here."""


def test_a_kill_between_two_photos_leaves_the_month_of_the_first_to_be_grouped(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    before = shelf.library.grouper.left()
    assert waiting(shelf) == []
    usual, asked = shelf.vision.candidates, list[str]()
    monkeypatch.setattr(compare, "TOGETHER", 1)

    def candidates(contents: list[str], *rest: Any) -> Any:
        asked.extend(contents)
        if len(asked) == 2:
            raise KilledError
        return usual(contents, *rest)

    monkeypatch.setattr(shelf.vision, "candidates", candidates)
    with pytest.raises(KilledError):
        shelf.library.grouper.compare_deferred()
    assert shelf.library.grouper.left() == before - 1
    assert waiting(shelf) == ["2024-06"]


def test_what_cannot_be_read_now_is_told_until_it_was_compared_and_no_kill_comes_between(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = with_one_unreadable(shelf, monkeypatch)

    def killed(*month: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shelf.ledger.months, "mark_changed", killed)
        with pytest.raises(KilledError):
            shelf.library.grouper.compare_deferred()
    assert shelf.ledger.deferred.next(shelf.vision.model) == [row]
    shelf.library.grouper.compare_deferred()
    assert "could not be read" in attention(shelf)
    shelf.vision.unreadable.clear()
    tried = len(shelf.vision.proved)
    assert not shelf.library.grouper.compare_deferred(), "not at once"
    assert len(shelf.vision.proved) == tried
    shelf.clock.advance(compare.SET_ASIDE_SECONDS + 1)
    while shelf.library.grouper.compare_deferred():
        pass
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert not shelf.library.grouper.left()


def test_a_daemon_rests_beside_a_photo_that_cannot_be_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked for it at once again, for ever."""
    row = with_one_unreadable(shelf, monkeypatch)
    work_until_it_rests(shelf, rounds=50)
    assert shelf.library.grouper.left()
    bad = {pair for pair in combinations(sorted(shelf.vision.index), 2) if row.content in pair}
    assert pairs(shelf) >= set(combinations(sorted(shelf.vision.index), 2)) - bad


def test_a_pair_of_which_one_could_not_be_read_is_told_and_measured_later(shelf: Shelf) -> None:
    """One error of a disk: the month was taken for compared, and nothing told that it was not."""
    shelf.add("2024/06/a.jpg", "lake", "1")
    shelf.look()
    (content,) = shelf.vision.index
    shelf.add("2024/06/b.jpg", "lake", "1", "small", width=800, height=600)
    shelf.vision.unreadable.add(content)
    shelf.look()
    assert not pairs(shelf)
    assert "could not be read" in attention(shelf)
    shelf.vision.unreadable.clear()
    shelf.again()
    assert shelf.library.grouper.compare_deferred()
    assert len(pairs(shelf)) == 1
    assert waiting(shelf) == ["2024-06"]
    shelf.look()
    assert shelf.stars()
    assert "could not be read" not in attention(shelf)


def test_a_pair_of_which_one_was_away_with_its_disk_is_measured_when_it_is_back(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, roots=("Pictures", "Old"))
    try:
        shelf.add("2024/06/b.jpg", "lake", "1", "small", root=1, width=800, height=600)
        shelf.look()
        os.rename(shelf.roots[1], tmp_path / "away")
        shelf.add("2024/06/a.jpg", "lake", "1")
        shelf.look()
        assert not pairs(shelf)
        os.rename(tmp_path / "away", shelf.roots[1])
        shelf.look()
        assert len(pairs(shelf)) == 1
    finally:
        shelf.close()


def test_a_photo_that_an_index_lost_is_not_taken_for_one_without_relatives(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    every = set(combinations(sorted(shelf.vision.index), 2))
    shelf.vision.index.clear()
    shelf.again()
    assert shelf.library.grouper.compare_deferred()
    assert pairs(shelf) == every


def test_a_photo_that_cannot_be_looked_at_again_waits_until_it_can(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    (row,) = shelf.ledger.deferred.next(shelf.vision.model)
    del shelf.vision.index[row.content]
    monkeypatch.setattr(shelf.vision, "missing", lambda contents: [c for c in contents if c == row.content])
    assert shelf.library.grouper.compare_deferred()
    place = (row.place, shelf.vision.model, row.rules)
    assert shelf.ledger.pairs.not_compared([row.content], *place) == [row.content]
    assert waiting(shelf) == ["2024-06"]


def test_a_daemon_goes_on_by_itself_until_nothing_is_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    monkeypatch.setattr(jobs, "FAMILY_SECONDS", 0.0)  # one photo at a time
    work_until_it_rests(shelf, rounds=100)
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))
    assert not shelf.library.grouper.left()
    assert waiting(shelf) == []


def unrelated(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, to: str = "") -> None:
    """Photos that resemble each other enough to be compared, and are nothing to each other; but all to one, if named."""
    usual = shelf.vision._candidate

    def candidate(a: str, b: str) -> Candidate | None:
        pair = usual(a, b)
        return replace(pair, cosine=0.72, hash_distance=30) if pair and to not in (a, b) else pair

    monkeypatch.setattr(shelf.vision, "_candidate", candidate)


def told_in_the_log(shelf: Shelf) -> int:
    text = (shelf.root / "2024/duplicates_summary/2024-06.json").read_text()
    return int(json.loads(text)["left_to_compare"])


def test_no_month_waits_for_look_alikes_that_change_no_group(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of photos are worked off for hours: whoever asks whether all is settled is not told 'no' all that time."""
    unrelated(shelf, monkeypatch)
    family(shelf, monkeypatch)
    monkeypatch.setattr(compare, "TOGETHER", 1)
    monkeypatch.setattr(jobs, "FAMILY_SECONDS", 0.0)
    rig = JobsRig(shelf)
    rig.jobs.recluster()
    rig.work()
    left = [shelf.library.grouper.left()]
    assert told_in_the_log(shelf) == left[0]
    while left[-1]:
        assert rig.jobs.compare_deferred in rig.soon and rig.jobs.recluster not in rig.soon
        rig.soon.clear()
        rig.jobs.compare_deferred()
        rig.work()
        left.append(shelf.library.grouper.left())
        assert waiting(shelf) == [] and told_in_the_log(shelf) == left[-1] < left[-2]
    assert rig.jobs.compare_deferred not in rig.soon and rig.jobs.recluster not in rig.soon
    assert pairs(shelf) == set(combinations(sorted(shelf.vision.index), 2))


def test_no_kill_leaves_a_month_grouped_without_a_pair_that_changes_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair is known afterwards, and is not found again."""
    for number in range(PHOTOS):
        shelf.add(f"2024/06/{number}.jpg", "lake", exposure=str(number))
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    unrelated(shelf, monkeypatch, to=min(shelf.vision.index))
    monkeypatch.setattr(families, "OTHERS", 0)
    shelf.library.grouper.regroup()
    assert waiting(shelf) == []

    def killed(*ended: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shelf.ledger.deferred, "remove", killed)
        with pytest.raises(KilledError):
            shelf.library.grouper.compare_deferred()
    assert waiting(shelf) == ["2024-06"]


@pytest.mark.parametrize("by_scan", [True, False])
def test_no_kill_leaves_a_log_that_tells_of_what_is_left_no_more(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, by_scan: bool
) -> None:
    """The last of a family was compared, changed no group, and nothing would ever have counted again (P15)."""
    unrelated(shelf, monkeypatch)
    family(shelf, monkeypatch)
    rig = JobsRig(shelf)
    rig.jobs.recluster()
    rig.work()
    assert told_in_the_log(shelf) == shelf.library.grouper.left() > 0

    def killed(*months: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shelf.library.summaries, "rewrite", killed)
        rig.jobs.compare_deferred()
        with pytest.raises(KilledError):
            rig.work()
    assert not shelf.library.grouper.left() and told_in_the_log(shelf)
    shelf.again()
    if by_scan:
        shelf.library.scan(dry_run=True)
        assert told_in_the_log(shelf), "nothing is written below a root"
        shelf.library.scan()
    else:
        rig = JobsRig(shelf)
        rig.jobs.recluster()
        rig.work()
    assert told_in_the_log(shelf) == 0
    assert not shelf.library.grouper.worked_off()


def test_a_month_of_a_disk_that_is_away_asks_for_no_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two minutes of idle hours, each of them a pass over all there is."""
    shelf = Shelf(tmp_path, roots=("Pictures", "Old"))
    try:
        unrelated(shelf, monkeypatch)
        family(shelf, monkeypatch)
        shelf.add("2024/07/b.jpg", "hill", root=1)
        shelf.library.roots.reconcile()
        shelf.library.passes.ingest()
        shelf.library.grouper.regroup()
        os.rename(shelf.roots[1], tmp_path / "away")
        shelf.library.roots.reconcile()
        (old,) = (row for row in shelf.ledger.roots.all() if not row.online)
        shelf.ledger.months.mark_changed(old.id, "2024-07", shelf.clock.now())
        rig = JobsRig(shelf)
        rig.jobs.compare_deferred()
        rig.work()
        assert not shelf.library.grouper.left() and rig.jobs.recluster not in rig.soon
    finally:
        shelf.close()


def test_eyes_are_told_what_rests_on_what_they_measure() -> None:
    one = Traits(
        content="a" * 64, recipe="1", model="", format="JPEG", width=800, height=600, phash=0, dhash=0, captured=1000.0,
        camera="one", jpeg_quality=92.0,
    )  # fmt: skip
    other = replace(one, content="b" * 64, captured=1010.0)
    undated = replace(one, content="c" * 64, captured=None, width=one.width // 2)

    def asked(b: Traits, cosine: float | None = 0.8, bits: int = 9) -> Prospect:
        pair = Candidate(a=one.content, b=b.content, cosine=cosine, hash_distance=bits)
        paths = {one.content: "/a", b.content: "/b"}
        found = Comparison._request(cast("Any", None), pair, {one.content: one, b.content: b}, paths)
        assert found is not None
        return found.may

    neither = Prospect(asked=False, by_hashes=False)
    assert asked(other) == replace(neither, moment=True)
    assert asked(other, bits=2) == replace(neither, moment=True), "two shots, however alike"
    assert asked(undated) == replace(neither, asked=True)
    assert asked(undated, bits=6) == replace(neither, asked=True, likely=True)
    assert asked(replace(other, captured=1001.0), None) == Prospect(burst=True, shot_twice=True, moment=True)


def test_status_tells_how_many_are_left_without_being_busy(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    view = status_view(shelf.ledger, shelf.library.roots.all, daemon="running", now=shelf.clock.now())
    assert view.look_alikes_left == shelf.library.grouper.left() > 0
    view.works_off_look_alikes = True
    print_status(view)
    assert f"look-alikes: {view.look_alikes_left} photo(s) left" in capsys.readouterr().out
    view.works_off_look_alikes = False
    print_status(view)
    assert "idle " not in capsys.readouterr().out


def test_a_ledger_of_before_such_families_can_be_looked_at(shelf: Shelf) -> None:
    shelf.add("2024/06/a.jpg")
    shelf.look()
    with shelf.ledger.transaction():
        shelf.ledger._link.execute("DROP TABLE deferred")
    with closing(LibraryView(shelf.library.settings, shelf.library.places)) as view:
        assert view.status().photos == 1


def test_a_daemon_does_not_ask_for_ever_for_what_it_cannot_do(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    shelf.library.grouper.regroup()
    shelf.vision.model = "another"  # the one in the ledger is not to be had
    rig = JobsRig(shelf)
    rig.jobs.compare_deferred()
    rig.work()
    assert rig.soon == []


def test_a_scan_says_what_is_left(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "SCAN_DEFERRED", 0)
    family(shelf, monkeypatch)
    outcome = shelf.library.scan(dry_run=True)
    assert outcome.left_to_compare == shelf.library.grouper.left() > 0
    told: list[str] = []
    _print(outcome, told.append, dry_run=True)
    assert any("dedupd run" in line for line in told)


@pytest.mark.parametrize("month", ["06", "07"])
@pytest.mark.parametrize("closed", ["a", "b"])
def test_what_a_narrowed_scan_may_not_open_is_compared_by_the_next_one(
    shelf: Shelf, month: str, closed: str
) -> None:
    shelf.pair("2024/06/a.jpg", f"2024/{month}/b.jpg")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    shelf.library.grouper.regroup(opens=lambda file, root: not file.path.endswith(f"{closed}.jpg"))
    assert shelf.vision.proved == []
    shelf.library.grouper.regroup()
    assert len(shelf.vision.proved) == 1
    assert shelf.proposals()


def test_the_month_says_what_is_left(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    family(shelf, monkeypatch)
    shelf.library.summaries.rewrite(shelf.library.grouper.regroup())
    page = next(shelf.root.rglob("2024-06.md")).read_text()
    assert "large families of look-alikes" in page


def test_a_proposal_in_many_parts_is_compared_to_its_end(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "FRESH", 4)
    monkeypatch.setattr(compare, "ASKED", 4)
    shelf.vision.at_once = 1
    for number in range(5):
        shelf.pair(f"2024/06/a{number}.jpg", f"2024/06/b{number}.jpg", f"scene {number}")
    shelf.look()
    assert len(shelf.proposals()) == 5


def test_the_nearest_hashes_and_moments_come_first() -> None:
    def pair(number: int, distance: int, cosine: float) -> Candidate:
        return Candidate(a="0", b=f"{number:03}", cosine=cosine, hash_distance=distance)

    many = [pair(number, 30, 0.8 + number / 10_000) for number in range(1, 200)]
    near = [pair(number, 4, 0.7) for number in range(200, 300)]
    now, more = families.chosen([*many, *near], ["0"], {})
    assert more == {"0"}
    assert set(near) <= set(now)
    assert {p.b for p in now if p not in near} == {
        f"{number:03}" for number in range(200 - families.OTHERS, 200)
    }
    assert families.chosen(near, ["0"], {}) == (sorted(near, key=lambda p: p.b), set())


def test_a_search_that_came_further_without_an_answer_lets_others_in(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(shelf, monkeypatch)
    usual, came_in = shelf.vision.propose, list[int]()

    def propose(fresh: Sequence[str], *rest: Any) -> Iterator[Proposal]:
        for _ in range(3):
            yield Proposal(fresh=[], pairs=[], cut=[])
        yield from usual(fresh, *rest)

    monkeypatch.setattr(shelf.vision, "propose", propose)

    def stop() -> bool:
        came_in.append(1)
        return False

    shelf.library.grouper.regroup(stop=stop)
    assert len(came_in) > 6
    assert len(pairs(shelf)) >= PHOTOS
