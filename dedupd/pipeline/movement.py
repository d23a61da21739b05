"""Everything that makes files move: what may go unattended, what a person undoes, what dedupd undoes by itself.

Owns the conditions a whole root must meet before anything in it moves, and what people are told afterwards;
relocate.py owns the order of each single move. Must never move while the index or a root is in doubt.
"""

from __future__ import annotations

import logging
import os.path
import sys
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from dedupd.config import Settings
from dedupd.core.attention import Trouble, Troubles, contradicted
from dedupd.core.month import Month
from dedupd.core.records import GroupRow, HeldGroupRow, MemberRow, ProposedRow, RootRow
from dedupd.core.relocation import Goal, Move, MoveOrder, MoveState
from dedupd.errors import AlreadyRunning, Refusal, RootError
from dedupd.pipeline import consent, relocate
from dedupd.pipeline.consent import Allowed, Lately
from dedupd.pipeline.keepers import Keepers
from dedupd.pipeline.move_orders import Companions, NotYet, orders_for
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.pace import BUSY_SECONDS, SyncPace
from dedupd.pipeline.reconcile import reconcile
from dedupd.pipeline.record_outcome import RecordingJournal, record_outcome
from dedupd.pipeline.relocate import new_batch
from dedupd.pipeline.roots import Roots, quiet
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.fs.mover import FileMover
    from dedupd.adapters.ledger import Ledger

log = logging.getLogger("dedupd.movement")
GROUPS = (8, 512)
"""Groups to move, or units to undo, in one slice: fewest and most."""
RESCUE_SECONDS = 2.0
"""Seconds of undoing moves in one sweep; then requests of people come in, and the next slice goes on."""
RESCUE_AGAIN_SECONDS = 600.0
"""Seconds until a rescue that failed (a full or read-only disk) is tried again."""


class MovedFile(NamedTuple):
    """A move as long as its act lasts, which may be one of a hundred thousand files: the journal holds the rest."""

    id: int
    batch: str
    group: int
    file: int
    root: str
    refusal: Refusal | None

    @classmethod
    def of(cls, move: Move) -> MovedFile:
        """Without its paths and its evidence; batch and root once for all."""
        batch, root = sys.intern(move.batch), sys.intern(move.root)
        return cls(move.id, batch, move.group, move.file, root, move.refusal)


@dataclass(slots=True, kw_only=True)
class Moved:
    """What a round of moves did."""

    files: int = 0
    """Photos and companions that moved."""
    undone: int = 0
    purged: int = 0
    """Held files that went into the trash."""
    waiting: int = 0
    """Files that would move after a yes."""
    said: list[str] = field(default_factory=list)
    """Sentences for people."""
    troubles: Troubles = field(default_factory=Troubles)
    """Why files stay, one each."""
    moves: list[MovedFile] = field(default_factory=list)
    refused: list[MovedFile] = field(default_factory=list)
    stayed: int = 0
    """Photos that should have moved and did not, for any reason."""
    touched: dict[int, set[str]] = field(default_factory=dict)
    """Root id -> months that the act grouped anew, also where nothing moved."""
    again_in: float = 0.0
    """Seconds until what is left of it may move, where a sync client watches; 0: nothing is left for that reason."""
    batch: str = field(default_factory=new_batch)
    """The batch of all moves of this act, in all roots: `undo --last` undoes the whole batch."""

    @property
    def groups(self) -> set[int]:
        """The groups that its moves belong to."""
        return {move.group for move in self.moves}

    @property
    def messages(self) -> list[str]:
        """All sentences for people; files that stay for one reason share a sentence."""
        return [*dict.fromkeys(self.said), *self.troubles.sentences()]


