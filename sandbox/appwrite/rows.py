"""Reading and writing the rows of a table, with the server's rules for what changes and what collides."""

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime

from sandbox.appwrite import values
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.collation import fold
from sandbox.appwrite.datetimes import canonical, parse
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.filters import Sql, Translator, joined
from sandbox.appwrite.queries import Filter, Listing
from sandbox.appwrite.row_search import RowSearch

# What a reply shows and a client may send back; the server drops it.
READ_ONLY = frozenset({"$id", "$sequence", "$databaseId", "$tableId", "$collectionId", "$collection", "$tenant"})


@dataclass(frozen=True)
class Row:
    """A row as it is stored; `sequence` is 0 until it is."""

    id: str
    permissions: list[str]
    values: JsonObject
    created_at: str
    updated_at: str
    sequence: int = 0


@dataclass(frozen=True)
class RowWrite:
    """One row of a write: its id, its column values, and what a key may set beside them."""

    id: str
    values: JsonObject
    permissions: list[str] | None
    created_at: str | None
    updated_at: str | None


def read_row_write(row_id: str, data: JsonObject, permissions: list[str] | None) -> RowWrite:
    """Separates system fields from column values. Raises row_invalid_structure for a timestamp that is none."""
    system = READ_ONLY | {"$createdAt", "$updatedAt", "$permissions"}
    return RowWrite(
        id=row_id,
        values={key: value for key, value in data.items() if key not in system},
        permissions=permissions,
        created_at=_read_timestamp(data, "$createdAt"),
        updated_at=_read_timestamp(data, "$updatedAt"),
    )


def _read_timestamp(data: JsonObject, name: str) -> str | None:
    if data.get(name) is None:
        return None
    try:
        return canonical(parse(data[name]))
    except (TypeError, ValueError) as exc:
        raise ApiError("row_invalid_structure", f'Attribute "{name}" has invalid type.') from exc


def refuse_newer(row: Row, base: datetime | None) -> None:
    """Compare-and-set: raises row_update_conflict if the row changed after the state that the writer last saw."""
    if base is not None and parse(row.updated_at) > base:
        raise ApiError("row_update_conflict")


def _upsert_changes_nothing(old: Row, write: RowWrite) -> bool:
    """Whether an upsert sends every column as it is stored; leaving one out is a change."""
    if write.permissions is not None and sorted(write.permissions) != sorted(old.permissions):
        return False
    if write.values.keys() != old.values.keys():
        return False
    return all(values.alike(old.values[key], value) for key, value in write.values.items())


