"""What moved copies know and their keeper does not goes into an XMP sidecar beside the keeper, and away with an undo.

The file is named like the whole photo, `IMG_1.jpg.xmp`: darktable, digiKam and Immich read that, and unlike
`IMG_1.xmp` it cannot be taken for the sidecar of a RAW or HEIC of the same stem (Lightroom reads sidecars beside
RAWs only, under neither name beside a JPEG). A sidecar that is there already is somebody's and stays as it is:
then the month's summary tells what the copies know. Must never touch a photo.
"""

from __future__ import annotations

import logging
import os.path
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dedupd.core.descriptions import Description, joined, lacking
from dedupd.core.photo import Relation
from dedupd.core.records import FileRow, RootRow, SidecarRow
from dedupd.core.relocation import Move, MoveState, duplicates_folder
from dedupd.core.units import extension
from dedupd.core.xmp import to_xmp
from dedupd.errors import RootError, VisionError
from dedupd.pipeline.move_orders import Companions, Stays
from dedupd.pipeline.roots import Roots, quiet
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk, FileRequest, Progress, Vision

if TYPE_CHECKING:
    from dedupd.adapters.fs.mover import FileMover
    from dedupd.adapters.fs.sidecar_files import SidecarFiles
    from dedupd.adapters.ledger import Ledger

log = logging.getLogger("dedupd.annotate")
BATCH = (8, 64)
"""Groups whose files are read in one request, fewest and most."""


@dataclass(slots=True, kw_only=True)
class _Case:
    """One group: the sidecar that is beside its keeper, and the one that should be."""

    row: SidecarRow
    keeper: FileRow | None
    held: list[Move]
    folder: str
    foreign: tuple[str, ...] = ()
    """Sidecars beside the keeper that are not ours."""
    wanted: Description = field(default_factory=Description)
    conflicts: tuple[str, ...] = ()


