"""Carries out what people decide: yes, no, keep, another keeper, forget; and remembers it by content (P11).

Must never act on what nobody said. movement.py moves files and undoes moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.month import Month
from dedupd.core.records import GroupRow, MemberRow
from dedupd.core.relocation import Goal
from dedupd.errors import UsageError
from dedupd.pipeline import consent
from dedupd.pipeline.movement import GROUPS, Moved, Movement
from dedupd.pipeline.recluster import decide
from dedupd.pipeline.roots import Roots, quiet
from dedupd.pipeline.slices import Stop, never, slices, wait
from dedupd.ports import Clock, Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


_UNCOMPARED = ("may hold more, as it was never compared with this keeper",)


class Verdicts:
    """Acts of people on one library."""

    def __init__(
        self, ledger: Ledger, disk: Disk, clock: Clock, settings: Settings, roots: Roots, movement: Movement, *,
        regroup: Callable[..., dict[int, set[str]]], annotate: Callable[..., None],
    ) -> None:  # fmt: skip
        """`regroup` groups the months that changed, `annotate` settles sidecars."""
        self._ledger, self._disk, self._clock, self._settings = ledger, disk, clock, settings
        self._roots, self._movement, self._regroup, self._annotate = roots, movement, regroup, annotate

    def approve(self, groups: Sequence[int], *, on_progress: Progress = quiet, stop: Stop = never) -> Moved:
        """A person's yes: everything of these groups moves, review members too, and is remembered as 'same'.

        Where nothing is left to move, it is a yes to what moved though something was changed in it: that stays moved.
        """
        result = Moved()
        done, changed = 0, {change.file for change in self._ledger.held_checks.changed()}
        for part in slices(groups, self._clock, *GROUPS):
            if stop():
                result.stayed += len(groups) - done
                result.said.append(f"{len(groups) - done} group(s) stay as they are: dedupd was stopped")
                break
            chosen: list[tuple[GroupRow, list[MemberRow]]] = []
            for id in part:
                group = self._ledger.groups.get(id)
                if group is None:
                    result.said.append(f"there is no group {id} any more")
                    continue
                members = [m for m in group.members if m.role in {"duplicate", "review"}]
                chosen.append((group, members))
                if not members:
                    self._are_the_same(group, [m for m in group.members if m.file in changed])
            self._move(chosen, result, stop)
            done += len(part)
            on_progress("move", done, len(groups))
        self._annotate(groups=result.groups, stop=stop)
        return result

    def _move(
        self, chosen: Sequence[tuple[GroupRow, Sequence[MemberRow]]], result: Moved, stop: Stop
    ) -> None:
        """Move these members on a person's word."""
        for group, members in chosen:
            self._are_the_same(group, members)
        for root in self._roots.all:
            here = [(group, members) for group, members in chosen if group.root == root.id]
            self._movement.relocate(root, here, result, asked=True, stop=stop)

    def _are_the_same(self, group: GroupRow, members: Sequence[MemberRow]) -> None:
        keeper = self._ledger.files.get(group.keeper)
        files = self._ledger.files.by_ids(m.file for m in members)
        with self._ledger.transaction():
            for file in files.values():
                if keeper and keeper.content and file.content:
                    self._ledger.verdicts.drop("different", keeper.content, file.content)
                    self._ledger.verdicts.drop("keep", file.content, "")
                    self._ledger.verdicts.add(
                        "same", keeper.content, file.content, [keeper.path, file.path], self._clock.now()
                    )

    def approve_all(self, *, on_progress: Progress = quiet, stop: Stop = never) -> Moved:
        """The yes of P12: what is proposed now moves, and later proposals of these roots move without a question.

        A root without proposals gets no yes: nobody can have looked at any.
        """
        asked = [r for r in self._roots.all if r.online and consent.proposals(self._ledger, r).files]
        for root in asked:
            consent.record_consent(self._ledger, root, self._clock.now())
        result = self._movement.move(yes=True, on_progress=on_progress, stop=stop)
        for root in asked:
            consent.record_consent(self._ledger, root, self._clock.now())
        return result

    def exchange(self, groups: Sequence[int] | None = None, *, stop: Stop = never) -> Moved:
        """A person's yes to what is held better: each comes back, its group is formed anew, and the lesser one moves aside.

        `groups`: only these; None: all. Where each holds something, both stay and the group waits in review.
        """
        result = Moved()
        chosen = [b for b in self._ledger.held_checks.better() if groups is None or b.group in groups]
        # A yes to these files is no yes to what is gathered beside them when the group is formed anew.
        meant: set[int] = set()
        for group in sorted({b.group for b in chosen}):
            row = self._ledger.groups.get(group)
            held = self._ledger.journal.held_ids(group=group)
            meant |= self._ledger.journal.files_of(held) | ({row.keeper} if row else set())
            self._movement.undo_into(result, held, Goal.RETURNED)
            if stop():
                result.said.append("not all is exchanged: dedupd was stopped; what came back waits in review")
                self._annotate(groups=result.groups)
                return result
        # Not all that waits: a first import takes hours, and somebody waits for this.
        result.touched = self._regroup(self._months_of(meant), stop=stop)
        if result.undone:  # what came back was renamed just now, and only settled files are keepers
            wait(self._settings.schedule.settle_seconds + 0.05, self._clock, stop)
        for better in chosen:
            file = self._ledger.files.get(better.file)
            root = next((r for r in self._roots.all if file is not None and r.id == file.root), None)
            group = None if root is None or file is None else self._ledger.groups.of_keeper(root.id, file.id)
            if root is not None and group is not None:
                members = [m for m in group.members if m.role == "duplicate" and m.file in meant]
                self._movement.relocate(root, [(group, members)], result, asked=True, stop=stop)
            elif file is not None:
                result.said.append(f"{file.path} is back, and waits: the other may hold something too")
        self._annotate(groups=result.groups)
        return result

    def _months_of(self, files: Iterable[int]) -> set[Month]:
        rows = self._ledger.files.by_ids(files).values()
        return {Month.parse(row.month) for row in rows if row.month}

    def reject(self, groups: Sequence[int], *, stop: Stop = never) -> Moved:
        """Not duplicates, for ever and by content: moved members come back, and the group splits at once."""
        result = Moved()
        for done, id in enumerate(groups):
            if done and stop():
                result.said.append(f"{len(groups) - done} group(s) stay as they are: dedupd was stopped")
                break
            group = self._ledger.groups.get(id)
            if group is None:
                result.said.append(f"there is no group {id} any more")
                continue
            self.mark_different(group, [m.file for m in group.members], result)
        return result

    def mark_different(self, group: GroupRow, files: Sequence[int], result: Moved) -> None:
        """These members are no duplicates of their keeper (nor, through it, of each other's group)."""
        # Undo first: a crash must not leave a file held of which a person said that it is no duplicate.
        self._movement.undo_into(result, self._ledger.journal.held_with(group.id, files))
        keeper = self._ledger.files.get(group.keeper)
        rows = self._ledger.files.by_ids(files)
        with self._ledger.transaction():
            for row in rows.values():
                if keeper is None or not keeper.content or not row.content:
                    result.said.append(f"{row.path} is being looked at again: say it once more in a moment")
                    continue
                self._ledger.verdicts.drop("same", keeper.content, row.content)
                # The undo wrote one down already, as of a file of which only the move was undone.
                self._ledger.verdicts.drop("different", keeper.content, row.content)
                self._ledger.verdicts.add(
                    "different", keeper.content, row.content, [keeper.path, row.path], self._clock.now()
                )
                self._ledger.months.mark_changed(row.root, row.month, self._clock.now())
        for month in {group.month, *(r.month for r in rows.values())}:
            root = next((r for r in self._roots.all if r.id == group.root), None)
            if root is not None and month:
                decide(
                    self._ledger,
                    self._disk,
                    self._settings,
                    self._clock,
                    root,
                    month,
                    self._ledger.get("model"),
                )

    def judge(
        self,
        group: GroupRow,
        *,
        keeper: int | None,
        move: Sequence[int],
        different: Sequence[int],
        keep: Sequence[int],
    ) -> Moved:
        """A verdict picture by picture. Another keeper is possible only while nothing of the group has moved."""
        result = Moved()
        if different:
            self.mark_different(group, different, result)
            group = self._ledger.groups.get(group.id) or replace(group, members=())
        self.keep(keep)
        if keeper is not None and keeper != group.keeper:
            group = self._with_keeper(group, keeper)
        members = [m for m in group.members if m.file in move and m.role != "moved"]
        self._move([(group, members)], result, never)
        self._annotate(groups=result.groups)
        return result

    def _with_keeper(self, group: GroupRow, keeper: int) -> GroupRow:
        if any(m.role == "moved" for m in group.members):
            raise UsageError(f"group {group.id} has moved files, so its keeper stays: undo them first")
        chosen = next((m for m in group.members if m.file == keeper), None)
        if chosen is None:
            raise UsageError(
                f"file {keeper} is not in group {group.id}: look again with `dedupd show {group.id}`"
            )
        # What was said of a pair is turned round with it; of the others it was said beside the old keeper.
        seen = chosen.evidence
        turned = replace(seen, only_here=seen.only_in_keeper, only_in_keeper=seen.only_here)
        said = "you chose another keeper"
        swapped = [replace(chosen, file=group.keeper, role="review", evidence=turned, why=said)]
        others = [
            replace(m, role="review", evidence=replace(m.evidence, only_here=_UNCOMPARED, only_in_keeper=()), why=said)
            for m in group.members
            if m.file != keeper
        ]  # fmt: skip
        with self._ledger.transaction():
            self._ledger.groups.remove(group.id)
            id = self._ledger.groups.put(
                group.root, keeper, group.month, ["you chose it"], [*swapped, *others], self._clock.now()
            )
        found = self._ledger.groups.get(id)
        assert found is not None
        return found

    def keep(self, files: Iterable[int]) -> None:
        """Duplicates that shall stay where they are: never moved, never asked about again."""
        with self._ledger.transaction():
            for row in self._ledger.files.by_ids(files).values():
                if row.content:
                    self._ledger.verdicts.add("keep", row.content, "", [row.path], self._clock.now())
                    for group in self._ledger.groups.with_file(row.id):
                        if any(m.file == row.id and m.role != "moved" for m in group.members):
                            self._ledger.groups.set_role(group.id, row.id, "stays", "a person keeps it")
                    self._ledger.months.mark_changed(row.root, row.month, self._clock.now())

    def recording(self, act: Callable[[], Moved]) -> tuple[Moved, list[int]]:
        """Do a person's act. Returns its result and the ids of the verdicts that it stored, which `forget` can undo."""
        before = self._ledger.verdicts.newest()
        moved = act()
        return moved, self._ledger.verdicts.since(before)

    def forget(self, *ids: int, stop: Stop = never) -> Moved:
        """Forget these verdicts, as if they had never been said. Months not grouped again before `stop` are in the next pass."""
        unknown: list[str] = []
        with self._ledger.transaction():
            for id in ids:
                verdict = self._ledger.verdicts.remove(id)
                if verdict is None:
                    unknown.append(f"there is no lesson {id}")
                    continue
                for content in (verdict.a, verdict.b):
                    for file in self._ledger.files.live_with_content(content) if content else ():
                        self._ledger.months.mark_changed(file.root, file.month, self._clock.now())
        return Moved(said=unknown, touched=self._regroup(stop=stop))

    def import_all(self, verdicts: Iterable[tuple[str, str, str, Sequence[str], float]]) -> None:
        """Add verdicts (kind, a, b, paths, at) from elsewhere: by content, so they hold wherever the photos lie.

        `at`: seconds since 1970, and kept: what was said in one moment belongs together.
        """
        with self._ledger.transaction():
            for kind, a, b, paths, at in verdicts:
                self._ledger.verdicts.add(kind, a, b, paths, at)
                for file in self._ledger.files.live_with_content(a):
                    self._ledger.months.mark_changed(file.root, file.month, self._clock.now())
        self._regroup()
