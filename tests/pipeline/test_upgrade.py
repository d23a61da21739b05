"""A newer dedupd that measures more: groups never outlive their proof, and who says yes hears of what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A copy in each of two months, grouped and waiting for a yes."""
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.pair("2024/07/c.jpg", "2024/07/d.jpg", "wood")
    shelf.look()
    yield shelf
    shelf.close()


def test_another_version_of_the_measures_measures_every_month_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.pipeline.recluster.MEASURES", "newer")
    monkeypatch.setattr("dedupd.pipeline.compare.MEASURES", "newer")
    shelf.again()
    shelf.library.grouper.regroup()
    assert shelf.ledger.get("rules").endswith(".newer")
    assert shelf.library.verdicts.approve_all().files == 2


def test_what_an_older_dedupd_proposed_does_not_move_before_it_is_compared_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.pipeline.recluster.MEASURES", "newer")
    monkeypatch.setattr("dedupd.pipeline.compare.MEASURES", "newer")
    shelf.again()
    before = shelf.files()
    said = shelf.library.verdicts.approve_all()  # the first thing after the upgrade
    assert said.files == 0
    assert shelf.files() == before
    assert all("it was never compared with its keeper as that is now" in m for m in said.messages)
    assert said.messages
    shelf.library.grouper.regroup()
    assert shelf.library.verdicts.approve_all().files == 2


def test_pairs_that_were_forgotten_leave_no_month_with_groups_that_cannot_move(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.pipeline.compare.MEASURES", "newer")
    shelf.again()
    shelf.add("2024/06/e.jpg", "sea")
    shelf.look()
    shelf.library.grouper.regroup()
    assert shelf.library.verdicts.approve_all().files == 2


def test_a_pair_that_was_never_aligned_is_no_proof(shelf: Shelf) -> None:
    """Look-alikes are kept without measures. A keeper may have become such a one since its group was formed."""
    rows = shelf.ledger.pairs.among(shelf.vision.index, shelf.vision.model)
    with shelf.ledger.transaction():
        shelf.ledger.pairs.put([replace(row, measures=None) for row in rows])
    said = shelf.library.verdicts.approve_all()
    assert said.files == 0
    assert len([m for m in said.messages if "stays: it was never compared" in m]) == 2


def test_who_says_yes_hears_of_every_file_that_stays(shelf: Shelf) -> None:
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()
    first, second = shelf.library.groups()
    said = shelf.library.verdicts.approve_all()
    assert said.files == 0
    assert [m for m in said.messages if "b.jpg stays: it was never compared" in m]
    assert [m for m in said.messages if "d.jpg stays: it was never compared" in m]
    assert shelf.library.movement.move().messages == []
    for group in (first, second):
        shelf.library.verdicts.approve([group.id])  # a person's word is proof enough
    assert shelf.ledger.journal.moves(held=True)