class Movement:
    """The moves of one library."""

    def __init__(
        self, ledger: Ledger, mover: FileMover, disk: Disk, clock: Clock, settings: Settings, roots: Roots, *,
        keepers: Keepers, lately: Lately, ensure_complete: Callable[[Stop], bool], annotate: Callable[..., None],
        lock: Callable[[str], None], pace: SyncPace,
    ) -> None:  # fmt: skip
        """`ensure_complete` restores a damaged index (False: stopped before that), `annotate` settles sidecars, `lock` takes a root's lock."""
        self._ledger, self._mover, self._disk, self._clock = ledger, mover, disk, clock
        self._settings, self._roots = settings, roots
        self._ensure_complete, self._annotate, self._lock = ensure_complete, annotate, lock
        self._journal = RecordingJournal(ledger, clock)
        self.keepers, self._lately, self._pace = keepers, lately, pace
        self._rescue_after: dict[int, float] = {}
        """Group -> monotonic time before which undoing its moves is not tried again."""
        self._looked_for: dict[int, set[int]] = {}
        """Root id -> groups whose keeper no look found, and whose copies have not come back yet."""

    def recover(self) -> list[Move]:
        """Finish or undo what a crash interrupted; before anything else moves."""
        ended = relocate.recover(self._journal, self._mover, self._clock)
        record_outcome(
            self._ledger,
            self._ledger.journal.moves(ids=self._ledger.files.misplaced_moves()),
            self._clock.now(),
        )
        self._annotate(read=False)
        for sentence in contradicted(self._ledger.journal.attention()):
            self._roots.problems[sentence] = sentence
        return ended

    def move(
        self, *, yes: bool = False, months: Iterable[Month] | None = None, only: Narrowed | None = None,
        on_progress: Progress = quiet, stop: Stop = never,
    ) -> Moved:  # fmt: skip
        """Move what may move unattended; `yes` is a person's yes for what is proposed now (of `months`, and of what
        `only` counts), breaker included.

        Stopped before the end, the rest waits for the next round, and counts as stayed when it was a person who asked.
        """
        result = Moved()
        lately = self._lately.newest()
        wanted = None if months is None else {str(m) for m in months}
        for root in self._roots.all:
            if not root.online:
                continue
            found = (
                consent.proposals(self._ledger, root, wanted, only)
                if yes
                else consent.allowed(self._ledger, root, self._clock.now(), lately)
            )
            if found.waits:
                result.waiting += found.files
                result.said.append(found.waits)
                continue
            paced = found if yes else self._paced(root, found, result)
            whole = self._move_groups(root, paced, result, on_progress, stop, asked=yes)
            if paced.files < found.files:
                whole, result.again_in = False, max(result.again_in, self._pace.wait(root.path))
            # The first moves are through as a whole, or the breaker would count against their own rest.
            not_yet = any(m.root == root.path and m.refusal is Refusal.NOT_QUIET for m in result.refused)
            if (
                whole
                and (wanted, only) == (None, None)
                and root.backlog_done_at is None
                and not not_yet
                and self._ledger.journal.moved_since(root.path, 0.0)
            ):
                consent.backlog_done(self._ledger, root, self._clock.now())
        self._lately.note()
        self._annotate(on_progress=on_progress, stop=stop)
        return result

    def _paced(self, root: RootRow, found: Allowed, result: Moved) -> Allowed:
        """What may move now where a sync client watches; the rest later."""
        if not self._pace.client(root.path):
            return found
        groups = self._pace.portion(root.path, found.groups)
        folders = {os.path.dirname(self._path(file)) for group in groups for file in group.files}
        if groups and self._pace.busy(root.path, folders):
            groups, result.again_in = (), BUSY_SECONDS
        files = sum(len(group.files) for group in groups)
        if files < found.files:
            result.said.append(self._pace.told(root.path, found.files - files))
        return replace(found, groups=tuple(groups), files=files)

    def _move_groups(
        self, root: RootRow, found: Allowed, result: Moved, on_progress: Progress, stop: Stop, *,
        asked: bool,
    ) -> bool:  # fmt: skip
        """Move the groups slice by slice. False when it was stopped before the end."""
        done = 0

        def told(phase: str, moved: int, of: int) -> None:
            on_progress(phase, done + moved, found.files)

        companions = self._beside(root)
        for groups in slices(found.groups, self._clock, *GROUPS):
            # Before the last safe point: making the index whole takes long, and people come in meanwhile.
            if not self._ensure_complete(stop) or stop():
                if asked:
                    result.stayed += found.files - done
                    result.said.append(
                        f"{found.files - done} file(s) in {root.path} stay: dedupd was stopped"
                    )
                return False
            self.relocate(
                root, self._as_they_are(groups), result, told, asked=asked, stop=stop, companions=companions
            )
            companions.turn()
            done += sum(len(group.files) for group in groups)
        return True

    def _as_they_are(self, groups: Sequence[ProposedRow]) -> list[tuple[GroupRow, list[MemberRow]]]:
        """What is still to move of these groups: between two slices a person may have said no, or another keeper.

        A group has its keeper for life, and its number is never given again.
        """
        found: list[tuple[GroupRow, list[MemberRow]]] = []
        for group in groups:
            now = self._ledger.groups.get(group.group)
            if now is not None:
                chosen = set(group.files)
                found.append((now, [m for m in now.members if m.role == "duplicate" and m.file in chosen]))
        return [(group, members) for group, members in found if members]

    def relocate(
        self, root: RootRow, chosen: Sequence[tuple[GroupRow, Sequence[MemberRow]]], result: Moved,
        on_progress: Progress = quiet, *, asked: bool, stop: Stop = never, companions: Companions | None = None,
    ) -> None:  # fmt: skip
        """Move these groups. `asked`: a person asked for it and is told of every file that stays; otherwise files that must wait
        are only tried again later. `companions`: of this root by the disk, from a caller who has more to move."""
        if not chosen:
            return
        obstacle = self.obstacle(root)
        if not obstacle and not self._ensure_complete(stop):
            obstacle = "the index is being made whole, and nothing moves before that: try it again later"
        if obstacle:
            result.said.append(obstacle)
            result.stayed += sum(len(members) for _, members in chosen)
            return
        companions = companions or self._beside(root)
        orders: list[MoveOrder] = []
        for group, members in chosen:
            found, stays = orders_for(self._ledger, companions, root, group, members, self._settings.protects)
            orders += found
            with self._ledger.transaction():
                for file, why in stays.items():
                    if asked:
                        path = self._path(file)
                        result.troubles.add(Trouble(path, f"{path} stays: {why}"))
                        self._ledger.refusals.put(
                            file, group.keeper, Refusal.STAYS, str(why), self._clock.now()
                        )
                    if not isinstance(why, NotYet):
                        self._ledger.groups.set_role(group.id, file, "review", str(why))
        again = {
            o.src for o in orders if o.primary and self._ledger.journal.moves(content=o.content, held=True)
        }
        ended = relocate.relocate(orders, self._mover, self._journal, self._clock, on_progress, result.batch)
        record_outcome(
            self._ledger, ended, self._clock.now()
        )  # what was refused before anything was journaled
        if settled := sorted(m.src for m in ended if m.held and m.src in again):
            log.info(
                "%d file(s) settled before came back and were settled again, first %s",
                len(settled),
                settled[0],
            )
        companions.moved(m.src for m in ended if m.held)
        result.moves += [MovedFile.of(m) for m in ended if m.held]
        self._pace.note(root.path, sum(m.held for m in ended))
        result.files += sum(m.held for m in ended)
        result.refused += [MovedFile.of(m) for m in ended if m.state is MoveState.ABORTED]
        result.troubles.add(
            *(
                Trouble(m.src, f"{m.src} stays: {m.error}", m.refusal or "")
                for m in ended
                if not m.held and m.primary
            )
        )
        moved = sum(m.held and m.primary for m in ended)
        result.stayed += sum(len(members) for _, members in chosen) - moved

    def _beside(self, root: RootRow) -> Companions:
        """What the disk shows beside each photo: a companion that came a moment ago counts."""
        return Companions(self._ledger, self._disk, root, self._roots.scope)

    def _path(self, file: int) -> str:
        row = self._ledger.files.get(file)
        return row.path if row else "a file that is gone"

    def obstacle(self, root: RootRow) -> str:
        """Why nothing may move in this root; '' when it may."""
        if self._roots.verified(root, mark=False) is None:
            return self._roots.problems[root.path]
        if not root.uuid:
            return self._roots.why_unmarked(root)
        if not self._settings.allow_shared_roots and self._disk.shared(root.path):
            return (
                f"{root.path} can be written by other users, so nothing moves there: "
                "set allow_shared_roots = true in config.toml if you trust them"
            )
        able = self._disk.abilities(root.path)
        if not able.owned:
            told = (
                f"what dedupd makes in {root.path} stays root's, whoever owns the folder: "
                "run dedupd as the owner of the photos, or its owner cannot undo by hand"
            )
            self._roots.problems[f"{root.path} owner"] = told
            log.warning(told)
        return able.problem

    def rescue(self, stop: Stop = never) -> list[str]:
        """P8: held copies whose keeper vanished, changed or is none of the library come back at once. Returns sentences for people.

        Every keeper is looked at.
        """
        said: list[str] = []
        for root in self._roots.all:
            said += self._rescue(root, self.keepers.all(root), stop, float("inf"))
        return said

    def sweep(
        self, hints: Mapping[int, Mapping[str, bool]], heard: Container[int], stop: Stop = never,
        seconds: float = RESCUE_SECONDS,
    ) -> list[str]:  # fmt: skip
        """`rescue`, but only of keepers that are due. `hints`: root id -> folders that events named; roots not in `heard` report no
        events, so all their keepers are due.

        Takes about so many `seconds` for each root; what is left then is for `rescue_on`, see `rescue_goes_on`.
        """
        said: list[str] = []
        # All hints first: what fails in one root must not lose the news of the next.
        for root in self._roots.all:
            self.keepers.hint(root, hints.get(root.id, {}))
        for root in self._roots.all:
            if not root.online and root.id not in heard:
                continue  # the look that finds it again asks about all
            due = self.keepers.due(root) if root.id in heard else self.keepers.all(root)
            said += self._rescue(root, due, stop, seconds)
        return said

    def _rescue(self, root: RootRow, rows: Iterable[HeldGroupRow], stop: Stop, seconds: float) -> list[str]:
        """Rescue in one root. When it is stopped, the next sweep goes on."""
        looked_for = self._looked_for.setdefault(root.id, set())
        lost = set(self._lost(root, rows))
        known = self._roots.verified(root, mark=True) if lost or looked_for else None
        if known is None:
            return []
        if lost <= looked_for:
            return self._undo_lost(known, stop, seconds)
        # A keeper that was only renamed is found by a full look, and then it is not lost.
        reconcile(known, self._ledger, self._disk, self._clock, self._roots.scope, stop=stop)
        if stop():
            return []
        looked_for |= set(self._lost(known, self.keepers.all(known)))
        return self._undo_lost(known, stop, seconds)

    def rescue_on(self, stop: Stop = never, seconds: float = RESCUE_SECONDS) -> list[str]:
        """Go on with what a sweep found lost and had no time for. Returns sentences for people."""
        said: list[str] = []
        for root in self._roots.all:
            if not (looked_for := self._looked_for.get(root.id)):
                continue
            if (known := self._roots.verified(root, mark=True)) is None:
                looked_for.clear()  # a sweep asks again once the root is there
                continue
            said += self._undo_lost(known, stop, seconds)
        return said

    @property
    def rescue_goes_on(self) -> bool:
        """Whether keepers are known to be lost whose copies have not come back yet."""
        return any(self._looked_for.values())

    def _undo_lost(self, root: RootRow, stop: Stop, seconds: float) -> list[str]:
        """For about so long. Whoever came in meanwhile may have brought a keeper back: each is asked about again."""
        left, until = self._looked_for[root.id], self._clock.monotonic() + seconds
        rows = {row.group: row for row in self.keepers.of(root, left)}
        left.intersection_update(rows)
        said: list[str] = []
        undone: dict[str, list[Move]] = {}
        for group, row in rows.items():
            if self._lost(root, [row]):
                for move in self._undo_group(group, said):
                    undone.setdefault(self._why_undone(root, move), []).append(move)
            left.discard(group)
            if stop() or self._clock.monotonic() >= until:
                break
        said += [
            f"{why}, so {len(moves)} file(s) came back, first {moves[0].undone_to or moves[0].src}"
            for why, moves in undone.items()
        ]
        self._annotate(read=False)
        return said

    def _lost(self, root: RootRow, rows: Iterable[HeldGroupRow]) -> list[int]:
        """Those of these groups whose keeper is gone, without those whose rescue failed a moment ago. A keeper that cannot be
        checked now is checked in the next sweep."""
        now = self._clock.monotonic()
        lost: list[int] = []
        for row in rows:
            gone = row.changed or row.path is None or self._disk.gone(root.path, row.path)
            if gone or row.unread:
                self.keepers.again(root, row.group)
            if gone and now >= self._rescue_after.get(row.group, now):
                lost.append(row.group)
        return lost

    def _undo_group(self, group: int, said: list[str]) -> list[Move]:
        """Undo the moves of this group. Returns those that were undone; what could not be is said."""
        held = self._ledger.journal.moves(group=group, held=True)
        try:
            ended = relocate.undo(held, self._mover, self._journal, self._clock, goal=Goal.RETURNED)
        except RootError as error:
            said.append(str(error))
            return []
        undone = [m for m in ended if m.state is MoveState.DONE and m.goal is Goal.RETURNED]
        if len(undone) < len(ended):
            self._rescue_after[group] = self._clock.monotonic() + RESCUE_AGAIN_SECONDS
        said += [
            f"the keeper {m.keeper} is gone and its copy {m.dst} could not be brought back: {m.error}"
            for m in ended
            if m not in undone
        ]
        return undone

    def _why_undone(self, root: RootRow, move: Move) -> str:
        """One clause. An older dedupd kept photos in places that are none of the library: one sentence for each kind."""
        kind = self._disk.foreign(root.path, move.keeper.rpartition("/")[0], self._roots.scope)
        if kind is None:
            return f"{move.keeper} is gone or was changed"
        return f"what was kept for them is none of your library ({kind.kind}: {kind.clause})"

    def consent(self) -> None:
        """`run --yes`: the first moves of each root may go (P12); the breaker counts once they are through."""
        for root in self._roots.all:
            if root.consented_at is None:
                consent.record_consent(self._ledger, root, self._clock.now())

    def months_of(self, moved: Moved, touched: Mapping[int, set[str]]) -> dict[int, set[str]]:
        """Root id -> months whose summaries these moves change: each file's own, its keeper's, and what was grouped anew."""
        months = {root: set(names) for root, names in touched.items()}
        for root, names in moved.touched.items():
            months.setdefault(root, set()).update(names)
        ids = {r.path: r.id for r in self._roots.all}
        for path, id in ids.items():  # an undo may reach into a folder that is configured no more
            here = [move for move in (*moved.moves, *moved.refused) if move.root == path]
            names = self._ledger.files.months_of(move.file for move in here)
            names |= self._ledger.groups.months_of({move.group for move in here})
            if names:
                months.setdefault(id, set()).update(names)
        return months

    def undo(self, moves: Collection[int], *, on_progress: Progress = quiet, stop: Stop = never) -> Moved:
        """Undo these moves: each file goes back to where it was. What a person undid never moves again (P11)."""
        result = Moved()
        self.undo_into(result, moves, on_progress=on_progress, stop=stop)
        return result

    def undo_into(
        self, result: Moved, moves: Collection[int], goal: Goal = Goal.UNDONE, *, on_progress: Progress = quiet,
        stop: Stop = never,
    ) -> None:  # fmt: skip
        """`undo` as a part of an act with that `result`. `goal` RETURNED: no person judged them, so they are grouped again and may
        move again."""
        units, before = self._ledger.journal.held_units(moves), len(result.moves)
        done, total = 0, sum(map(len, units))
        for part in slices(units, self._clock, *GROUPS):
            if stop():
                result.said.append(f"{total - done} file(s) are not put back: dedupd was stopped")
                break
            chosen = [id for unit in part for id in unit]
            self._undo_units(
                chosen, result, goal, lambda phase, n, of, at=done: on_progress(phase, at + n, total)
            )
            done += len(chosen)
        if undone := result.moves[before:]:
            self._annotate(groups={m.group for m in undone}, stop=stop)

    def _undo_units(self, chosen: Sequence[int], result: Moved, goal: Goal, on_progress: Progress) -> None:
        """Undo whole units; moves that were undone in the meantime are left out."""
        held = self._ledger.journal.moves(ids=chosen, held=True)
        ended: list[Move] = []
        for root in sorted({m.root for m in held}):
            rows = [m for m in held if m.root == root]
            try:
                self._lock(root)
                ended += relocate.undo(rows, self._mover, self._journal, self._clock, on_progress, goal)
            except (RootError, AlreadyRunning) as error:
                result.said.append(str(error))
        record_outcome(self._ledger, ended, self._clock.now())
        undone = [m for m in ended if m.goal is goal and m.state is MoveState.DONE]
        result.undone += len(undone)
        result.moves += [MovedFile.of(m) for m in undone]
        back = {m.id for m in undone}
        result.troubles.add(
            *(
                Trouble(m.dst, f"{m.dst} could not be put back: {m.error}", m.refusal or "")
                for m in ended
                if m.id not in back
            )
        )

    def held(
        self, *, month: str | None = None, last: bool = False, everything: bool = False, group: int | None = None,
        ids: Iterable[int] | None = None, batches: Sequence[str] = (), changed: bool = False,
    ) -> list[int]:  # fmt: skip
        """The moves an undo means: of a month, the last batch, a group, given ids or batches, of photos that were changed in their
        place, or all that lie in duplicates/ now."""
        journal = self._ledger.journal
        if changed:
            return [change.move for change in self._ledger.held_checks.changed()]
        if batches:
            return [move for batch in batches for move in journal.held_ids(batch=batch)]
        if last:
            batch = journal.last_batch()
            return journal.held_ids(batch=batch) if batch else []
        if ids is not None:
            return journal.held_ids(ids=ids)
        if group is not None:
            return journal.held_ids(group=group)
        if month is not None:
            return journal.held_ids(month=month)
        return journal.held_ids() if everything else []
