"""Databases, tables, columns and indexes as they are stored."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from sandbox.appwrite.collation import fold
from sandbox.appwrite.columns import Column
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError, JsonObject


@dataclass(frozen=True)
class Database:
    pk: int
    id: str
    name: str
    created_at: str


@dataclass(frozen=True)
class Index:
    """An index. `enforced` means that it is unique and really exists."""

    key: str
    type: str
    columns: tuple[str, ...]
    orders: tuple[str, ...]
    error: str
    enforced: bool
    created_at: str
    available_at: str

    @classmethod
    def stored(cls, spec: JsonObject) -> Self:
        return cls(**{**spec, "columns": tuple(spec["columns"]), "orders": tuple(spec["orders"])})

    def status(self, now: datetime) -> str:
        if self.available_at > canonical(now):
            return "processing"
        return "failed" if self.error else "available"


@dataclass(frozen=True)
class Table:
    pk: int
    database_id: str
    id: str
    name: str
    enabled: bool
    permissions: list[str]
    row_security: bool
    created_at: str
    updated_at: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]

    def usable_columns(self, now: datetime) -> dict[str, Column]:
        return {column.key: column for column in self.columns if column.available(now)}


def find_database(db: sqlite3.Connection, database_id: str) -> Database:
    row = db.execute("SELECT * FROM databases WHERE id_key = ?", [fold(database_id)]).fetchone()
    if row is None:
        raise ApiError("database_not_found", database_id)
    return Database(row["pk"], row["id"], row["name"], row["created_at"])


def add_database(db: sqlite3.Connection, database_id: str, name: str, *, now: datetime) -> Database:
    try:
        db.execute(
            "INSERT INTO databases (id, id_key, name, created_at) VALUES (?, ?, ?, ?)",
            [database_id, fold(database_id), name, canonical(now)],
        )
    except sqlite3.IntegrityError as exc:
        raise ApiError("database_already_exists", database_id) from exc
    return find_database(db, database_id)


def remove_database(db: sqlite3.Connection, pk: int) -> None:
    db.execute("DELETE FROM databases WHERE pk = ?", [pk])


def find_table(db: sqlite3.Connection, database_id: str, table_id: str) -> Table:
    database = find_database(db, database_id)
    row = db.execute(
        "SELECT * FROM tables WHERE database_pk = ? AND id_key = ?", [database.pk, fold(table_id)]
    ).fetchone()
    if row is None:
        raise ApiError("table_not_found", table_id)
    return Table(
        pk=row["pk"],
        database_id=database.id,
        id=row["id"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        permissions=json.loads(row["permissions"]),
        row_security=bool(row["row_security"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        columns=tuple(map(Column.stored, _read_specs(db, "columns", row["pk"]))),
        indexes=tuple(map(Index.stored, _read_specs(db, "indexes", row["pk"]))),
    )


def _read_specs(db: sqlite3.Connection, kind: str, table_pk: int) -> list[JsonObject]:
    found = db.execute(f"SELECT spec FROM {kind} WHERE table_pk = ? ORDER BY pk", [table_pk])  # noqa: S608
    return [json.loads(row["spec"]) for row in found]


def add_table(
    db: sqlite3.Connection, database: Database, table_id: str, options: JsonObject, *, now: datetime
) -> Table:
    """`options` are name, permissions, row_security and enabled."""
    moment = canonical(now)
    record = {**options, "permissions": json.dumps(options["permissions"])}
    try:
        db.execute(
            "INSERT INTO tables (database_pk, id, id_key, name, enabled, permissions, row_security,"
            " created_at, updated_at)"
            " VALUES (:pk, :id, :key, :name, :enabled, :permissions, :row_security, :moment, :moment)",
            {**record, "pk": database.pk, "id": table_id, "key": fold(table_id), "moment": moment},
        )
    except sqlite3.IntegrityError as exc:
        raise ApiError("table_already_exists", table_id) from exc
    return find_table(db, database.id, table_id)


def change_table(db: sqlite3.Connection, pk: int, options: JsonObject, *, now: datetime) -> None:
    record = {**options, "permissions": json.dumps(options["permissions"])}
    db.execute(
        "UPDATE tables SET name = :name, enabled = :enabled, permissions = :permissions,"
        " row_security = :row_security, updated_at = :moment WHERE pk = :pk",
        {**record, "moment": canonical(now), "pk": pk},
    )


def remove_table(db: sqlite3.Connection, pk: int) -> None:
    db.execute("DELETE FROM tables WHERE pk = ?", [pk])


def add_column(db: sqlite3.Connection, table: Table, column: Column) -> None:
    if not _add_item(db, "columns", table.pk, column):
        raise ApiError("column_already_exists", column.key)


def remove_column(db: sqlite3.Connection, table: Table, key: str) -> None:
    """Removes the column from the rows and the indexes too; an index left without columns goes."""
    db.execute("DELETE FROM columns WHERE table_pk = ? AND key_folded = ?", [table.pk, key.lower()])
    # Else the old values would be back when a column of the same key is created again.
    db.execute("UPDATE rows SET data = json_remove(data, ?) WHERE table_pk = ?", [f'$."{key}"', table.pk])
    for index in table.indexes:
        if key in index.columns:
            db.execute("DELETE FROM indexes WHERE table_pk = ? AND key_folded = ?", [table.pk, index.key.lower()])
            left = tuple(name for name in index.columns if name != key)
            if left:
                add_index(db, table, Index(**{**asdict(index), "columns": left}))


def add_index(db: sqlite3.Connection, table: Table, index: Index) -> None:
    if not _add_item(db, "indexes", table.pk, index):
        raise ApiError("column_index_already_exists", index.key)


def _add_item(db: sqlite3.Connection, kind: str, table_pk: int, item: Column | Index) -> bool:
    """False when the key is taken."""
    added = db.execute(
        f"INSERT OR IGNORE INTO {kind} (table_pk, key_folded, spec) VALUES (?, ?, ?)",  # noqa: S608
        [table_pk, item.key.lower(), json.dumps(asdict(item))],
    )
    return added.rowcount == 1


def find_column(table: Table, key: str) -> Column:
    for column in table.columns:
        if column.key.lower() == key.lower():
            return column
    raise ApiError("column_not_found", key)


def find_index(table: Table, key: str) -> Index:
    for index in table.indexes:
        if index.key.lower() == key.lower():
            return index
    raise ApiError("column_index_not_found", key)
