"""The ledger's tables, the one way to open it, and how a ledger of an older dedupd becomes one of today.

Owns the durability of the ledger: power-cut tests lost intents with synchronous=NORMAL, so each connection that writes
runs with WAL and FULL. Must never be opened by the vision worker, nor change what a person said or a move recorded.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from dedupd.adapters.ledger import (
    deferred_rows,
    forgetting,
    held_checks,
    journal,
    purge_rows,
    refusals,
    rereading,
    sidecar_rows,
)
from dedupd.adapters.ledger.transactions import translating
from dedupd.errors import StateError

VERSION = 3

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roots(
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, uuid TEXT NOT NULL DEFAULT '', dev INTEGER,
    online INTEGER NOT NULL DEFAULT 1, note TEXT NOT NULL DEFAULT '',
    consented_at REAL, backlog_done_at REAL, breaker_ok_at REAL, reconciled_at REAL);
CREATE TABLE IF NOT EXISTS files(
    id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL, path BLOB NOT NULL, folder BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, nlink INTEGER NOT NULL,
    content TEXT, month TEXT NOT NULL DEFAULT '', month_source TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', absent_since REAL,
    UNIQUE(root, path));
CREATE INDEX IF NOT EXISTS files_folder ON files(root, folder);
CREATE INDEX IF NOT EXISTS files_content ON files(content);
CREATE INDEX IF NOT EXISTS files_month ON files(root, month, state, absent_since, month_source);
CREATE INDEX IF NOT EXISTS files_inode ON files(ino);
CREATE INDEX IF NOT EXISTS files_state ON files(state, root, absent_since);
CREATE TABLE IF NOT EXISTS contents(
    content TEXT PRIMARY KEY, recipe TEXT NOT NULL, model TEXT NOT NULL, traits TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pairs(
    a TEXT NOT NULL, b TEXT NOT NULL, model TEXT NOT NULL, cosine REAL, hash_distance INTEGER NOT NULL,
    measures TEXT, PRIMARY KEY(a, b, model)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pairs_b ON pairs(b);
CREATE TABLE IF NOT EXISTS compared(
    content TEXT NOT NULL, month TEXT NOT NULL, model TEXT NOT NULL, rules TEXT NOT NULL,
    PRIMARY KEY(content, month, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS months(
    root INTEGER NOT NULL, month TEXT NOT NULL, changes INTEGER NOT NULL DEFAULT 0,
    clustered INTEGER NOT NULL DEFAULT 0, changed_at REAL, clustered_at REAL,
    PRIMARY KEY(root, month)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups(
    id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL, keeper INTEGER NOT NULL, month TEXT NOT NULL,
    reasons TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1, updated REAL NOT NULL, UNIQUE(root, keeper));
CREATE INDEX IF NOT EXISTS groups_month ON groups(root, month);
CREATE INDEX IF NOT EXISTS groups_keeper ON groups(keeper);
CREATE TABLE IF NOT EXISTS members(
    grp INTEGER NOT NULL, file INTEGER NOT NULL, role TEXT NOT NULL, relation TEXT NOT NULL,
    evidence TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY(grp, file)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_file ON members(file);
CREATE INDEX IF NOT EXISTS members_role ON members(role, grp);
CREATE TABLE IF NOT EXISTS verdicts(
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL DEFAULT '',
    paths TEXT NOT NULL DEFAULT '[]', at REAL NOT NULL, UNIQUE(kind, a, b));
CREATE INDEX IF NOT EXISTS verdicts_b ON verdicts(b);
CREATE TABLE IF NOT EXISTS taught(
    root INTEGER NOT NULL, month TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
    PRIMARY KEY(root, month, a, b)) WITHOUT ROWID;
"""
    + journal.SCHEMA
    + """
CREATE INDEX IF NOT EXISTS moves_file ON moves(file);
CREATE INDEX IF NOT EXISTS moves_held ON moves(root) WHERE goal='moved' AND state='done';
"""
)

