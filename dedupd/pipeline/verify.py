"""Proves on the disk, as it is now, every promise that can be proved at rest.

Must never change anything, not even the ledger: it reports what it finds, with the command that mends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from dedupd.core.foreign import Scope
from dedupd.core.photo import FileState
from dedupd.core.purging import PurgeState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.relocation import Move
from dedupd.errors import RootError, VisionError
from dedupd.pipeline.reconcile import same_bytes
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


_LOOK = "`dedupd scan`, or `dedupd scan-now` with the daemon running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One promise that does not hold."""

    promise: str
    """'P1' … 'P17' of DESIGN.md."""
    path: str
    told: str
    """What is wrong, one sentence."""
    mend: str
    """The command that mends it, or what a person should do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCheck:
    """The index compared with the ledger. A difference is reported but no breach: the index can be made again (P13)."""

    rows: int = 0
    not_in_it: int = 0
    """Photos that the next pass looks at again; nothing moves until then."""
    of_no_file: int = 0
    """Rows of photos that are no longer there: left in place, never proposed."""
    problem: str = ""
    """One sentence when it cannot be read."""

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        told = f"the index holds {self.rows} photo(s)"
        if self.not_in_it:
            told += f"; {self.not_in_it} more are looked at again in the next pass, before anything moves"
        if self.of_no_file:
            told += f"; {self.of_no_file} of them are of files that are no longer there, which does no harm"
        return told


def check_index(ledger: Ledger, listed: Callable[[str, str], Iterable[str]]) -> IndexCheck:
    """`listed(model, recipe)` gives the index's content ids; raises VisionError when it cannot be read."""
    try:
        rows = set(listed(ledger.get("model"), ledger.get("recipe"))) if ledger.get("recipe") else set[str]()
    except VisionError as error:
        return IndexCheck(problem=str(error))
    live = set(ledger.contents.live())
    held = {move.content for move in ledger.journal.each(ledger.journal.held_ids())}
    return IndexCheck(rows=len(rows), not_in_it=len(live - rows), of_no_file=len(rows - live - held))


