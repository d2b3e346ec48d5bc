"""The SQLite file behind the stand-in."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.appwrite.collation import fold

# id_key holds the folded id: ids that differ by case or accents are one. Every table counts its own
# sequences and never gives one out again, also after its row was deleted.
SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    id_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tables (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    database_pk INTEGER NOT NULL REFERENCES databases ON DELETE CASCADE,
    id TEXT NOT NULL,
    id_key TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    permissions TEXT NOT NULL,
    row_security INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (database_pk, id_key)
);
CREATE TABLE IF NOT EXISTS rows (
    table_pk INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    id_key TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    permissions TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (table_pk, sequence),
    UNIQUE (table_pk, id_key)
);
CREATE TABLE IF NOT EXISTS webhooks (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rows_by_change ON rows (table_pk, updated_at, sequence);
"""
# For columns and for indexes.
PART_SCHEMA = """
CREATE TABLE IF NOT EXISTS {} (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    table_pk INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    key_folded TEXT NOT NULL,
    spec TEXT NOT NULL,
    UNIQUE (table_pk, key_folded)
);
"""


class Store:
    """One connection, used by one request at a time: a stand-in needs no parallel reads.

    Write-ahead logging keeps every committed request through a kill -9.
    """

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            state_dir / "appwrite.sqlite3", isolation_level=None, check_same_thread=False, timeout=30
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.create_function(
            "fold", 1, lambda value: fold(value) if isinstance(value, str) else value, deterministic=True
        )
        # NORMAL may lose the last commits when the power fails, but not when the process is killed.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(SCHEMA + PART_SCHEMA.format("columns") + PART_SCHEMA.format("indexes"))

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:  # noqa: BLE001 - whatever ended the block, the transaction must end too
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
