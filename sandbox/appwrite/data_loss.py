"""Losses that somebody else causes in the Appwrite console. No webhook reports them."""

import re
import sqlite3
from contextlib import suppress
from datetime import datetime
from urllib.parse import unquote

from sandbox.appwrite import catalog
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.store import Store

ADDRESS = re.compile(r"/tablesdb/([^/?]+)(?:/tables/([^/?]+))?")


def inflict(kind: str, path: str, store: Store, *, now: datetime) -> None:
    """Deletes the database in the address, or recreates the table in it without rows; a missing one is left alone.

    `kind` is "database_deleted" or "table_recreated".
    """
    found = ADDRESS.search(path)
    if found is None:
        return
    with suppress(ApiError), store.write() as db:
        if kind == "database_deleted":
            catalog.remove_database(db, catalog.find_database(db, unquote(found[1])).pk)
        else:
            _recreate_table(db, catalog.find_table(db, unquote(found[1]), unquote(found[2] or "")).pk, now)


def _recreate_table(db: sqlite3.Connection, pk: int, now: datetime) -> None:
    """Its sequences begin again; its columns are there at once, which spares a test the waiting."""
    db.execute("DELETE FROM rows WHERE table_pk = ?", [pk])
    db.execute(
        "UPDATE tables SET last_sequence = 0, created_at = :moment, updated_at = :moment WHERE pk = :pk",
        {"moment": canonical(now), "pk": pk},
    )