def verify(
    ledger: Ledger, disk: Disk, receipts: Callable[[str], list[Move]], roots: Sequence[RootRow], scope: Scope,
    on_progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> Iterator[Breach]:  # fmt: skip
    """Every breach found, one root after the other. Hashes each held file and each keeper once.

    `receipts`: the moves that the receipts of a root record; raises RootError.
    """
    for move in ledger.journal.attention():
        yield Breach(
            promise="P1",
            path=move.src,
            told=f"{move.error}",
            mend="look for the file by hand, then `dedupd undo`",
        )
    for move in ledger.journal.open_moves():
        yield Breach(
            promise="P4", path=move.src, told="a move was begun and not ended",
            mend="start the daemon, or run `dedupd scan`: both finish or take it back first",
        )  # fmt: skip
    for purge in ledger.purges.in_state(PurgeState.INTENT, PurgeState.RETURNING):
        yield Breach(
            promise="P4", path=purge.trash, told="its way into the trash, or out of it, was begun and not ended",
            mend="start the daemon, or run `dedupd scan`: both end what was begun first",
        )  # fmt: skip
    for row in ledger.sidecars.unsettled():
        if row.path:
            yield Breach(
                promise="P4", path=row.path, told="this sidecar of dedupd's is half made, or half taken away",
                mend="start the daemon, or run `dedupd scan`: both end what was begun first",
            )  # fmt: skip
    for root in roots:
        try:
            found = disk.identity(root.path)
        except RootError as error:
            yield Breach(promise="P9", path=root.path, told=str(error), mend="mount it, then verify again")
            continue
        if root.uuid and found.uuid != root.uuid:
            yield Breach(
                promise="P9", path=root.path, told="another folder lies there than the one dedupd knows",
                mend="mount the right disk; nothing moves until then",
            )  # fmt: skip
            continue
        yield from _held(ledger, disk, receipts, root, scope, on_progress)
        yield from _known(ledger, disk, root)
        yield from _foreign(ledger, disk, root, scope)


def _held(
    ledger: Ledger,
    disk: Disk,
    receipts: Callable[[str], list[Move]],
    root: RootRow,
    scope: Scope,
    on_progress: Callable[[str, int, int], None],
) -> Iterator[Breach]:
    held = ledger.journal.held_ids(root=root.path)
    told = {m.dst: replace(m, evidence="") for m in receipts(root.path) if m.held}
    travelled = {(m.batch, m.id): m.dst for m in told.values()}
    sought = _Sought(ledger, disk, root, scope)
    said, keepers = _Verdicts(ledger, root), _Keepers(ledger, disk, root, sought)
    renamed: Counter[tuple[str, str]] = Counter()
    on_their_way = {p.move for p in ledger.purges.in_state(PurgeState.INTENT, PurgeState.RETURNING)}
    for done, move in enumerate(ledger.journal.each(held)):
        on_progress("verify", done, len(held))
        if move.id in on_their_way and disk.gone(root.path, move.dst):
            told.pop(move.dst, None)
            continue  # told of already; what ends it finds it in the trash, or says that it is lost
        row = ledger.files.get(move.file)
        if row is not None and row.absent_since is not None and disk.gone(root.path, move.dst):
            told.pop(move.dst, None)
            continue  # its owner took it away: the last look noticed, the next one settles it
        here, whole = travelled.get((move.batch, move.id), ""), _content(disk, root, move.dst) == move.content
        if not whole and here and _content(disk, root, here) == move.content:
            # Its folder was renamed by hand, and its receipts with it: nothing is lost, and a look follows it.
            renamed[move.dst.rpartition("/")[0], here.rpartition("/")[0]] += 1
            told.pop(here, None)  # another held copy of these bytes was put there
            yield from keepers.breach(move, renamed=True)
            continue
        receipt = told.pop(move.dst, None)
        if not whole:
            yield _not_there(disk, root, move, sought)
        yield from keepers.breach(move)
        if receipt is None or receipt.content != move.content or receipt.src != move.src:
            yield Breach(
                promise="P4", path=move.dst, told="no completed receipt beside it tells where it came from",
                mend=f"dedupd undo '{move.dst}'",
            )  # fmt: skip
        if move.primary and said.against(move):
            yield Breach(
                promise="P11", path=move.dst, told="a person said that it is no duplicate, and it is held",
                mend=f"dedupd undo '{move.dst}'",
            )  # fmt: skip
    yield from _strays(ledger, disk, root)
    for (before, now), files in renamed.items():
        yield Breach(
            promise="P15", path=before, told=f"{files} moved file(s) of it lie in {now} now: it was renamed by hand",
            mend=f"{_LOOK}: it follows them, and each can be put back as before",
        )  # fmt: skip
    for move in told.values():
        thrown_away = disk.foreign(root.path, move.dst.rpartition("/")[0], scope) is not None
        if disk.stat(root.path, move.dst) is not None and not thrown_away:
            yield Breach(
                promise="P4", path=move.dst, told="its receipt says it was moved, and the ledger does not know of it",
                mend=f"dedupd undo --from '{root.path}'",
            )  # fmt: skip


def _strays(ledger: Ledger, disk: Disk, root: RootRow) -> Iterator[Breach]:
    """Second names and empty files that a refused move, or an older dedupd, left in duplicates/ while the photo stayed."""
    journal = ledger.journal
    refused = {m.dst: m.id for m in journal.each(journal.aborted_ids(root.path))}
    for move in journal.each(journal.held_ids(root=root.path) if refused else ()):
        refused.pop(move.dst, None)
    for file in chain.from_iterable(disk.held(root.path)):
        move = next(journal.each([refused[file.path]] if file.path in refused else ()), None)
        if move is None:
            continue
        if file.stat.size == 0 < move.size:
            told = f"an empty file that claimed the name for {move.src}, which stayed where it was"
        elif _content(disk, root, file.path) == _content(disk, root, move.src) == move.content:
            told = f"a second name of {move.src} or its second copy, left by a move that was refused"
        else:
            continue
        yield Breach(
            promise="P4", path=file.path, told=told, mend="remove it by hand: the photo is in its place"
        )


class _Sought:
    """Finds files that are not where the ledger says: by their bytes, among photos that the ledger does not know."""

    def __init__(self, ledger: Ledger, disk: Disk, root: RootRow, scope: Scope) -> None:
        self._ledger, self._disk, self._root, self._scope = ledger, disk, root, scope

    def find(self, content: str, size: int) -> str:
        """Its path; '' when it is nowhere."""
        here = (path for path in self._by_size.get(size, ()) if self._disk_says(path) == content)
        return next((path for path in here if not self._known(path)), "")

    def _disk_says(self, path: str) -> str:
        return _content(self._disk, self._root, path)

    def _known(self, path: str) -> bool:
        rows = self._ledger.files.in_folder(self._root.id, path.rpartition("/")[0])
        return any(row.path == path for row in rows)

    @cached_property
    def _by_size(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for _, files in self._disk.walk(self._root.path, "", self._scope, lambda folder, sentence: None):
            for file in files:
                found.setdefault(file.stat.size, []).append(file.path)
        return found


class _Keepers:
    """The keepers of held copies, each read once."""

    def __init__(self, ledger: Ledger, disk: Disk, root: RootRow, sought: _Sought) -> None:
        self._ledger, self._disk, self._root, self._sought = ledger, disk, root, sought
        self._found: dict[str, str] = {}
        """Path -> content."""

    def breach(self, move: Move, *, renamed: bool = False) -> Iterator[Breach]:
        """`renamed`: with its folder, and a keeper that went along is no news."""
        group = self._ledger.groups.get(move.group)
        row = self._ledger.files.get(group.keeper) if group is not None else None
        keeper = row.path if row is not None else move.keeper
        if keeper not in self._found:
            self._found[keeper] = _content(self._disk, self._root, keeper)
        if self._found[keeper] != move.keeper_content:
            went = self._sought.find(move.keeper_content, row.stat.size) if row is not None else ""
            if went and renamed:
                return
            state = "has changed" if self._found[keeper] else "is gone"
            yield Breach(
                promise="P8", path=move.dst,
                told=f"its keeper {keeper} " + (f"lies at {went} now" if went else state),
                mend=f"{_LOOK}: it follows them" if went or renamed
                else f"the daemon brings it back {self._when(row, keeper)}; or now: dedupd undo '{move.dst}'",
            )  # fmt: skip
        elif not self._ledger.contents.traits([move.keeper_content]):
            yield Breach(
                promise="P2", path=move.dst, told=f"its keeper {keeper} was never read to the end",
                mend=f"dedupd undo '{move.dst}'",
            )  # fmt: skip

    def _when(self, row: FileRow | None, keeper: str) -> str:
        now = self._disk.stat(self._root.path, keeper)
        if row is not None and now is not None and same_bytes(row.stat, now):
            return "as soon as it has read the keeper again (each is, once a month)"
        return "within a minute"


class _Verdicts:
    """What people said of contents, and when."""

    def __init__(self, ledger: Ledger, root: RootRow) -> None:
        self._ledger, self._root = ledger, root

    def against(self, move: Move) -> bool:
        """True when this file was moved after a person's no, or is the last of its bytes that are not to be hidden.

        Its twin that was put back does not call back those that were moved before: their bytes are there.
        """
        different = self._ledger.verdicts.said_at("different", move.content, move.keeper_content)
        kept = self._ledger.verdicts.said_at("keep", move.content)
        times = [at for at in (different, kept) if at is not None]
        if not times:
            return False
        live = self._ledger.files.live_with_content(move.content)
        return min(times) < move.at or not any(f.root == self._root.id for f in live)


def _not_there(disk: Disk, root: RootRow, move: Move, sought: _Sought) -> Breach:
    """The held file is not where it was put."""
    if went := sought.find(move.content, move.size):
        return Breach(
            promise="P15", path=move.dst, told=f"it lies at {went} now: it was taken out of duplicates/ by hand",
            mend=f"{_LOOK}: it takes note, and leaves it there",
        )  # fmt: skip
    there = disk.stat(root.path, move.dst) is not None
    return Breach(
        promise="P1", path=move.dst, told="it is not the file that was moved" if there else "it is not there any more",
        mend="restore it from a backup if you did not change it yourself; `dedupd scan` then takes note",
    )  # fmt: skip


def _known(ledger: Ledger, disk: Disk, root: RootRow) -> Iterator[Breach]:
    """Rows of the ledger without a file: every number must be what the disk shows (P15)."""
    for state in (FileState.INDEXED, FileState.UNDECODED, FileState.SKIPPED, FileState.COMPANION):
        for file in ledger.files.in_state(state, root.id):
            now = disk.stat(root.path, file.path)
            if now is None or (now.size, now.mtime_ns) != (file.stat.size, file.stat.mtime_ns):
                yield Breach(
                    promise="P15", path=file.path,
                    told="it is not there any more" if now is None else "it changed since it was looked at",
                    mend=_LOOK,
                )  # fmt: skip


def _foreign(ledger: Ledger, disk: Disk, root: RootRow, scope: Scope) -> Iterator[Breach]:
    """Rows, and so possibly keepers, in folders that are no library (P17)."""
    for folder in ledger.files.folders(root.id):
        if kind := disk.foreign(root.path, folder, scope):
            yield Breach(
                promise="P17", path=folder, told=f"its photos are counted, and it is none of the library ({kind.kind})",
                mend=_LOOK,
            )  # fmt: skip


def _content(disk: Disk, root: RootRow, path: str) -> str:
    try:
        return disk.content(root.path, path)
    except OSError:
        return ""
