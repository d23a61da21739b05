"""Receipts: one JSON line of intent and one of completion beside the moved files.

Owns `<duplicates folder>/.dedupd-receipts.jsonl`: with the ledger gone, every move can be undone from
these lines alone. Must never rename anything; appends only, and a torn last line harms no other.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dedupd.adapters.beneath import Root
from dedupd.core.records import SidecarRow
from dedupd.core.relocation import DUPLICATES, Goal, Move, MoveState, duplicates_folder, is_held

NAME = ".dedupd-receipts.jsonl"


def intent(move: Move) -> dict[str, Any]:
    """The line fsynced before the rename: all that an undo without ledger needs."""
    return {
        "receipt": "intent", "id": move.id, "batch": move.batch, "at": move.at, "group": move.group,
        "unit": move.unit, "file": move.file, "src": move.src, "dst": move.dst, "content": move.content,
        "size": move.size, "mtime_ns": move.mtime_ns, "dev": move.dev, "ino": move.ino,
        "primary": move.primary, "keeper": move.keeper,
        "keeper_content": move.keeper_content, "relation": move.relation,
        "evidence": move.evidence, "root_id": move.root_id,
    }  # fmt: skip


def completion(move: Move, at: float) -> dict[str, Any]:
    """The line fsynced after: 'moved', 'undone', 'returned' or 'aborted'."""
    kind = str(move.goal) if move.state is MoveState.DONE else str(move.state)
    line = {"receipt": kind, "id": move.id, "batch": move.batch, "at": at, "dst": move.dst}
    if move.restored:
        line["restored"] = move.restored
    if move.error:
        line["error"] = move.error
    return line


def sidecar(kind: str, row: SidecarRow, folder: str) -> dict[str, Any]:
    """A line about a sidecar beside a keeper: 'sidecar' before it is made, then '-written' and '-removed'."""
    line: dict[str, Any] = {
        "receipt": kind, "id": row.group, "batch": "sidecar", "folder": folder, "path": row.path,
    }  # fmt: skip
    return line | {"text": row.text} if kind == "sidecar" else line


def sidecars(root: Root) -> list[tuple[str, SidecarRow]]:
    """Every sidecar that the receipts below `root` tell of and that was not taken away again; begun ones too.

    Each with the duplicates/ folder whose receipts tell it.
    """
    return [(folder, row) for folder, lines in _files(root) for row in _sidecars(folder, lines)]


def _sidecars(folder: str, lines: Iterable[dict[str, Any]]) -> Iterable[SidecarRow]:
    found: dict[str, SidecarRow] = {}
    for line in lines:
        kind, path, there = line.get("receipt"), line.get("path"), line.get("folder")
        if not isinstance(path, str) or not isinstance(there, str) or is_held(path):
            continue
        above, below = there[: -len(DUPLICATES)], folder[: -len(DUPLICATES)]
        if not path.startswith(above) or not path.endswith(".xmp"):
            continue
        here = below + path[len(above) :]
        if kind == "sidecar" and isinstance(line.get("text"), str):
            found[here] = SidecarRow(group=line["id"], root=0, state="writing", path=here, text=line["text"])
        elif kind == "sidecar-written" and here in found:
            found[here] = replace(found[here], state="settled")
        elif kind == "sidecar-removed":
            found.pop(here, None)
    return found.values()


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
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
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
    with their folder (a month renamed by hand) speak of where they lie now. Torn or foreign lines are left.
    """
    found = [move for folder, lines in _files(root) for move in _moves(root, folder, lines)]
    return sorted(found, key=lambda move: (move.at, move.batch, move.id))


def _moves(root: Root, folder: str, lines: Iterable[dict[str, Any]]) -> Iterable[Move]:
    moves: dict[tuple[str, int], Move] = {}
    for line in lines:
        key = (str(line.get("batch")), line["id"])
        if line.get("receipt") == "intent":
            move = _from_intent(root, folder, line)
            if move is not None:
                moves[key] = move
        elif key in moves:
            moves[key] = _completed(moves[key], line)
    return moves.values()


def _from_intent(root: Root, folder: str, line: dict[str, Any]) -> Move | None:
    try:
        there, here = duplicates_folder(line["dst"]), folder
        dst = here + line["dst"][len(there) :]
        above, below = there[: -len(DUPLICATES)], here[: -len(DUPLICATES)]
        if not line["src"].startswith(above) or is_held(line["src"]):
            return None
        return Move(
            id=line["id"], batch=line["batch"], group=line["group"], unit=line["unit"], file=line["file"],
            root=root.path, src=below + line["src"][len(above) :], dst=dst, size=line["size"],
            mtime_ns=line["mtime_ns"], dev=line["dev"], ino=line["ino"], content=line["content"],
            keeper=line["keeper"], keeper_content=line["keeper_content"], relation=line["relation"],
            evidence=line["evidence"], primary=line["primary"], root_id=line["root_id"], at=line["at"],
            goal=Goal.MOVED, state=MoveState.INTENT,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _completed(move: Move, line: dict[str, Any]) -> Move:
    kind = line.get("receipt")
    if kind in tuple(Goal):
        return replace(move, goal=Goal(kind), state=MoveState.DONE, restored=str(line.get("restored", "")))
    if kind in (MoveState.ABORTED, MoveState.ATTENTION):
        return replace(move, state=MoveState(kind), error=str(line.get("error", "")))
    return move


def _files(root: Root) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for folder in _duplicates_folders(root, ""):
        with suppress(OSError), os.fdopen(root.open(f"{folder}/{NAME}"), "rb") as file:
            yield folder, list(_parsed(file))


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("id"), int):  # pyright: ignore[reportUnknownMemberType]
            yield value


def _duplicates_folders(root: Root, folder: str) -> Iterator[str]:
    inner: list[str] = []
    with suppress(OSError), root.folder(folder) as fd, os.scandir(fd) as entries:
        inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in inner:
        path = f"{folder}/{name}" if folder else name
        if name.casefold() == DUPLICATES:
            yield path
        else:
            yield from _duplicates_folders(root, path)
