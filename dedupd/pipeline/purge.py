"""Purge: at a person's command, files that lay in duplicates/ for long go into the desktop's trash, and come back from it.

Owns which held files may go (what the ledger has stored must say that their keeper holds all of them) and the order of a
purge: prove, journal, move into the trash, journal. Must never act by itself, and never on a file it was not given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.attention import Trouble
from dedupd.core.dominance import lost
from dedupd.core.month import month_of
from dedupd.core.photo import Edge, Evidence, FileState, Measures, Relation, Traits
from dedupd.core.purging import Discard, Purge, Purgeable, PurgeState, in_the_trash
from dedupd.core.records import FileRow, RootRow
from dedupd.core.relations import may_be_two_shots, what_changed
from dedupd.core.relocation import Goal, Move, MoveState, Place, is_held
from dedupd.errors import AlreadyRunning, MoveRefused, Refusal, RootError
from dedupd.pipeline.movement import Moved, Movement
from dedupd.pipeline.relocate import CHUNK
from dedupd.pipeline.roots import Roots, quiet
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.fs.discarding import Discarder
    from dedupd.adapters.ledger import Ledger

log = logging.getLogger("dedupd.purge")
UNITS = 512
"""Units whose rows are held at once: a hundred thousand files may be named."""


class Plan:
    """Which held files may go into the trash, by what the ledger has stored. Reads the ledger only."""

    def __init__(self, ledger: Ledger, settings: Settings, roots: Iterable[RootRow]) -> None:
        self._ledger, self._sidecars = ledger, settings.metadata == "sidecar"
        self._roots = {root.path: root for root in roots}
        self._better = {(b.root, b.held) for b in ledger.held_checks.better()}

    def candidates(
        self, before: float, month: str | None = None, ids: Iterable[int] | None = None
    ) -> list[Purgeable]:
        """Held files that moved before then, units whole; oldest first. `ids`: these moves alone."""
        held = [m for m in self._ledger.journal.moves(held=True, ids=ids) if m.root in self._roots]
        files = self._ledger.files.by_ids(m.file for m in held)
        units: dict[tuple[str, str], list[Move]] = {}
        for move in held:
            units.setdefault((move.batch, move.unit), []).append(move)
        found: list[Purgeable] = []
        for unit in units.values():
            months = {files[m.file].month for m in unit if m.primary and m.file in files}
            if all(m.at <= before for m in unit) and (month is None or month in months):
                found += self._unit(unit, files, next(iter(months), ""))
        return sorted(found, key=lambda c: (c.move.at, c.move.id))

    def _unit(self, unit: Sequence[Move], files: dict[int, FileRow], month: str) -> list[Purgeable]:
        """All of a unit may go, or none of it does."""
        stands = {m.id: self.kept_file(m) for m in unit}
        why = self._torn(unit)
        for move in unit:
            why = why or self._why_not(move, files.get(move.file), stands[move.id])
        return [
            Purgeable(
                move=m, month=month, stands=row.path if (row := stands[m.id]) else m.keeper, why_not=why
            )
            for m in unit
        ]

    def _torn(self, unit: Sequence[Move]) -> str:
        """Why this unit is not complete (named in part, or its photo is not held any more), one clause; '' when it is."""
        if {m.id for m in unit} != self._ledger.journal.held_beside(unit[0]):
            return "not all that belongs to it was named"
        return (
            "" if any(m.primary for m in unit) else "the photo it belongs to is not in duplicates/ any more"
        )

    def kept_file(self, move: Move) -> FileRow | None:
        """The file that is kept for this one: its keeper; for a companion another file with its bytes in the same root."""
        root = self._roots[move.root]
        if not move.primary:
            rows = [
                *self._ledger.files.companions_with_contents(root.id, [move.content])[move.content],
                *(r for r in self._ledger.files.live_with_content(move.content) if r.root == root.id),
            ]
            return next((row for row in rows if not is_held(row.path)), None)
        group = self._ledger.groups.get(move.group)
        if group is not None:
            return self._ledger.files.get(group.keeper)
        return self._ledger.files.at(root.id, move.keeper)

    def _why_not(self, move: Move, file: FileRow | None, stands: FileRow | None) -> str:
        """One clause why it may not go; '' when by what is stored nothing would be lost."""
        if file is None or file.state != FileState.HELD or file.absent_since is not None:
            return "it was not there at the last look"
        if not move.primary:
            return "" if stands is not None else f"no other copy of {_name(move.src)} is in the library"
        wanted = {FileState.INDEXED, FileState.UNDECODED, FileState.COMPANION}
        if stands is None or stands.state not in wanted or stands.absent_since is not None:
            return "its keeper is not there, or is being looked at again"
        if stands.root != file.root or stands.content != move.keeper_content or is_held(stands.path):
            return "its keeper is not the photo any more that it moved beside"
        return self._said(move) or self._holds_more(move, stands) or self._unwritten(move)

    def _said(self, move: Move) -> str:
        verdicts = self._ledger.verdicts
        if verdicts.has("keep", move.content) or verdicts.has("different", move.keeper_content, move.content):
            return "a person said that it is no duplicate"
        return "it only looks alike" if move.relation == Relation.SIMILAR else ""

    def _holds_more(self, move: Move, keeper: FileRow) -> str:
        """Why it may hold something that its keeper lacks (P16), one clause; '' when it does not.

        A keep policy waives nothing here, because a trash is emptied one day.
        """
        seen = self._ledger.contents.traits([move.content, move.keeper_content])
        if move.keeper_content not in seen:
            return "its keeper was never read to the end"
        if move.content == move.keeper_content:
            return ""
        a, b = sorted((move.content, move.keeper_content))
        measures = self._ledger.pairs.measures(a, b) or self._measured_then(move)
        if (
            move.content not in seen
            or measures is None
            or measures.holds_a is None
            or measures.holds_b is None
        ):
            return "what it holds was never compared with its keeper"
        if not seen[move.keeper_content].decoded or (move.root, move.dst) in self._better:
            return "it may hold more than its keeper"
        if why := self._changed(move, measures, seen[move.content], seen[move.keeper_content]):
            return why
        edge = Edge(
            a=a, b=b, relation=Relation(move.relation), unattended=True, evidence=Evidence(measures=measures)
        )
        losses = lost(edge, seen[move.content], seen[move.keeper_content], metadata=not self._sidecars)
        return f"it {losses[0].clause}, and its keeper does not" if losses else ""

    def _changed(self, move: Move, measures: Measures, held: Traits, keeper: Traits) -> str:
        """What may be changed between two shots, one clause; '' when nothing is, or a person saw both."""
        if not may_be_two_shots(held, keeper, Relation(move.relation)):
            return ""
        if self._ledger.verdicts.has("same", move.content, move.keeper_content):
            return ""
        found = self._ledger.held_checks.change(move.content, move.keeper_content)
        if found is None and "island" not in (measures.extra or {}):
            return "whether something small was changed between the two was not looked at yet"
        return what_changed(measures) if found is None else found

    def _measured_then(self, move: Move) -> Measures | None:
        """A newer dedupd forgets what pairs measured by older rules; what a move rested on stays."""
        group = self._ledger.groups.get(move.group)
        return (
            next((m.evidence.measures for m in group.members if m.file == move.file), None) if group else None
        )

    def _unwritten(self, move: Move) -> str:
        """Why its metadata (date, place, rating) is not yet beside its keeper, one clause; '' when it is."""
        row = self._ledger.sidecars.of(move.group)
        if row is None or move.relation in (Relation.EXACT, Relation.BURST):
            return ""
        if row.state != "settled":
            return "what it knows is not written beside its keeper yet"
        if row.told or row.conflicts:
            return "it knows what could not be written beside its keeper"
        return ""


class Purging:
    """Purges of one library."""

    def __init__(
        self, ledger: Ledger, discarder: Discarder, disk: Disk, clock: Clock, settings: Settings, roots: Roots,
        movement: Movement, *, lock: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._ledger, self._discarder, self._disk, self._clock = ledger, discarder, disk, clock
        self._settings, self._roots, self._movement, self._lock = settings, roots, movement, lock

    @property
    def plan(self) -> Plan:
        return Plan(self._ledger, self._settings, self._roots.all)

    # ---- into the trash

    def purge(
        self, moves: Sequence[int], older_than: float, *, on_progress: Progress = quiet, stop: Stop = never
    ) -> Moved:
        """Put the files of these moves into the trash, those held for at least so many seconds.

        Everything is checked once more at that moment: what the ledger has stored, and what is on the disk.
        """
        result = Moved()
        named, before = set(moves), self._clock.now() - older_than
        units = self._ledger.journal.held_units(named)
        missing, left = len(named), 0
        for at in range(0, len(units), UNITS):
            asked = named.intersection(id for unit in units[at : at + UNITS] for id in unit)
            if left:
                missing, left = missing - len(asked), left + len(asked)
                continue
            chosen = self.plan.candidates(before, ids=asked)
            done = len(named) - missing
            missing -= len(chosen)
            self._stay([c for c in chosen if c.why_not], result)
            for root in self._roots.all:
                here = [c for c in chosen if c.move.root == root.path and not c.why_not]
                told = partial(_after, on_progress, done, len(named))
                left += self._purge_root(root, here, result, told, stop)
        result.stayed += missing + left
        if missing:
            result.said.append(
                f"{missing} file(s) are not held (or not for so long) any more, and stay as they are"
            )
        if left:
            result.said.append(f"{left} file(s) stay in duplicates/: dedupd was stopped")
        return result

    def _obstacle(self, root: RootRow) -> str:
        try:
            self._lock(root.path)
            return self._movement.obstacle(root) or self._discarder.problem(root.path)
        except (AlreadyRunning, RootError) as error:
            return str(error)

    def _purge_root(
        self, root: RootRow, chosen: Sequence[Purgeable], result: Moved, on_progress: Progress, stop: Stop
    ) -> int:
        """Returns how many were not reached because it was stopped."""
        if why := self._obstacle(root) if chosen else "":
            result.said.append(why)
            result.stayed += len(chosen)
            return 0
        done = 0
        for chunk in _chunks(chosen):
            if stop():
                return len(chosen) - done
            try:
                self._purge_chunk(root, chunk, result)
            except RootError as error:
                result.said.append(str(error))
                result.stayed += len(chosen) - done
                return 0
            done += len(chunk)
            on_progress("purge", done, len(chosen))
        return 0

    def _purge_chunk(self, root: RootRow, chunk: Sequence[Purgeable], result: Moved) -> None:
        plan, orders = self.plan, list[Discard]()
        torn: dict[tuple[str, str], str] = {}
        for candidate in chunk:
            stands = plan.kept_file(candidate.move)
            why = self._unseen(root, candidate.move, stands)
            if why or stands is None:
                torn[candidate.move.batch, candidate.move.unit] = why
                continue
            orders.append(
                Discard(
                    move=candidate.move, stands=stands.path, stands_stat=stands.stat,
                    stands_content=stands.content or "",
                )
            )  # fmt: skip
        stay = {(c.move.batch, c.move.unit): torn.get((c.move.batch, c.move.unit), "") for c in chunk}
        self._stay(
            [replace(c, why_not=why) for c in chunk if (why := stay[c.move.batch, c.move.unit])], result
        )
        orders = [o for o in orders if not stay[o.move.batch, o.move.unit]]
        if not orders:
            return
        with self._discarder.prepare(orders) as batch:
            for order, refusal in batch.refused:
                self._stays(order.move, str(refusal), result)
            if not batch.orders:
                return
            now, held = self._clock.now(), {o.move.id: o.move for o in batch.orders}
            rows = [
                Purge(move=o.move.id, batch=result.batch, state=PurgeState.INTENT, trash=o.trash, at=now)
                for o in batch.orders
            ]
            self._ledger.purges.intend(rows)
            ended = batch.discard(rows)
            self._record([(held[row.move], row) for row in ended], result)

    def _unseen(self, root: RootRow, move: Move, stands: FileRow | None) -> str:
        """What the ledger says must be so on the disk too."""
        if stands is None:
            return "what stands for it is not there any more"
        if self._disk.foreign(root.path, stands.path.rpartition("/")[0], self._roots.scope) is not None:
            return "its keeper lies in a folder that is none of the library"
        row = self._ledger.sidecars.of(move.group)
        if row is not None and row.path and self._disk.stat(root.path, row.path) is None:
            return f"{row.path}, where what it knows was written, is not there any more"
        return ""

    def _record(self, ended: Sequence[tuple[Move, Purge]], result: Moved) -> None:
        """Record how purges ended and what follows for files and months, in one commit."""
        with self._ledger.transaction():
            self._ledger.purges.put([row for _, row in ended])
            for move, row in ended:
                if row.state is PurgeState.DONE:
                    self._gone(move, row, result)
                    result.purged += 1
                else:
                    self._stays(move, row.error, result)

    def _gone(self, move: Move, row: Purge, result: Moved) -> None:
        file = self._ledger.files.get(move.file)
        why = MoveRefused(in_the_trash(row.trash), Refusal.PURGED)
        self._ledger.journal.finish([move.refused(why, MoveState.ABORTED)])
        self._ledger.sidecars.forget(move.group)  # what it knew stands there alone now: its owner's to keep
        if file is not None:
            self._ledger.months.mark_changed(file.root, file.month, self._clock.now())
            result.touched.setdefault(file.root, set()).add(file.month)
            self._ledger.files.remove(file.id)

    def _stay(self, candidates: Iterable[Purgeable], result: Moved) -> None:
        for candidate in candidates:
            self._stays(candidate.move, candidate.why_not, result)

    def _stays(self, move: Move, why: str, result: Moved) -> None:
        result.stayed += 1
        result.troubles.add(Trouble(move.dst, f"{move.dst} stays: {why}"))

    # ---- out of the trash

    def recover(self) -> None:
        """End every interrupted purge. Files that a person restored from the trash go back to their places. Idempotent."""
        begun = self._ledger.purges.in_state(PurgeState.INTENT, PurgeState.RETURNING)
        moves = {m.id: m for m in self._ledger.journal.moves(ids=[p.move for p in begun])}
        units: dict[tuple[str, str], list[tuple[Move, Purge]]] = {}
        for purge in begun:
            if (
                move := moves.get(purge.move)
            ) is None:  # an older dedupd forgot what it took for a move that came to nothing
                continue
            units.setdefault((move.batch, move.unit), []).append((move, purge))
        for unit in units.values():
            try:
                self._end(unit)
            except (MoveRefused, OSError, RootError) as error:
                log.warning("a purge that was interrupted is not ended yet: %s", error)
        self._found_again()

    def _end(self, unit: Sequence[tuple[Move, Purge]]) -> None:
        places = {purge.move: self._discarder.locate(move, purge) for move, purge in unit}
        if Place.UNKNOWN in places.values():
            return
        going = [(m, p) for m, p in unit if p.state is PurgeState.INTENT]
        for move, purge in unit:
            if places[move.id] in (Place.SRC, Place.BOTH):
                self._discarder.settle_name(move, purge)
        whole = all(places[move.id] is Place.DST for move, _ in going)
        if going and whole and self._keeper_stands([m for m, _ in going]):
            self._discarder.confirm(going)
            self._record([(m, replace(p, state=PurgeState.DONE, error="")) for m, p in going], Moved())
            return
        for move, purge in unit:
            self._end_one(move, purge, places[move.id])

    def _end_one(self, move: Move, purge: Purge, place: Place) -> None:
        """End the purge of one unit: if it did not go as a whole it comes back; if it was on its way back it goes on."""
        if place is Place.DST and purge.state is PurgeState.RETURNING:
            self._ledger.purges.put([replace(purge, state=PurgeState.DONE)])
        elif purge.state is PurgeState.RETURNING:
            self._held_again(move, purge)
        else:
            if place is Place.DST:
                self._discarder.undo(move, purge, move.dst)
            stopped = "it was found nowhere" if place is Place.NOWHERE else "the purge was interrupted"
            self._ledger.purges.put([replace(purge, state=PurgeState.ABORTED, error=stopped)])

    def _keeper_stands(self, moves: Sequence[Move]) -> bool:
        for move in moves:
            stands = self.plan.kept_file(move) if move.root in {r.path for r in self._roots.all} else None
            if stands is None or stands.content != (move.keeper_content if move.primary else move.content):
                return False
            try:
                if self._disk.content(move.root, stands.path) != stands.content:
                    return False
            except OSError:
                return False
        return True

    def _found_again(self) -> None:
        """Undo the moves of files that a person restored from the trash: they lie in duplicates/, where nobody would see them."""
        ids = {r.path: r.id for r in self._roots.all}
        back: list[int] = []
        for purge in self._ledger.purges.all_done():
            move = next(iter(self._ledger.journal.moves(ids=[purge.move])), None)
            if move is None or move.root not in ids or self._disk.gone(move.root, move.dst):
                continue
            if self._ledger.files.at(ids[move.root], move.dst) is not None:
                continue  # another duplicate that moved since then has the name
            if self._discarder.locate(move, purge) is Place.SRC:
                with suppress(MoveRefused, RootError):  # a disk that is read-only: it is tried again
                    back.append(self._held_again(move, purge).id)
        if back:
            log.info("%d file(s) were taken out of the trash and go back to where they were", len(back))
            self._movement.undo(back)

    def still_in_trash(self) -> list[str]:
        """A sentence for people about what only an undo by name brings back; none when nothing was purged."""
        count, last = self._ledger.purges.in_trash()
        if not count:
            return []
        return [
            f"{count} file(s) went into the trash by `dedupd purge`, the last into {last}: `dedupd undo PATH` brings one back"
        ]

    def undo(self, ids: Iterable[int]) -> list[str]:
        """Undo the purge of those of these moves whose files lie in the trash (whole units), so that their moves can be undone.

        Returns sentences for people."""
        asked = [p.move for p in self._ledger.purges.of(list(ids)).values() if p.state is PurgeState.DONE]
        units = {(m.batch, m.unit) for m in self._ledger.journal.moves(ids=asked)}
        whole = {
            m.id: m
            for batch in sorted({batch for batch, _ in units})
            for m in self._ledger.journal.moves(batch=batch)
            if (m.batch, m.unit) in units
        }
        said: list[str] = []
        for id, purge in self._ledger.purges.of(list(whole)).items():
            if purge.state is PurgeState.DONE:
                move = whole[id]
                try:
                    self._undo(move, purge)
                except (MoveRefused, OSError, RootError) as error:
                    said.append(
                        f"{move.src} went into the trash on {_day(purge.at)} ({purge.trash}) and is not brought back: {error}; "
                        "if it is there, restore it in the trash's own window, or stop the daemon and say this again"
                    )
        return said

    def _undo(self, move: Move, purge: Purge) -> None:
        # Restored by the desktop already: there is nothing to bring.
        if self._discarder.locate(move, purge) is not Place.SRC:
            going = replace(move, dst=self._discarder.free_place(move))
            with self._ledger.transaction():
                self._ledger.journal.follow([going])
                self._ledger.purges.put([replace(purge, state=PurgeState.RETURNING)])
            try:
                self._discarder.undo(_held(going), purge, move.dst)
            except (MoveRefused, OSError, RootError):
                if self._discarder.locate(going, purge) is not Place.SRC:
                    with self._ledger.transaction():
                        self._ledger.journal.follow([move])
                        self._ledger.purges.put([purge])
                    raise
            move = going
        self._held_again(move, purge)

    def _held_again(self, move: Move, purge: Purge) -> Move:
        """Record that the file is held again, as before the purge."""
        held = _held(move)
        self._discarder.confirm_held(held, purge)
        root = next((r for r in self._ledger.roots.all() if r.path == move.root), None)
        stat = self._disk.stat(move.root, move.dst)
        with self._ledger.transaction():
            self._ledger.purges.put([replace(purge, state=PurgeState.RETURNED)])
            self._ledger.journal.finish([held])
            if root is not None and stat is not None and self._ledger.files.get(move.file) is None:
                seen = self._ledger.contents.traits([move.content]).get(move.content)
                captured = seen.captured if seen is not None else None
                month, source = month_of(move.src, captured, stat.mtime_ns / 1e9, root=move.root)
                self._ledger.files.held_again(
                    FileRow(
                        id=move.file, root=root.id, path=move.dst, stat=stat, content=move.content, month=str(month),
                        month_source=source, state=FileState.HELD, reason="", absent_since=None,
                    )
                )  # fmt: skip
                self._ledger.months.mark_changed(root.id, str(month), self._clock.now())
        return held


def _after(on_progress: Progress, before: int, total: int, phase: str, done: int, of: int) -> None:
    """Progress of a part of so many files, of which some were done before."""
    on_progress(phase, before + done, total)


def _held(move: Move) -> Move:
    return replace(move, goal=Goal.MOVED, state=MoveState.DONE, error="", refusal=None)


def _chunks(candidates: Sequence[Purgeable]) -> Iterable[list[Purgeable]]:
    """Parts of about CHUNK files; no unit is split."""
    units: dict[tuple[str, str], list[Purgeable]] = {}
    for candidate in candidates:
        units.setdefault((candidate.move.batch, candidate.move.unit), []).append(candidate)
    chunk: list[Purgeable] = []
    for unit in units.values():
        if chunk and len(chunk) + len(unit) > CHUNK:
            yield chunk
            chunk = []
        chunk += unit
    if chunk:
        yield chunk


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _name(path: str) -> str:
    return path.rpartition("/")[2]
