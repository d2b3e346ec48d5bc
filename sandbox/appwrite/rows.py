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
from sandbox.appwrite.listing import RowSearch
from sandbox.appwrite.queries import Filter, Listing

# What a reply shows and a client may send back; the server drops it.
READ_ONLY = frozenset({"$id", "$sequence", "$databaseId", "$tableId", "$collectionId", "$collection", "$tenant"})


@dataclass(frozen=True)
class Row:
    """A row. `sequence` is 0 for a row that an upsert says it made but did not."""

    id: str
    permissions: list[str]
    values: JsonObject
    created_at: str
    updated_at: str
    sequence: int = 0


@dataclass(frozen=True)
class Sent:
    """One row of a write: its id, its column values, and what a key may set beside them."""

    id: str
    values: JsonObject
    permissions: list[str] | None
    created_at: str | None
    updated_at: str | None


def sent(row_id: str, data: JsonObject, permissions: list[str] | None) -> Sent:
    """Raises row_invalid_structure for a moment that is none."""
    apart = READ_ONLY | {"$createdAt", "$updatedAt", "$permissions"}
    return Sent(
        id=row_id,
        values={key: value for key, value in data.items() if key not in apart},
        permissions=permissions,
        created_at=_moment(data, "$createdAt"),
        updated_at=_moment(data, "$updatedAt"),
    )


def _moment(data: JsonObject, name: str) -> str | None:
    if data.get(name) is None:
        return None
    try:
        return canonical(parse(data[name]))
    except (TypeError, ValueError) as exc:
        raise ApiError("row_invalid_structure", f'Attribute "{name}" has invalid type.') from exc


def refuse_newer(row: Row, base: datetime | None) -> None:
    """Compare-and-set: the row must not have changed after the state the writer last saw."""
    if base is not None and parse(row.updated_at) > base:
        raise ApiError("row_update_conflict")


def _says_nothing_new(row: Row, wanted: Row, new: Sent) -> bool:
    """Whether a patch sends what is stored; a value in another spelling is new."""
    if (row.permissions, row.created_at) != (wanted.permissions, wanted.created_at):
        return False
    return all(values.identical(row.values[key], value) for key, value in new.values.items())


def _repeats_everything(old: Row, new: Sent) -> bool:
    """Whether an upsert sends every column as it is stored; leaving one out is a change."""
    if new.permissions is not None and sorted(new.permissions) != sorted(old.permissions):
        return False
    if new.values.keys() != old.values.keys():
        return False
    return all(values.alike(old.values[key], value) for key, value in new.values.items())


