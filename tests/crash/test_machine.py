"""Owners, dedupd and crashes in any order: a state machine whose invariants are the promises.

What dedupd does never changes which contents are on the disk, nor how often; only its owner does that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.core.relocation import Goal, Move, MoveState, is_held
from dedupd.pipeline.relocate import undo_from_receipts
from tests.crash.killing import Act, run
from tests.crash.rig import FileOnDisk, Rig

FOLDERS = st.sampled_from(["2024/06", "2024/06/trip", "2024/2024-07-01", "x/y", "."])
NAMES = st.sampled_from(["a.jpg", "a (1).jpg", "b.jpg", "c.HEIC", os.fsdecode(b"\xff\n.jpg")])
PICK = st.integers(0, 10**6)


class Library(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.rig = Rig(self.folder)
        self.written = 0

    @initialize()
    def some_photos(self) -> None:
        for path in ("2024/06/a.jpg", "2024/06/b.jpg", "x/y/c.HEIC"):
            self.write(path)

    def teardown(self) -> None:
        """P4: with the ledger gone everything comes back from the receipts alone."""
        self.rig.recover()
        census, held = self.rig.census(), [row for row in self.rig.rows() if row.held]
        there = [row for row in held if self.rig.exists(row.dst) and self.rig.content(row.dst) == row.content]
        self.rig.close()
        undo_from_receipts(str(self.rig.root), self.rig.mover, self.rig.clock)
        assert self.rig.census() == census
        assert not [row.dst for row in there if self.rig.exists(row.dst)]
        shutil.rmtree(self.folder)

    # ---- what is there

    @property
    def photos(self) -> list[str]:
        return sorted(path for path in self.rig.tree() if not is_held(path))

    @property
    def held(self) -> list[Move]:
        return [row for row in self.rig.rows() if row.held]

    def write(self, path: str, content: bytes | None = None) -> None:
        self.written += 1
        at = os.path.normpath(path)
        self.rig.photo(at, content or f"photo {self.written} ".encode() * 30)

    def act(self, killed_at: int | None, act: Act) -> None:
        """dedupd does something; perhaps it is killed on the way, and started again."""
        before = self.rig.census()
        if killed_at is None:
            act(self.rig)
        else:
            run(self.folder, act, killed_at % 40) if self.dies(act, killed_at % 40) else act(self.rig)
            assert not before - self.rig.census(), "a content was gone in between"
            self.rig.recover()
        assert self.rig.census() == before

    def dies(self, act: Act, at: int) -> bool:
        """Whether there is such a step: tried on a copy, for the count is not known before."""
        copy = self.folder.with_name(self.folder.name + "-copy")
        shutil.copytree(self.folder, copy, symlinks=True)
        try:
            return at < len(run(copy, act))
        finally:
            shutil.rmtree(copy)

    # ---- what its owner does

    @rule(folder=FOLDERS, name=NAMES)
    def owner_adds(self, folder: str, name: str) -> None:
        self.write(f"{folder}/{name}")

    @precondition(lambda self: self.photos)
    @rule(pick=PICK, folder=FOLDERS, name=NAMES)
    def owner_copies(self, pick: int, folder: str, name: str) -> None:
        source = self.photos[pick % len(self.photos)]
        self.write(f"{folder}/{name}", (self.rig.root / source).read_bytes())

    @precondition(lambda self: self.rig.tree())
    @rule(pick=PICK)
    def owner_deletes(self, pick: int) -> None:
        paths = sorted(self.rig.tree())
        (self.rig.root / paths[pick % len(paths)]).unlink()

    @precondition(lambda self: self.rig.tree())
    @rule(pick=PICK)
    def owner_edits(self, pick: int) -> None:
        paths = sorted(self.rig.tree())
        self.write(paths[pick % len(paths)])

    @precondition(lambda self: self.rig.tree())
    @rule(pick=PICK, folder=FOLDERS, name=NAMES)
    def owner_renames(self, pick: int, folder: str, name: str) -> None:
        paths = sorted(self.rig.tree())
        at = self.rig.root / os.path.normpath(f"{folder}/{name}")
        if not at.exists():
            at.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.rig.root / paths[pick % len(paths)], at)

    # ---- what dedupd does

    @precondition(lambda self: len(self.photos) >= 2)
    @rule(
        picks=st.lists(st.tuples(PICK, PICK), min_size=1, max_size=4),
        unit=st.booleans(),
        killed_at=st.none() | PICK,
    )
    def dedupd_moves(self, picks: list[tuple[int, int]], unit: bool, killed_at: int | None) -> None:
        photos = self.photos
        pairs = {photos[a % len(photos)]: photos[b % len(photos)] for a, b in picks}
        if unit:  # a unit has one keeper
            pairs = dict.fromkeys(pairs, next(iter(pairs.values())))
        keeps = {path for path in pairs if self.rig.journal.keeps(str(self.rig.root), path, 0)}

        def act(rig: Rig) -> None:
            rig.root_id = LocalDisk().mark(str(rig.root))
            rig.relocate(*(rig.order(a, b, unit="u" if unit else a) for a, b in pairs.items()))

        self.act(killed_at, act)
        moved = {row.src: row for row in self.held if row.src in pairs and not self.rig.exists(row.src)}
        assert not keeps & {path for path in moved if path not in photos}, "P7: a keeper moved"
        for row in moved.values():
            if self.rig.exists(row.keeper) and not is_held(row.keeper):
                assert row.src != row.keeper

    @precondition(lambda self: self.held)
    @rule(pick=PICK, everything=st.booleans(), killed_at=st.none() | PICK)
    def owner_undoes(self, pick: int, everything: bool, killed_at: int | None) -> None:
        rows = self.held if everything else [self.held[pick % len(self.held)]]
        ids = {row.id for row in rows}
        self.act(killed_at, lambda rig: rig.undo([row for row in rig.rows() if row.held and row.id in ids]))

    @precondition(lambda self: any(row.goal is Goal.UNDONE for row in self.rig.rows()))
    @rule()
    def owner_undoes_the_undo(self) -> None:
        self.act(None, lambda rig: rig.redo([r for r in rig.rows() if r.goal is Goal.UNDONE]))

    @rule()
    def the_watch_looks(self) -> None:
        """P8: what has lost its keeper comes back."""
        lost = [row for row in self.held if not self.rig.mover.keeper_stands(row)]
        self.act(None, lambda rig: rig.undo(lost, Goal.RETURNED))
        assert all(self.rig.mover.keeper_stands(row) for row in self.held)

    # ---- what is always true

    @invariant()
    def nothing_is_left_open(self) -> None:
        assert not [row for row in self.rig.rows() if row.state is MoveState.INTENT]

    @invariant()
    def a_held_file_is_where_the_journal_says_or_its_owner_took_it(self) -> None:
        tree: dict[str, FileOnDisk] = self.rig.tree()
        for path in tree:
            if is_held(path):
                assert path in {row.dst for row in self.rig.rows()}, (
                    f"{path} is in duplicates/ and no row knows it"
                )

    @invariant()
    def nobody_has_two_names(self) -> None:
        inodes = Counter(look.ino for look in self.rig.tree().values())
        assert all(count == 1 for count in inodes.values())


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_any_order_of_acts() -> None:
    """A short walk for every day."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Library,
        settings=settings(
            max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=CHECKS
        ),
    )


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_any_order_of_acts_for_long() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Library,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=CHECKS
        ),
    )