class Annotator:
    """Writes and removes sidecars, so that they match the held copies. `on`: the setting `metadata` is "sidecar"."""

    def __init__(
        self, ledger: Ledger, vision: Vision, disk: Disk, store: SidecarFiles, roots: Roots, clock: Clock, *,
        on: bool,
    ) -> None:  # fmt: skip
        self._ledger, self._vision, self._disk, self._store, self._clock = ledger, vision, disk, store, clock
        self._roots, self._on = roots, on

    def settle(
        self, *, groups: Collection[int] | None = None, read: bool = True, on_progress: Progress = quiet,
        stop: Stop = never,
    ) -> None:  # fmt: skip
        """Write the sidecars that moves owe, and remove those of moves that were undone.

        `groups`: only these, because a person waits for this act and not for the rest. With `read` False no photo is read,
        and sidecars that need it stay owed, as do those of photos that the worker cannot read now.
        """
        for root in self._ledger.roots.all():
            waiting = self._ledger.sidecars.unsettled_of(root.id)
            if not waiting or self._roots.verified(root, mark=False) is None:
                continue
            waiting = [group for group in waiting if groups is None or group in groups]
            try:
                for sentence in self._settle_root(root, waiting, read, on_progress, stop):
                    log.info("%s", sentence)
            except VisionError as error:
                log.warning("sidecars are written later: %s", error)

    def _settle_root(
        self, root: RootRow, waiting: Sequence[int], read: bool, on_progress: Progress, stop: Stop
    ) -> list[str]:
        """End what was begun and do what is owed in these groups of this root, whose identity was checked. Returns sentences
        for people."""
        said: list[str] = []
        companions = Companions(self._ledger, self._disk, root, self._roots.scope)
        done = 0
        for part in slices(waiting, self._clock, *BATCH):
            if stop():
                break
            on_progress("annotate", done, len(waiting))
            done += len(part)
            # What came in between settles sidecars too, so that each row is read as it is now.
            rows = [row for group in part if (row := self._owed(group)) is not None]
            cases = [c for row in rows if (c := self._case(root, row, companions))]
            if not read:
                cases = [case for case in cases if not self._speaking(case)]
            self._read(root, cases)
            for case in cases:
                said += self._settle(root, case)
        return said

    def _owed(self, group: int) -> SidecarRow | None:
        row = self._ledger.sidecars.of(group)
        return None if row is None or row.state == "settled" else row

    # ---- what is wanted

    def _case(self, root: RootRow, row: SidecarRow, companions: Companions) -> _Case | None:
        """The case of one group; None when it cannot be decided now."""
        moves = self._ledger.journal.moves(group=row.group)
        held = [move for move in moves if move.held]
        if not moves:
            return None
        group = self._ledger.groups.get(row.group)
        keeper = self._ledger.files.get(group.keeper) if group is not None else None
        case = _Case(row=row, keeper=keeper, held=held, folder=duplicates_folder((held or moves)[-1].dst))
        try:
            case.row = self._ended(root, case)
            if keeper is not None and held:
                beside = companions.unit(keeper.path).companions
                case.foreign = tuple(p for p in beside if extension(p) == "xmp" and p != case.row.path)
        except (Stays, OSError, RootError):
            return None
        return case

    def _ended(self, root: RootRow, case: _Case) -> SidecarRow:
        """End what a crash interrupted: a sidecar half written or half removed is removed."""
        row = case.row
        if row.state in ("writing", "removing"):
            self._store.remove(root.path, root.uuid, row, case.folder, torn=row.state == "writing")
            row = SidecarRow(group=row.group, root=row.root, state="owed")
            self._put(row)
        return row

    def _speaking(self, case: _Case) -> list[Move]:
        """Held files that can know more than the keeper: copies with other bytes, and sidecars of copies.

        Another frame of a burst is another photo: it does not speak for its keeper.
        """
        if case.keeper is None or not self._on:
            return []
        same = [move for move in case.held if move.relation != Relation.BURST]
        return [m for m in same if extension(m.dst) == "xmp" or (m.primary and m.relation != Relation.EXACT)]

    def _read(self, root: RootRow, cases: Iterable[_Case]) -> None:
        """Read what each keeper lacks, with one request for all."""
        asked: list[tuple[_Case, str, str]] = []
        for case in cases:
            speaking = self._speaking(case)
            if speaking and case.keeper is not None:
                asked += [(case, "", path) for path in (*case.foreign, case.keeper.path)]
                asked += [(case, move.unit, move.dst) for move in sorted(speaking, key=lambda m: m.primary)]
        known: dict[int, dict[str, Description]] = {}
        requests = [
            FileRequest(key=key, path=os.path.join(root.path, path), stat=stat)
            for key, (_, _, path) in enumerate(asked)
            if (stat := self._disk.stat(root.path, path)) is not None
        ]
        answers = self._vision.describe(requests) if requests else {}
        for key, said in sorted(answers.items()):
            case, unit, _ = asked[key]
            units = known.setdefault(case.row.group, {})
            units[unit] = joined(units.get(unit, Description()), said)
        for case in cases:
            units = known.get(case.row.group, {})
            keeper = units.pop("", Description())
            case.wanted, conflicts = lacking(keeper, list(units.values()))
            case.conflicts = tuple(conflicts)

    # ---- what is done

    def _settle(self, root: RootRow, case: _Case) -> list[str]:
        text = to_xmp(case.wanted) if case.wanted else ""
        settled = replace(case.row, state="settled", told=(), conflicts=case.conflicts)
        if case.row.text and (not self._on and case.held):
            self._put(replace(case.row, state="settled"))
            return []
        if case.row.text == text and (not text or self._store.holds(root.path, case.row.path, text)):
            self._end(settled)
            return []
        if case.row.text and not self._withdrawn(root, case):
            return []
        settled = replace(settled, path="", text="")
        if text and case.keeper is not None:
            settled = self._written(root, case, settled, text)
        self._end(settled)
        keeper = case.keeper.path if case.keeper is not None else ""
        return [f"{keeper}: the {fact} of its copies disagree and are left out" for fact in case.conflicts]

    def _written(self, root: RootRow, case: _Case, settled: SidecarRow, text: str) -> SidecarRow:
        assert case.keeper is not None
        why = f"{case.foreign[0]} is there already" if case.foreign else ""
        if not why:
            begun = replace(settled, state="writing", path=f"{case.keeper.path}.xmp", text=text)
            self._put(begun)
            why = self._store.write(root.path, root.uuid, begun, case.keeper.path, case.folder)
            if not why:
                return replace(begun, state="settled")
        return replace(settled, told=(*case.wanted.told(), f"not written: {why}"))

    def _withdrawn(self, root: RootRow, case: _Case) -> bool:
        """Remove our sidecar, also when its keeper was moved. False when that failed: it stays owed."""
        row, places = case.row, [case.row.path]
        if case.keeper is not None:
            places.append(f"{case.keeper.path}.xmp")
        path = next((p for p in places if self._store.holds(root.path, p, row.text)), "")
        if not path:
            return True  # edited or taken away: it is its owner's
        row = replace(row, state="removing", path=path)
        self._put(row)
        try:
            self._store.remove(root.path, root.uuid, row, case.folder)
        except (OSError, RootError):
            return False
        with self._ledger.transaction():
            seen = self._ledger.files.at(root.id, path)
            if seen is not None:
                self._ledger.files.remove(seen.id)
            self._ledger.sidecars.put(SidecarRow(group=row.group, root=row.root, state="owed"))
        return True

    def _end(self, row: SidecarRow) -> None:
        with self._ledger.transaction():
            if row.text or row.told or row.conflicts:
                self._ledger.sidecars.put(row)
            else:
                self._ledger.sidecars.forget(row.group)

    def _put(self, row: SidecarRow) -> None:
        with self._ledger.transaction():
            self._ledger.sidecars.put(row)


def withdraw_by_receipts(
    root: str, store: SidecarFiles, mover: FileMover, scope: Callable[[Move], bool] = lambda move: True
) -> int:
    """With the ledger gone: lay aside the sidecars of keepers of which nothing is held any more. Returns how many.

    Only one that the receipts name, beside the keeper of a move in `scope`, whole and unchanged. Raises RootError.
    """
    told = mover.receipts(root)
    held = {move.keeper for move in told if move.held or move.state is MoveState.INTENT}
    alone = {move.keeper for move in told if scope(move)} - held
    count = 0
    for folder, row in store.receipts(root):
        if row.path.removesuffix(".xmp") in alone:
            with suppress(OSError):
                count += bool(mover.set_sidecar_aside(root, row, folder))
    return count
