"""Files as they were found on the disks: one row per path, with stat, state and content.

Owns the table `files`. Must never look at a disk itself. Paths are BLOBs (os.fsencode): names need not be text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dedupd.adapters.ledger.columns import chunks, clamped, months_in, sentence, signed, unsigned
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.photo import BYTES_ALONE, FileStat, FileState
from dedupd.core.records import FileRow

FILE_COLUMNS = "id, root, path, size, mtime_ns, ctime_ns, dev, ino, nlink, content, month, month_source, state, reason, absent_since"
LIVE = "absent_since IS NULL AND +state = 'indexed'"
"""The + keeps SQLite from going through every photo by its state where a month or a content names a few."""
_READ = "absent_since IS NULL AND +state IN ('indexed', 'undecoded')"
"""Photos, and media that is not decoded."""


def file_row(row: Sequence[Any]) -> FileRow:
    stat = FileStat(
        size=row[3],
        mtime_ns=row[4],
        ctime_ns=row[5],
        dev=unsigned(row[6]),
        ino=unsigned(row[7]),
        nlink=row[8],
    )
    return FileRow(
        id=row[0], root=row[1], path=os.fsdecode(row[2]), stat=stat, content=row[9], month=row[10],
        month_source=row[11], state=row[12], reason=row[13], absent_since=row[14],
    )  # fmt: skip


def _folder(path: str) -> bytes:
    return os.fsencode(path.rpartition("/")[0])


def _stat(s: FileStat) -> tuple[int, ...]:
    return (s.size, clamped(s.mtime_ns), clamped(s.ctime_ns), signed(s.dev), signed(s.ino), s.nlink)


class FileRows(LedgerPart):
    """Queries and changes over files."""

    def of_root(self, root: int) -> list[FileRow]:
        """Every known file of a root, held and absent ones included."""
        return [
            file_row(r) for r in self._link.execute(f"SELECT {FILE_COLUMNS} FROM files WHERE root=?", (root,))
        ]

    def get(self, id: int) -> FileRow | None:
        row = self._link.execute(f"SELECT {FILE_COLUMNS} FROM files WHERE id=?", (id,)).fetchone()
        return None if row is None else file_row(row)

    def by_ids(self, ids: Iterable[int]) -> dict[int, FileRow]:
        found: dict[int, FileRow] = {}
        for chunk, marks in chunks(set(ids)):
            rows = self._link.execute(f"SELECT {FILE_COLUMNS} FROM files WHERE id IN ({marks})", chunk)
            found |= {row[0]: file_row(row) for row in rows}
        return found

    def months_of(self, ids: Iterable[int]) -> set[str]:
        """The months of these files."""
        return months_in(self._link, "files", ids)

    def at(self, root: int, path: str) -> FileRow | None:
        row = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE root=? AND path=?", (root, os.fsencode(path))
        ).fetchone()
        return None if row is None else file_row(row)

    def by_inode(self, root: int, stat: FileStat) -> list[FileRow]:
        """Files of this root that were the same inode with the same size and mtime: what a rename keeps.

        Not the device: a disk gets another number at every mount.
        """
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE ino=? AND root=? AND size=? AND mtime_ns=?",
            (signed(stat.ino), root, stat.size, clamped(stat.mtime_ns)),
        )
        return [file_row(r) for r in rows]

    def in_folder(self, root: int, folder: str) -> list[FileRow]:
        """Files directly in a folder ('' = the root), those marked absent too; held ones lie elsewhere."""
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE root=? AND folder=? AND state!='held'",
            (root, os.fsencode(folder)),
        )
        return [file_row(r) for r in rows]

    def paths_in(self, root: int, folder: str) -> list[str]:
        """Paths of the files directly in a folder that were there at the last look; held ones lie elsewhere."""
        rows = self._link.execute(
            "SELECT path FROM files WHERE root=? AND folder=? AND state!='held' AND absent_since IS NULL",
            (root, os.fsencode(folder)),
        )
        return [os.fsdecode(r[0]) for r in rows]

    def folders(self, root: int, under: str = "") -> list[str]:
        """Every folder in and below `under` ('' = the root) that holds known files, duplicates/ folders left out."""
        where, at = "root=:root AND state!='held'", os.fsencode(under)
        if under:
            where += " AND folder>=:at AND folder<:end AND (folder=:at OR folder>:below)"
        bounds = {"root": root, "at": at, "below": at + b"/", "end": at + b"0"}
        rows = self._link.execute(f"SELECT DISTINCT folder FROM files WHERE {where}", bounds)
        return [os.fsdecode(r[0]) for r in rows]

    def some(self, root: int, count: int = 64) -> list[FileRow]:
        """A few files that were there at the last look, to tell the root from another one."""
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE root=? AND state!='held' AND absent_since IS NULL LIMIT ?",
            (root, count),
        )
        return [file_row(r) for r in rows]

    def held(self, root: int) -> Iterator[FileRow]:
        """Held copies, those included that are missing now; an iterator."""
        ids = self._link.execute("SELECT id FROM files WHERE root=? AND state='held' ORDER BY path", (root,))
        return self._by_turns(r[0] for r in ids)

    def _by_turns(self, ids: Iterable[int]) -> Iterator[FileRow]:
        """In this order; a few hundred rows are held at once."""
        for chunk, _ in chunks(list(ids)):
            rows = self.by_ids(chunk)
            yield from (rows[id] for id in chunk if id in rows)

    def add(self, root: int, path: str, stat: FileStat, state: FileState, reason: str = "") -> int:
        done = self._link.execute(
            "INSERT INTO files(root, path, folder, size, mtime_ns, ctime_ns, dev, ino, nlink, state, reason) "
            "VALUES(?,?,?,?,?,?,?,?,?,?,?)",
            (root, os.fsencode(path), _folder(path), *_stat(stat), state, sentence(reason)),
        )
        return int(done.lastrowid or 0)

    def held_again(self, row: FileRow) -> None:
        """Record that it came back from the trash, with its old id, because its moves refer to that."""
        self._link.execute(
            "INSERT INTO files(id, root, path, folder, size, mtime_ns, ctime_ns, dev, ino, nlink, state, content, month, "
            "month_source) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                row.id, row.root, os.fsencode(row.path), _folder(row.path), *_stat(row.stat), row.state, row.content,
                row.month, row.month_source,
            ),
        )  # fmt: skip

    def changed(self, id: int, stat: FileStat, state: FileState, content: str | None = None) -> None:
        """Its bytes may have changed: forget its content (or record the one just read), and have it read again."""
        self._link.execute(
            "UPDATE files SET size=?, mtime_ns=?, ctime_ns=?, dev=?, ino=?, nlink=?, state=?, reason='', content=?,"
            " absent_since=NULL WHERE id=?",
            (*_stat(stat), state, content, id),
        )

    def unchanged(self, id: int, stat: FileStat) -> None:
        """Record that it is there with the same size and mtime. Whether its bytes are the same is the caller's question."""
        self._link.execute(
            "UPDATE files SET ctime_ns=?, dev=?, ino=?, nlink=?, absent_since=NULL WHERE id=?",
            (*_stat(stat)[2:], id),
        )

    def renamed(self, id: int, path: str, month: str, source: str) -> None:
        self._link.execute(
            "UPDATE files SET path=?, folder=?, month=?, month_source=?, absent_since=NULL WHERE id=?",
            (os.fsencode(path), _folder(path), month, source, id),
        )

    def placed(self, id: int, path: str, state: FileState) -> None:
        """Record where it lies after dedupd moved it or undid a move. Its month stays."""
        self._link.execute(
            "UPDATE files SET path=?, folder=?, state=?, reason='', absent_since=NULL WHERE id=?",
            (os.fsencode(path), _folder(path), state, id),
        )

    def set_month(self, id: int, month: str, source: str) -> None:
        self._link.execute("UPDATE files SET month=?, month_source=? WHERE id=?", (month, source, id))

    def misplaced_moves(self) -> list[int]:
        """Ids of moves whose file is recorded at another path, because a crash came between move and record."""
        rows = self._link.execute(
            "SELECT m.id FROM moves m JOIN files f ON f.id=m.file WHERE m.state='done' "
            "AND m.id=(SELECT max(id) FROM moves WHERE file=m.file) "
            "AND (m.goal='moved') != (f.state='held' AND f.path=m.dst)"
        )
        return [r[0] for r in rows]

    def held_and_missing(self, root: int) -> set[str]:
        """Contents of held copies that were missing from duplicates/ at the last check: a person may be moving them out."""
        rows = self._link.execute(
            "SELECT content FROM files WHERE root=? AND state='held' AND absent_since IS NOT NULL", (root,)
        )
        return {r[0] for r in rows}

    def held_totals(self, root: int) -> tuple[int, int]:
        """Files in duplicates/ and their bytes."""
        row = self._link.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM files WHERE root=? AND state='held' AND absent_since IS NULL",
            (root,),
        ).fetchone()
        return row[0], row[1]

    def held_by_month(self) -> dict[tuple[int, str], tuple[int, int]]:
        """(root, month) -> (files of that month in duplicates/, their bytes)."""
        rows = self._link.execute(
            "SELECT root, month, count(*), sum(size) FROM files WHERE state='held' AND absent_since IS NULL "
            "GROUP BY root, month"
        )
        return {(r[0], r[1]): (r[2], r[3]) for r in rows}

    def held_photos(self, root: int) -> int:
        """Number of decoded pictures in duplicates/ (no sidecars, no media that is not decoded)."""
        return self._link.execute(
            "SELECT count(*) FROM files f JOIN contents c ON c.content=f.content "
            "WHERE f.root=? AND f.state='held' AND f.absent_since IS NULL AND c.recipe!=?",
            (root, BYTES_ALONE),
        ).fetchone()[0]

    def set_state(self, id: int, state: FileState, reason: str = "") -> None:
        self._link.execute("UPDATE files SET state=?, reason=? WHERE id=?", (state, sentence(reason), id))

    def read(self, id: int, state: FileState, content: str, month: str, source: str) -> None:
        """Record its content; `state` says whether it was decoded too."""
        self._link.execute(
            "UPDATE files SET state=?, reason='', content=?, month=?, month_source=? WHERE id=?",
            (state, content, month, source, id),
        )

    def companion_content(self, id: int, content: str) -> None:
        """Record the content of a sidecar or paired file; it is forgotten when the file changes."""
        self._link.execute("UPDATE files SET content=? WHERE id=?", (content, id))

    def companions_to_read(self) -> list[FileRow]:
        """Companions whose bytes matter and are not known: as large as media that stands alone, or the keeper of some."""
        columns = ", ".join(f"f.{column}" for column in FILE_COLUMNS.split(", "))
        rows = self._link.execute(
            f"SELECT DISTINCT {columns} FROM files o CROSS JOIN files f INDEXED BY files_unread ON f.root=o.root AND f.size=o.size "
            "AND f.state='companion' AND f.content IS NULL AND f.absent_since IS NULL AND f.reason='' "
            "WHERE o.state='undecoded' AND o.absent_since IS NULL "
            f"UNION SELECT {columns} FROM files f INDEXED BY files_unread JOIN groups g ON g.keeper=f.id "
            "WHERE f.state='companion' AND f.content IS NULL AND f.absent_since IS NULL AND f.reason=''"
        )
        return [file_row(r) for r in rows]

    def skipped(self, id: int, reason: str, content: str) -> None:
        self._link.execute(
            "UPDATE files SET state='skipped', reason=?, content=? WHERE id=?",
            (sentence(reason), content or None, id),
        )

    def absent(self, id: int, since: float) -> None:
        """Record that its absence begins now, also when an older record has a later time (the clock was set back)."""
        self._link.execute(
            "UPDATE files SET absent_since=? WHERE id=? AND (absent_since IS NULL OR absent_since>?)",
            (since, id, since),
        )

    def remove(self, id: int) -> None:
        self._link.execute("DELETE FROM files WHERE id=?", (id,))
        self._link.execute("DELETE FROM members WHERE file=?", (id,))

    def to_read(self, root: int, after: int = 0, limit: int = -1) -> list[FileRow]:
        """Files of a root whose bytes nobody has looked at yet, by id from the one after `after` on: a first import is
        all of a library, so that nobody may read it at once.
        """
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE state='seen' AND root=? AND absent_since IS NULL AND id>? ORDER BY id LIMIT ?",
            (root, after, limit),
        )
        return [file_row(r) for r in rows]

    def any_to_read(self) -> bool:
        """Whether there is a file that was not read yet."""
        found = self._link.execute("SELECT 1 FROM files WHERE state='seen' AND absent_since IS NULL LIMIT 1")
        return found.fetchone() is not None

    def live_in_month(self, root: int, month: str) -> list[FileRow]:
        """Photos of this month, and media that is not decoded."""
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE root=? AND month=? AND {_READ}", (root, month)
        )
        return [file_row(r) for r in rows]

    def of_month(self, root: int, month: str, state: FileState) -> list[FileRow]:
        """Files of a month in a state that are on the disk; a skipped file's month is the one its folder names."""
        rows = self._link.execute(
            f"SELECT {FILE_COLUMNS} FROM files WHERE root=? AND month=? AND +state=? AND absent_since IS NULL ORDER BY +path",
            (root, month, state),
        )
        return [file_row(r) for r in rows]

    def live_with_content(self, content: str) -> list[FileRow]:
        """Photos with this content, or media that is not decoded."""
        return self.live_with_contents([content])[content]

    def live_with_contents(self, contents: Iterable[str]) -> dict[str, list[FileRow]]:
        """Content -> its photos, or media that is not decoded, by id."""
        return self._with_contents(contents, _READ)

    def decoded_with_content(self, content: str) -> list[FileRow]:
        """Decoded photos with this content."""
        return self.decoded_with_contents([content])[content]

    def decoded_with_contents(self, contents: Iterable[str]) -> dict[str, list[FileRow]]:
        """Content -> its decoded photos, by id."""
        return self._with_contents(contents, LIVE)

    def companions_with_contents(self, root: int, contents: Iterable[str]) -> dict[str, list[FileRow]]:
        """Content -> the companions of this root that have it."""
        return self._with_contents(contents, "+root=? AND +state='companion' AND absent_since IS NULL", root)

    def _with_contents(self, contents: Iterable[str], where: str, *values: int) -> dict[str, list[FileRow]]:
        found: dict[str, list[FileRow]] = {content: [] for content in contents}
        for chunk, marks in chunks(found):
            rows = self._link.execute(
                f"SELECT {FILE_COLUMNS} FROM files WHERE content IN ({marks}) AND {where} ORDER BY +id",
                (*chunk, *values),
            )
            for row in rows:
                found[row[9]].append(file_row(row))
        return found

    def months_of_contents(self, root: int, contents: Iterable[str]) -> dict[str, set[str]]:
        """Content -> the months of this root's files that have it, held copies included."""
        found: dict[str, set[str]] = {content: set() for content in contents}
        for chunk, marks in chunks(found):
            rows = self._link.execute(
                f"SELECT content, month FROM files WHERE content IN ({marks}) AND +root=? AND absent_since IS NULL "
                "AND +state IN ('indexed', 'undecoded', 'held')",
                (*chunk, root),
            )
            for content, month in rows:
                found[content].add(month)
        return found

    def in_state(self, state: FileState, root: int | None = None) -> Iterator[FileRow]:
        """Files that are in this state when their turn comes, by root and path."""
        where = "" if root is None else " AND root=:root"
        ids = self._link.execute(
            f"SELECT id FROM files WHERE state=:state AND absent_since IS NULL{where} ORDER BY root, path",
            {"state": state, "root": root},
        )
        for row in self._by_turns(r[0] for r in ids):
            if row.state == state and row.absent_since is None:
                yield row

    def count(self, root: int | None = None, state: str = FileState.INDEXED) -> int:
        """Files in a state that are on the disk."""
        of_root = "" if root is None else "AND root=:root"
        return self._link.execute(
            f"SELECT count(*) FROM files WHERE state=:state AND absent_since IS NULL {of_root}",
            {"state": state, "root": root},
        ).fetchone()[0]