class TableRows:
    """The rows of one table, in one SQLite transaction and at one instant."""

    def __init__(self, db: sqlite3.Connection, table: Table, dialect: Dialect, now: datetime) -> None:
        self._db = db
        self._table = table
        self._dialect = dialect
        self._now = now
        self.columns = table.usable_columns(now)

    def search(self, listing: Listing) -> RowSearch:
        return RowSearch(self._db, self._table.pk, listing, self.columns)

    def found(self, listing: Listing, default_limit: int | None = None) -> list[Row]:
        return [self._read_row(record) for record in self.search(listing).rows(default_limit)]

    def get(self, row_id: str) -> Row:
        """Raises row_not_found."""
        row = self._find_row(row_id)
        if row is None:
            raise ApiError("row_not_found", row_id)
        return row

    def _find_row(self, row_id: str) -> Row | None:
        record = self._db.execute(
            "SELECT * FROM rows WHERE table_pk = ? AND id_key = ?", [self._table.pk, fold(row_id)]
        ).fetchone()
        return None if record is None else self._read_row(record)

    def _read_row(self, record: sqlite3.Row) -> Row:
        data = json.loads(record["data"])
        return Row(
            id=record["id"],
            permissions=json.loads(record["permissions"]),
            values={key: data.get(key, [] if column.array else None) for key, column in self.columns.items()},
            created_at=record["created_at"],
            updated_at=record["updated_at"],
            sequence=record["sequence"],
        )

    def create(self, writes: list[RowWrite]) -> list[Row]:
        """All rows are checked before the first is stored. Raises row_already_exists."""
        created = []
        for row in [self._new_row(write) for write in writes]:
            if self._find_row(row.id) is not None or self._breaks_unique_index(row):
                raise ApiError("row_already_exists", row.id)
            created.append(self._insert_row(row))
        return created

    def patch(self, write: RowWrite, base: datetime | None) -> Row:
        """Merges into the stored row; a patch that changes nothing leaves $updatedAt alone.

        A value in another form than the stored one is a change. Raises row_not_found and row_update_conflict.
        """
        row = self.get(write.id)
        # A conflict comes before a bad value: the writer's picture of the row is out of date anyway.
        refuse_newer(row, base)
        merged = values.encode_row(self.columns, {**row.values, **write.values}, now=self._now)
        wanted = self._changed_row(row, write, merged)
        same_meta = (row.permissions, row.created_at) == (wanted.permissions, wanted.created_at)
        if same_meta and all(values.identical(row.values[key], value) for key, value in write.values.items()):
            wanted = replace(wanted, updated_at=write.updated_at or row.updated_at)
        return self._update_row(wanted)

    def overwrite(self, row: Row, write: RowWrite, changes: JsonObject) -> Row:
        """A bulk update of one row: always a change, even when nothing differs."""
        return self._update_row(self._changed_row(row, write, {**row.values, **changes}))

    def upsert(self, write: RowWrite) -> Row | None:
        """Creates or merges; None when nothing changed, for which every column must be given and alike."""
        old = self._find_row(write.id)
        if old is None:
            row = self._new_row(write)
            if self._breaks_unique_index(row):
                # The real server overwrites the row that holds the value, and reports one that does not exist.
                raise ApiError("sandbox_not_implemented", "an upsert that breaks a unique index")
            return self._insert_row(row)
        if _upsert_changes_nothing(old, write):
            return None
        # Required columns must be sent again, even though the row has them.
        optional = {key: old.values[key] for key, column in self.columns.items() if not column.required}
        merged = values.encode_row(self.columns, {**optional, **write.values}, now=self._now)
        return self._update_row(self._changed_row(old, write, merged))

    def delete(self, row: Row) -> None:
        self._db.execute("DELETE FROM rows WHERE table_pk = ? AND sequence = ?", [self._table.pk, row.sequence])

    def _new_row(self, write: RowWrite) -> Row:
        return Row(
            id=write.id,
            permissions=write.permissions or [],
            values=values.encode_row(self.columns, write.values, now=self._now),
            created_at=write.created_at or canonical(self._now),
            updated_at=write.updated_at or canonical(self._now),
        )

    def _changed_row(self, row: Row, write: RowWrite, row_values: JsonObject) -> Row:
        return replace(
            row,
            values=row_values,
            permissions=row.permissions if write.permissions is None else write.permissions,
            created_at=write.created_at or row.created_at,
            updated_at=write.updated_at or canonical(self._now),
        )

    def _breaks_unique_index(self, row: Row) -> bool:
        """Whether another row holds the same values in a unique index; nulls never collide."""
        translator = Translator(self.columns)
        for index in self._table.indexes:
            own = {key: row.values.get(key) for key in index.columns}
            if not index.enforced or None in own.values():
                continue
            same = [translator.condition(Filter("equal", key, (value,))) for key, value in own.items()]
            others = [Sql("table_pk = ?", (self._table.pk,)), Sql("sequence <> ?", (row.sequence,))]
            condition = joined([*others, *same], "AND")
            text = f"SELECT 1 FROM rows WHERE {condition.text}"  # noqa: S608
            if self._db.execute(text, condition.values).fetchone() is not None:
                return True
        return False

    def _insert_row(self, row: Row) -> Row:
        counted = "UPDATE tables SET last_sequence = last_sequence + 1 WHERE pk = ? RETURNING last_sequence"
        [(sequence,)] = self._db.execute(counted, [self._table.pk]).fetchall()
        self._db.execute(
            "INSERT INTO rows (table_pk, sequence, id, id_key, created_at, updated_at, permissions, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [self._table.pk, sequence, row.id, fold(row.id), *self._stored_fields(row)],
        )
        return replace(row, sequence=sequence)

    def _update_row(self, row: Row) -> Row:
        if self._breaks_unique_index(row):
            raise ApiError("row_already_exists", row.id)
        self._db.execute(
            "UPDATE rows SET created_at = ?, updated_at = ?, permissions = ?, data = ?"
            " WHERE table_pk = ? AND sequence = ?",
            [*self._stored_fields(row), self._table.pk, row.sequence],
        )
        return row

    def _stored_fields(self, row: Row) -> list[str]:
        whole_floats = self._dialect.keeps_whole_floats
        kept = {key: values.kept(value, whole_floats=whole_floats) for key, value in row.values.items()}
        return [row.created_at, row.updated_at, json.dumps(row.permissions), json.dumps(kept, ensure_ascii=False)]
