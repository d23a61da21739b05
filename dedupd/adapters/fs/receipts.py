"""Receipts: one JSON line of intent and one of completion beside the moved files.

Owns `<duplicates folder>/.dedupd-receipts.jsonl`: with the ledger gone, every move can be undone from
these lines alone. Must never rename anything. It only appends, and a half-written last line harms no other line.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any, BinaryIO, TypeVar

import msgspec

from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.adapters.fs.safe_paths import Root
from dedupd.core.purging import in_the_trash
from dedupd.core.records import SidecarRow
from dedupd.core.relocation import DUPLICATES, Goal, Move, MoveState, duplicates_folder, is_held
from dedupd.errors import Refusal

NAME = ".dedupd-receipts.jsonl"
_LONGEST_LINE = 32 << 20
"""A sidecar's text is at most 4 MiB, and each of its characters six in JSON."""


class ReceiptKind(StrEnum):
    """The kind of a line; the values are written to the disk."""

    INTENT = "intent"
    """A move is about to begin."""
    MOVED = "moved"
    UNDONE = "undone"
    RETURNED = "returned"
    ABORTED = "aborted"
    ATTENTION = "attention"
    """The disk contradicts the journal: a person has to look."""
    PURGING = "purging"
    """A held file is about to go into the trash."""
    PURGED = "purged"
    SIDECAR = "sidecar"
    """A sidecar is about to be made."""
    SIDECAR_WRITTEN = "sidecar-written"
    SIDECAR_REMOVED = "sidecar-removed"


def intent(move: Move) -> dict[str, Any]:
    """The line that is fsynced before the rename: all that an undo without ledger needs."""
    return {
        "receipt": ReceiptKind.INTENT, "id": move.id, "batch": move.batch, "at": move.at, "group": move.group,
        "unit": move.unit, "file": move.file, "src": move.src, "dst": move.dst, "content": move.content,
        "size": move.size, "mtime_ns": move.mtime_ns, "dev": move.dev, "ino": move.ino,
        "primary": move.primary, "keeper": move.keeper,
        "keeper_content": move.keeper_content, "relation": move.relation,
        "evidence": move.evidence, "root_id": move.root_id,
    }  # fmt: skip


def completion(move: Move, at: float) -> dict[str, Any]:
    """The line that is fsynced after the rename: how the move ended."""
    kind = ReceiptKind(move.goal if move.state is MoveState.DONE else move.state)
    line: dict[str, Any] = {"receipt": kind, "id": move.id, "batch": move.batch, "at": at, "dst": move.dst}
    if move.undone_to:
        line["restored"] = move.undone_to
    if move.error:
        line["error"] = move.error
    return line


def purge(kind: ReceiptKind, move: Move, trash: str, at: float) -> dict[str, Any]:
    """A line about a held file that its owner has put into the trash: before (PURGING) and after (PURGED)."""
    return {
        "receipt": kind, "id": move.id, "batch": move.batch, "at": at, "dst": move.dst, "trash": trash,
    }  # fmt: skip


def sidecar(kind: ReceiptKind, row: SidecarRow, folder: str) -> dict[str, Any]:
    """A line about a sidecar beside a keeper: before it is made, after that, and after it was removed."""
    line: dict[str, Any] = {
        "receipt": kind, "id": row.group, "batch": "sidecar", "folder": folder, "path": row.path,
    }  # fmt: skip
    return line | {"text": row.text} if kind is ReceiptKind.SIDECAR else line


class _Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A line written by `intent`. A line whose fields have other types is not read."""

    id: int
    batch: str
    at: float
    group: int
    unit: str
    file: int
    src: str
    dst: str
    content: str
    size: int
    mtime_ns: int
    dev: int
    ino: int
    primary: bool
    keeper: str
    keeper_content: str
    relation: str
    evidence: str
    root_id: str


class _Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A line written by `completion`."""

    receipt: ReceiptKind
    id: int
    batch: str
    dst: str
    restored: str = ""
    error: str = ""
    trash: str = ""


class _Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """A line written by `sidecar`."""

    receipt: ReceiptKind
    id: int
    folder: str
    path: str
    text: str = ""


_Receipt = TypeVar("_Receipt", _Intent, _Completion, _Sidecar)


def _as(kind: type[_Receipt], line: dict[str, Any]) -> _Receipt | None:
    """The line as this kind of receipt; None when it is not one."""
    try:
        return msgspec.convert(line, kind)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError):
        return None


def sidecars(root: Root) -> list[tuple[str, SidecarRow]]:
    """Every sidecar that the receipts below `root` tell of and that was not taken away again; begun ones too.

    Each with the duplicates/ folder whose receipts tell it.
    """
    return [(folder, row) for folder, lines in _files(root) for row in _sidecars(folder, lines)]


def _sidecars(folder: str, lines: Iterable[dict[str, Any]]) -> Iterable[SidecarRow]:
    found: dict[str, SidecarRow] = {}
    for receipt in filter(None, (_as(_Sidecar, line) for line in lines)):
        if not receipt.path.endswith(".xmp") or not _plain(receipt.path) or is_held(receipt.path):
            continue
        here = _followed(receipt.path, receipt.folder, folder)
        if receipt.receipt is ReceiptKind.SIDECAR and receipt.text:
            row = SidecarRow(group=receipt.id, root=0, state="writing", path=here, text=receipt.text)
            found[here] = row
        elif receipt.receipt is ReceiptKind.SIDECAR_WRITTEN and here in found:
            found[here] = replace(found[here], state="settled")
        elif receipt.receipt is ReceiptKind.SIDECAR_REMOVED:
            found.pop(here, None)
    return found.values()