_UNREAD = """
CREATE INDEX IF NOT EXISTS files_unread ON files(root, size) WHERE state='companion' AND content IS NULL;
"""
_YOUNGER = (
    sidecar_rows.SCHEMA
    + held_checks.SCHEMA
    + refusals.SCHEMA
    + rereading.SCHEMA
    + forgetting.SCHEMA
    + deferred_rows.SCHEMA
    + purge_rows.SCHEMA
    + _UNREAD
)
"""Tables and indexes that the first ledgers did not have."""
_TO_2 = """
ALTER TABLE pairs RENAME TO pairs_1;
ALTER TABLE compared RENAME TO compared_1;
DROP INDEX pairs_b;
CREATE TABLE pairs(
    a TEXT NOT NULL, b TEXT NOT NULL, model TEXT NOT NULL, cosine REAL, hash_distance INTEGER NOT NULL,
    measures TEXT, PRIMARY KEY(a, b, model)) WITHOUT ROWID;
CREATE INDEX pairs_b ON pairs(b);
CREATE TABLE compared(
    content TEXT NOT NULL, month TEXT NOT NULL, model TEXT NOT NULL, rules TEXT NOT NULL,
    PRIMARY KEY(content, month, model)) WITHOUT ROWID;
CREATE TEMP TABLE record_model AS SELECT coalesce((SELECT value FROM meta WHERE key='model'), '') AS model;
INSERT INTO pairs SELECT a, b, model, cosine, hash_distance, measures FROM pairs_1, record_model;
INSERT INTO compared SELECT content, month, model, rules FROM compared_1, record_model;
CREATE TABLE IF NOT EXISTS taught(
    root INTEGER NOT NULL, month TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
    PRIMARY KEY(root, month, a, b)) WITHOUT ROWID;
DROP TABLE record_model;
DROP TABLE pairs_1;
DROP TABLE compared_1;
UPDATE meta SET value=(SELECT value FROM meta WHERE key='recipe') WHERE key='rules';
UPDATE meta SET value='2' WHERE key='version';
"""
"""Until then a ledger knew the pairs of one model only."""
_TO_3 = """
ALTER TABLE moves ADD COLUMN refusal TEXT NOT NULL DEFAULT '';
UPDATE moves SET root_id=lower(root_id);
UPDATE roots SET uuid=lower(uuid);
UPDATE meta SET value='3' WHERE key='version';
"""
"""Until then why a move was refused was a sentence alone, and a root's name was as its marker spells it."""


def connect(path: Path | str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode with the durability dedupd relies on.

    Raises LedgerDamaged when the file is no ledger or a broken one, StateError when the folder
    cannot be written or the ledger comes from a newer dedupd.
    """
    with translating(path):
        if read_only:
            link = sqlite3.connect(
                f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
        else:
            with suppress(OSError):  # it is there, or sqlite says why it cannot be
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            link = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        link.execute("PRAGMA busy_timeout=5000")
        if not read_only:
            link.execute("PRAGMA journal_mode=WAL")
            link.execute("PRAGMA synchronous=FULL")
            link.execute("PRAGMA foreign_keys=ON")
            _bring_up_to_date(link)
        _check_version(link, path)
    return link


def _bring_up_to_date(link: sqlite3.Connection) -> None:
    """Make the tables, or change those of an older dedupd into those of today."""
    if not link.execute("SELECT count(*) FROM sqlite_master WHERE name='moves'").fetchone()[0]:
        # In one transaction: each on its own would wait for the disk, a dozen times.
        link.executescript(
            "BEGIN;" + SCHEMA + _YOUNGER + f"INSERT OR IGNORE INTO meta VALUES('version','{VERSION}');COMMIT;"
        )
    link.executescript(_YOUNGER)
    if _version(link) == 1:
        link.executescript("BEGIN IMMEDIATE;" + _TO_2 + "COMMIT;")
    if _version(link) == 2:
        link.executescript("BEGIN IMMEDIATE;" + _TO_3 + "COMMIT;")


def _version(link: sqlite3.Connection) -> int:
    row = link.execute("SELECT value FROM meta WHERE key='version'").fetchone()
    return 0 if row is None else int(row[0])


def _check_version(link: sqlite3.Connection, path: Path | str) -> None:
    """StateError when the tables are of an older or a newer dedupd."""
    found = _version(link)
    if found < VERSION and found:
        raise StateError(
            f"{path} was written by an older dedupd: restart the daemon, or scan once, to bring it up to date"
        )
    if found != VERSION:
        raise StateError(f"{path} was written by a newer dedupd: upgrade dedupd, or use another --state-dir")
