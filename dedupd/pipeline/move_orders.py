"""Turns the members of a group into move orders: each photo with all files of its unit, and where each goes.

Must never move a file. A unit whose companions the keeper cannot match byte for byte stays: hiding the
only RAW, Live motion or edit of a photo would be a loss (P10).
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from dedupd.core.foreign import Scope
from dedupd.core.photo import FileState
from dedupd.core.records import FileRow, GroupRow, MemberRow, RootRow
from dedupd.core.relocation import MoveOrder, destination
from dedupd.core.units import Shot, Unit, is_edit, travels_alone, units_in
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


class Stays(Exception):
    """This photo does not move; the message is the clause for people."""


class NotYet(Stays):
    """It does not move now, but later; the decision stands."""


_Folder = tuple[set[str], dict[str, Unit]]
"""The names in a folder, if they come from the disk; and its units of more than the photo."""


class Companions:
    """Which files belong to a photo, and whether its keeper has the same ones. Reads each folder once.

    With `scope` the names are read from the disk: a move must not leave a companion behind that came a moment
    ago, nor take or keep what is none of the library since then (P17). Without, they are the ledger's.
    """

    def __init__(self, ledger: Ledger, disk: Disk, root: RootRow, scope: Scope | None = None) -> None:
        self._ledger, self._disk, self._root, self._scope = ledger, disk, root, scope
        self._folders: dict[str, _Folder] = {}
        self._before: dict[str, _Folder] = {}
        """Folders read before the last `turn`, and not asked about since."""

    def turn(self) -> None:
        """Go on to the next month, or to the next moves: a folder that they have in common with these is not sorted into
        units again while it holds the same names, others are forgotten."""
        self._before, self._folders = self._folders, {}

    def moved(self, paths: Iterable[str]) -> None:
        """Take note that dedupd moved these away, each with all that belongs to it: the other units stay what they are."""
        for path in paths:
            names, units = self._folders.get(path.rpartition("/")[0], (set[str](), dict[str, Unit]()))
            names.discard(path)
            gone = units.pop(path, Unit(photo=path))
            for other in {*gone.versions, *gone.originals} & units.keys():
                units[other] = replace(
                    units[other], versions=_without(units[other].versions, path),
                    originals=_without(units[other].originals, path),
                )  # fmt: skip

    def unit(self, path: str) -> Unit:
        """The unit whose photo lies at `path`, with the edits that names alone do not tell.

        Raises NotYet when the disk shows no such photo of the library.
        """
        if self._scope is not None and path not in self._in_folder(path.rpartition("/")[0])[0]:
            raise NotYet(f"{path!r} is not there, or in a folder that is not looked at")
        unit = self._named(path)
        companions, stay = set(unit.companions), unit.stay
        for version in unit.versions:
            edit = self._is_edit(path, version)
            if edit:
                companions |= set(self.unit(version).files)
                stay = stay or self._named(version).stay
            elif edit is None:
                stay = stay or f"{_name(version)!r} may be its edited version and was not seen yet"
        for original in unit.originals:
            edit = self._is_edit(original, path)
            if edit:
                stay = stay or f"it is the edited version of {_name(original)!r}"
            elif edit is None:
                stay = stay or f"it may be the edited version of {_name(original)!r}, which was not seen yet"
        return replace(unit, companions=tuple(sorted(companions)), stay=stay)

    def owner(self, path: str) -> str:
        """The photo that the companion at `path` belongs to; '' when it belongs to none."""
        _, units = self._in_folder(path.rpartition("/")[0])
        return next((unit.photo for unit in units.values() if path in unit.companions), "")

    def _named(self, path: str) -> Unit:
        """The unit by names alone."""
        return self._in_folder(path.rpartition("/")[0])[1].get(path) or Unit(photo=path)

    def _in_folder(self, folder: str) -> _Folder:
        if folder not in self._folders:
            self._folders[folder] = self._known_before(folder) or self._units_in(self._names(folder))
        return self._folders[folder]

    def _known_before(self, folder: str) -> _Folder | None:
        """As read before the last `turn`, if the disk shows the same names."""
        known = self._before.get(folder)
        if known is None or self._scope is None:
            return known
        names = set(self._names(folder))
        return known if names == known[0] else self._units_in(names)

    def _units_in(self, names: Collection[str]) -> _Folder:
        # An export of a whole library may be one folder: kept is only what names alone do not tell at once.
        units = {photo: unit for photo, unit in units_in(names).items() if unit != Unit(photo=photo)}
        return set(names if self._scope is not None else ()), units

    def _is_edit(self, original: str, version: str) -> bool | None:
        """See core.units.is_edit; a person who said that the two are the same has decided it."""
        one, other = self._shot(original), self._shot(version)
        if one and other and self._ledger.verdicts.has("same", one.content, other.content):
            return False
        return is_edit(one, other)

    def _shot(self, path: str) -> Shot | None:
        row = self._ledger.files.at(self._root.id, path)
        if row is None or row.content is None or not _indexed(row):
            return None
        seen = self._ledger.contents.traits([row.content]).get(row.content)
        return seen and Shot(content=row.content, captured=seen.captured, camera=seen.camera)

    def _names(self, folder: str) -> list[str]:
        if self._scope is None:
            return self._ledger.files.paths_in(self._root.id, folder)

        def unreadable(at: str, sentence: str) -> None:
            raise NotYet(sentence)

        return self._disk.names(self._root.path, folder, self._scope, unreadable)

    def beside(self, keeper: str, path: str) -> list[FileRow]:
        """The companions that move with the photo at `path`, their contents known. Raises Stays."""
        unit = self.unit(path)
        if unit.stay:
            raise Stays(unit.stay)
        rows = [self._known(p) for p in unit.companions]
        twins: set[str | None] = {self._known(p).content for p in self.unit(keeper).companions if rows}
        for row in rows:
            if row.content not in twins and not travels_alone(row.path):
                raise Stays(f"{_name(row.path)!r} belongs to it and its keeper has nothing like it")
            if self._ledger.journal.keeps(self._root.path, row.path, row.id):
                raise Stays(f"{_name(row.path)!r} belongs to it and keeps copies in duplicates/")
        return rows

    def twin(self, keeper: str, content: str | None) -> str:
        """The keeper's companion with these bytes; '' when it has none."""
        for path in self.unit(keeper).companions:
            row = self._ledger.files.at(self._root.id, path)
            if row is not None and content is not None and row.content == content:
                return path
        return ""

    def _known(self, path: str) -> FileRow:
        """The companion's row with its content, hashed once and remembered until the file changes."""
        row = self._ledger.files.at(self._root.id, path)
        if row is None or row.absent_since is not None:
            raise NotYet(f"its companion {path!r} has not been seen yet")
        if not self._disk.local(self._root.path, path):
            raise NotYet(f"the bytes of its companion {path!r} are in the cloud only")
        if row.content is None:
            try:
                content = self._disk.content(self._root.path, path)
            except OSError as error:
                raise NotYet(f"its companion {path!r} cannot be read ({error.strerror})") from None
            with self._ledger.transaction():
                self._ledger.files.companion_content(row.id, content)
            return self._known(path)
        return row