def _plain(path: str) -> bool:
    """True for a valid relative path that stays below its root."""
    try:
        return b"\0" not in os.fsencode(path) and not {"", ".", ".."}.intersection(path.split("/"))
    except UnicodeEncodeError:
        return False


def _followed(path: str, there: str, here: str) -> str:
    """Where `path` is now that the receipts of the duplicates/ folder `there` lie in `here` (a month renamed by hand)."""
    above = there[: -len(DUPLICATES)]
    return here[: -len(DUPLICATES)] + path[len(above) :] if path.startswith(above) else path


def append(folder: int, lines: Sequence[dict[str, Any]]) -> None:
    """Append lines to the receipts in the folder behind `folder` and fsync them (the folder too when new).

    OSError when the file is a link, no regular file, has a second name, or the disk is full.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd, new = os.open(NAME, flags, dir_fd=folder), False
    except FileNotFoundError:
        mode = stat.S_IMODE(os.fstat(folder).st_mode) & 0o666
        fd, new = os.open(NAME, flags | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder), True
        give_to_owner(fd, folder)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(errno.EINVAL, "not a plain file of its own", NAME)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode("ascii")
        if found.st_size and os.pread(fd, 1, found.st_size - 1) != b"\n":
            text = b"\n" + text  # a torn last line stays alone
        while text:
            text = text[os.write(fd, text) :]
        os.fsync(fd)
        if new:
            os.fsync(folder)
    finally:
        os.close(fd)


def read(root: Root) -> list[Move]:
    """Every move the receipts below `root` tell of, oldest first, with where it stands.

    A move whose completion is missing comes back as INTENT: only the disk can say. Receipts that travelled
    with their folder (a month renamed by hand) speak of where they lie now. Torn, foreign and odd lines are left.
    """
    found = [move for folder, lines in _files(root) for move in _moves(root, folder, lines)]
    return sorted(found, key=lambda move: (move.at, move.batch, move.id))


def _moves(root: Root, folder: str, lines: Iterable[dict[str, Any]]) -> Iterable[Move]:
    moves: dict[tuple[str, int, str], Move] = {}
    for line in lines:
        if line.get("receipt") == ReceiptKind.INTENT:
            intent = _as(_Intent, line)
            if intent is not None and (move := _from_intent(root, folder, intent)) is not None:
                moves[_which(intent)] = move
        elif (ended := _as(_Completion, line)) is not None and (move := moves.get(_which(ended))) is not None:
            moves[_which(ended)] = _completed(move, ended)
    return moves.values()


def _which(receipt: _Intent | _Completion) -> tuple[str, int, str]:
    """The move that a line is about, by id and name, so that a wrong line cannot hide another move."""
    folders, _, name = receipt.dst.partition(f"{DUPLICATES}/")
    return receipt.batch, receipt.id, name or folders


def _from_intent(root: Root, folder: str, intent: _Intent) -> Move | None:
    """The move of an intent; None when the line names another folder than the one it lies in."""
    if not (_plain(intent.src) and _plain(intent.dst)) or is_held(intent.src) or not is_held(intent.dst):
        return None
    try:
        there = duplicates_folder(intent.dst)
    except ValueError:
        return None
    if not intent.src.startswith(there[: -len(DUPLICATES)]):
        return None
    return Move(
        id=intent.id, batch=intent.batch, group=intent.group, unit=intent.unit, file=intent.file,
        root=root.path, src=_followed(intent.src, there, folder), dst=folder + intent.dst[len(there) :],
        size=intent.size, mtime_ns=intent.mtime_ns, dev=intent.dev, ino=intent.ino, content=intent.content,
        keeper=_followed(intent.keeper, there, folder), keeper_content=intent.keeper_content,
        relation=intent.relation, evidence=intent.evidence, primary=intent.primary,
        root_id=intent.root_id.lower(), at=intent.at, goal=Goal.MOVED, state=MoveState.INTENT,
    )  # fmt: skip


def _completed(move: Move, ended: _Completion) -> Move:
    if ended.receipt in tuple(Goal):
        restored = ended.restored if _plain(ended.restored) else ""
        return replace(move, goal=Goal(ended.receipt), state=MoveState.DONE, undone_to=restored, refusal=None)
    if ended.receipt is ReceiptKind.PURGED:
        return replace(move, state=MoveState.ABORTED, error=in_the_trash(ended.trash), refusal=Refusal.PURGED)
    if ended.receipt in (MoveState.ABORTED, MoveState.ATTENTION):
        return replace(move, state=MoveState(ended.receipt), error=ended.error)
    return move


def _files(root: Root) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for folder in _duplicates_folders(root):
        with suppress(OSError), root.opened(f"{folder}/{NAME}") as fd:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                with os.fdopen(fd, "rb", closefd=False) as file:
                    yield folder, list(_parsed(_lines(file)))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines one by one. A line longer than any of ours is skipped without being held in memory."""
    whole = True
    while part := file.readline(_LONGEST_LINE):
        ends = part.endswith(b"\n")
        if whole and (ends or len(part) < _LONGEST_LINE):
            yield part
        whole = ends


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _duplicates_folders(root: Root) -> Iterator[str]:
    """In the order of their paths, however deep: a folder is looked at when its turn comes, not from within another."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        if folder.rpartition("/")[2].casefold() == DUPLICATES:
            yield folder
            continue
        inner: list[str] = []
        with suppress(OSError), root.folder(folder) as fd, os.scandir(fd) as entries:
            inner = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting += [f"{folder}/{name}" if folder else name for name in sorted(inner, reverse=True)]