class TableRows:
    """The rows of one table, in one SQLite transaction and at one instant."""

    def __init__(
        self, db: sqlite3.Connection, table: Table, dialect: Dialect, now: datetime, stamp: datetime | None = None
    ) -> None:
        self._db = db
        self._table = table
        self._dialect = dialect
        self._now = now
        self._stamp = canonical(stamp or now)
        self.columns = table.usable_columns(now)

    def search(self, listing: Listing) -> RowSearch:
        return RowSearch(self._db, self._table.pk, listing, self.columns)

    def found(self, listing: Listing, default_limit: int | None = None) -> list[Row]:
        return [self._row(record) for record in self.search(listing).rows(default_limit)]

    def get(self, row_id: str) -> Row:
        row = self.find(row_id)
        if row is None:
            raise ApiError("row_not_found", row_id)
        return row

    def find(self, row_id: str) -> Row | None:
        record = self._db.execute(
            "SELECT * FROM rows WHERE table_pk = ? AND id_key = ?", [self._table.pk, fold(row_id)]
        ).fetchone()
        return None if record is None else self._row(record)

    def _row(self, record: sqlite3.Row) -> Row:
        data = json.loads(record["data"])
        return Row(
            id=record["id"],
            permissions=json.loads(record["permissions"]),
            values={key: data.get(key, [] if column.array else None) for key, column in self.columns.items()},
            created_at=record["created_at"],
            updated_at=record["updated_at"],
            sequence=record["sequence"],
        )

    def create(self, news: list[Sent]) -> list[Row]:
        """All rows are checked before the first is stored."""
        return [self._insert_free(row) for row in [self._new(new) for new in news]]

    def patch(self, new: Sent, base: datetime | None) -> Row:
        """Merges into the stored row; a patch that changes nothing leaves $updatedAt alone."""
        row = self.get(new.id)
        # A conflict is told before a bad value: the writer's picture of the row is out of date anyway.
        refuse_newer(row, base)
        merged = values.encode_row(self.columns, {**row.values, **new.values}, now=self._now)
        wanted = self._rewritten(row, new, merged)
        if _says_nothing_new(row, wanted, new):
            wanted = replace(wanted, updated_at=new.updated_at or row.updated_at)
        return self._update(wanted)

    def overwrite(self, row: Row, new: Sent, changes: JsonObject) -> Row:
        """A bulk update of one row: always a change, even when nothing differs."""
        return self._update(self._rewritten(row, new, {**row.values, **changes}))

    def upsert(self, new: Sent) -> Row | None:
        """Creates or merges; None when nothing changed, for which every column must be given and alike.

        A new row that hits a unique index silently overwrites the row that holds the value, which keeps
        its id, as INSERT ... ON DUPLICATE KEY UPDATE does; the reply shows a row that does not exist.
        """
        old = self.find(new.id)
        if old is None:
            row = self._new(new)
            owner = self._owner_of_unique(row)
            return self._insert(row) if owner is None else self._overwritten(owner, row)
        if _repeats_everything(old, new):
            return None
        # Required columns must be sent again, even though the row has them.
        optional = {key: old.values[key] for key, column in self.columns.items() if not column.required}
        merged = values.encode_row(self.columns, {**optional, **new.values}, now=self._now)
        return self._update(self._rewritten(old, new, merged))

    def delete(self, row: Row) -> None:
        self._db.execute("DELETE FROM rows WHERE table_pk = ? AND sequence = ?", [self._table.pk, row.sequence])

    def _new(self, new: Sent) -> Row:
        return Row(
            id=new.id,
            permissions=new.permissions or [],
            values=values.encode_row(self.columns, new.values, now=self._now),
            created_at=new.created_at or self._stamp,
            updated_at=new.updated_at or self._stamp,
        )

    def _rewritten(self, row: Row, new: Sent, row_values: JsonObject) -> Row:
        return replace(
            row,
            values=row_values,
            permissions=row.permissions if new.permissions is None else new.permissions,
            created_at=new.created_at or row.created_at,
            updated_at=new.updated_at or self._stamp,
        )

    def _overwritten(self, owner: int, row: Row) -> Row:
        # The reply keeps the id that was sent and has no sequence: that row was never made.
        self._save(replace(row, sequence=owner))
        return row

    def _owner_of_unique(self, row: Row) -> int | None:
        """The sequence of another row that holds the same values in a unique index; nulls never collide."""
        for index in self._table.indexes:
            own = {key: row.values.get(key) for key in index.columns}
            if index.enforced and None not in own.values():
                owner = self._holder(own, besides=row.sequence)
                if owner is not None:
                    return owner
        return None

    def _holder(self, own: JsonObject, *, besides: int) -> int | None:
        translator = Translator(self.columns)
        same = [translator.condition(Filter("equal", key, (value,))) for key, value in own.items()]
        condition = joined([Sql("table_pk = ?", (self._table.pk,)), Sql("sequence <> ?", (besides,)), *same], "AND")
        found = self._db.execute(
            f"SELECT sequence FROM rows WHERE {condition.text}",  # noqa: S608
            condition.values,
        ).fetchone()
        return None if found is None else int(found["sequence"])

    def _insert_free(self, row: Row) -> Row:
        if self.find(row.id) is not None or self._owner_of_unique(row) is not None:
            raise ApiError("row_already_exists", row.id)
        return self._insert(row)

    def _insert(self, row: Row) -> Row:
        counted = "UPDATE tables SET last_sequence = last_sequence + 1 WHERE pk = ? RETURNING last_sequence"
        [(sequence,)] = self._db.execute(counted, [self._table.pk]).fetchall()
        self._db.execute(
            "INSERT INTO rows (table_pk, sequence, id, id_key, created_at, updated_at, permissions, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [self._table.pk, sequence, row.id, fold(row.id), *self._stored(row)],
        )
        return replace(row, sequence=sequence)

    def _update(self, row: Row) -> Row:
        if self._owner_of_unique(row) is not None:
            raise ApiError("row_already_exists", row.id)
        self._save(row)
        return row

    def _save(self, row: Row) -> None:
        self._db.execute(
            "UPDATE rows SET created_at = ?, updated_at = ?, permissions = ?, data = ?"
            " WHERE table_pk = ? AND sequence = ?",
            [*self._stored(row), self._table.pk, row.sequence],
        )

    def _stored(self, row: Row) -> list[str]:
        kept = {
            key: values.kept(value, whole_floats=self._dialect.keeps_whole_floats) for key, value in row.values.items()
        }
        return [row.created_at, row.updated_at, json.dumps(row.permissions), json.dumps(kept, ensure_ascii=False)]