def orders_for(
    ledger: Ledger,
    companions: Companions,
    root: RootRow,
    group: GroupRow,
    members: Sequence[MemberRow],
    protects: Callable[[str], bool] = lambda path: False,
) -> tuple[list[MoveOrder], dict[int, Stays]]:
    """Orders for these members, and file id -> why for those that stay."""
    orders: list[MoveOrder] = []
    stays: dict[int, Stays] = {}
    keeper = ledger.files.get(group.keeper)
    for member in members:
        try:
            file = _file_to_move(ledger, member, keeper)
            if protects(os.path.join(root.path, file.path)):
                raise Stays("it lies in a protected folder")
            assert keeper is not None and keeper.content is not None
            beside = companions.beside(keeper.path, file.path)
        except Stays as clause:
            stays[member.file] = clause
            continue
        orders += [
            MoveOrder(
                group=group.id, unit=f"{group.id}:{file.id}", file=row.id, root=root.path, src=row.path,
                dst=destination(row.path, root.path), stat=row.stat, content=row.content or "", keeper=keeper.path,
                keeper_stat=keeper.stat, keeper_content=keeper.content, relation=member.relation,
                evidence=json.dumps(asdict(member.evidence)), primary=row is file, root_id=root.uuid,
            )
            for row in [file, *beside]
        ]  # fmt: skip
    return orders, stays


def _file_to_move(ledger: Ledger, member: MemberRow, keeper: FileRow | None) -> FileRow:
    """The file of this member, proven against the keeper as both are now, and free to go. Raises Stays."""
    file = ledger.files.get(member.file)
    if keeper is None or keeper.content is None or not _read(keeper, beside=True):
        raise NotYet("its keeper is not there, or is being looked at again")
    if file is None or file.content is None or not _read(file):
        raise NotYet("it is not there any more, or is being looked at again")
    if _indexed(file) != _indexed(keeper):
        raise Stays("only one of the two was seen, the other is known by its bytes alone")
    if file.content != keeper.content:
        a, b = sorted((file.content, keeper.content))
        if not ledger.pairs.has(a, b) and not ledger.verdicts.has("same", a, b):
            raise NotYet("it was never compared with its keeper as that is now")
    if ledger.verdicts.has("keep", file.content) or ledger.verdicts.has(
        "different", keeper.content, file.content
    ):
        raise NotYet("a person said that it stays")
    return file


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _without(paths: Iterable[str], path: str) -> tuple[str, ...]:
    return tuple(each for each in paths if each != path)


def _read(file: FileRow, *, beside: bool = False) -> bool:
    """Whether its bytes are known and it is there. `beside`: as a clip or RAW beside its photo too."""
    known = {FileState.INDEXED, FileState.UNDECODED, *([FileState.COMPANION] if beside else [])}
    return file.state in known and file.absent_since is None


def _indexed(file: FileRow) -> bool:
    return file.state == FileState.INDEXED and file.absent_since is None
