"""What somebody else does to a table while nobody looks. No webhook tells of it."""

import re
import sqlite3
from contextlib import suppress
from datetime import datetime
from urllib.parse import unquote

from sandbox.appwrite import catalog
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.store import Store
from sandbox.appwrite.transactions import expire_all

ADDRESS = re.compile(r"/(?:tablesdb|databases)/([^/?]+)(?:/(?:tables|collections)/([^/?]+))?")


def befall(kind: str, path: str, store: Store, *, now: datetime) -> None:
    """The mishap of a fault, to the database or the table in the address; what is not there stays unharmed."""
    if kind == "transactions_expired":
        with store.write() as db:
            expire_all(db, now=now)
        return
    found = ADDRESS.search(path)
    if found is None:
        return
    with suppress(ApiError), store.write() as db:
        database_id, table_id = unquote(found[1]), unquote(found[2] or "")
        if kind == "database_deleted":
            catalog.remove_database(db, catalog.find_database(db, database_id).pk)
            return
        table = catalog.find_table(db, database_id, table_id)
        db.execute("DELETE FROM rows WHERE table_pk = ?", [table.pk])
        if kind == "table_recreated":
            _recreated(db, table.pk, now)


def _recreated(db: sqlite3.Connection, pk: int, now: datetime) -> None:
    """Its sequences begin again; its columns are there at once, which spares a test the waiting."""
    db.execute(
        "UPDATE tables SET last_sequence = 0, created_at = :moment, updated_at = :moment WHERE pk = :pk",
        {"moment": canonical(now), "pk": pk},
    )
