"""Staged operations carried out: for good at a commit, for a look at what it would give, or not at all."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property

from sandbox.appwrite import transactions
from sandbox.appwrite.bulk_routes import checked, unchecked
from sandbox.appwrite.call import Call, unique_id
from sandbox.appwrite.catalog import Table, find_table
from sandbox.appwrite.collation import fold
from sandbox.appwrite.datetimes import parse
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.queries import read_queries
from sandbox.appwrite.rows import Row, Sent, TableRows, refuse_newer, sent
from sandbox.appwrite.transactions import Operation
from sandbox.appwrite.values import encode_part


class Replay:
    """The operations of one transaction in one SQLite transaction.

    A row that somebody else changed after its operation was staged is a conflict; what was changed before is not
    seen. `done` is what webhooks are told: nothing of bulk writes, and an upsert as an update.
    """

    def __init__(self, call: Call, db: sqlite3.Connection) -> None:
        self._call = call
        self._db = db
        self._tables: dict[tuple[str, str], tuple[Table, TableRows]] = {}
        self._own: set[tuple[int, str]] = set()
        self.done: list[tuple[Table, str, Row]] = []

    def run(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            table, rows = self._opened(operation)
            self._actions[operation.action](operation, table, rows)

    @cached_property
    def _actions(self) -> Mapping[str, Callable[[Operation, Table, TableRows], None]]:
        return {
            "create": self._create,
            "update": self._update,
            "upsert": self._upsert,
            "delete": self._delete,
            "bulkCreate": self._bulk_create,
            "bulkUpsert": self._bulk_upsert,
            "bulkUpdate": self._bulk_update,
            "bulkDelete": self._bulk_delete,
        }

    def _opened(self, operation: Operation) -> tuple[Table, TableRows]:
        address = operation.database_id, operation.table_id
        if address not in self._tables:
            table = find_table(self._db, *address)
            call = self._call
            self._tables[address] = table, TableRows(self._db, table, call.dialect, call.now, call.stamp)
        return self._tables[address]

    def _create(self, operation: Operation, table: Table, rows: TableRows) -> None:
        row_id = operation.data.get("$id") or operation.row_id or unique_id()
        [row] = rows.create([_sent(str(row_id), operation)])
        self._note(table, "create", row)

    def _update(self, operation: Operation, table: Table, rows: TableRows) -> None:
        self._refuse_conflict(operation, table, rows, operation.row_id)
        self._note(table, "update", rows.patch(_sent(operation.row_id, operation), None))

    def _upsert(self, operation: Operation, table: Table, rows: TableRows) -> None:
        """The row id of the operation is not looked at, as in the real server: only the one in the data is."""
        new = _sent(operation.data.get("$id") or unique_id(), operation)
        row = rows.upsert(new) or rows.get(new.id)
        if fold(row.id) == fold(operation.row_id):
            self._note(table, "update", row)

    def _delete(self, operation: Operation, table: Table, rows: TableRows) -> None:
        self._refuse_conflict(operation, table, rows, operation.row_id)
        row = rows.get(operation.row_id)
        rows.delete(row)
        self._own.discard((table.pk, fold(row.id)))
        self.done.append((table, "delete", row))

    def _bulk_create(self, operation: Operation, table: Table, rows: TableRows) -> None:
        self._keep(table, rows.create([checked(spec) for spec in operation.data]))

    def _bulk_upsert(self, operation: Operation, table: Table, rows: TableRows) -> None:
        for new in map(unchecked, operation.data):
            self._refuse_conflict(operation, table, rows, new.id)
            self._keep(table, filter(None, [rows.upsert(new)]))

    def _bulk_update(self, operation: Operation, table: Table, rows: TableRows) -> None:
        new = sent("", operation.data.get("data") or {}, None)
        changes = encode_part(rows.columns, new.values, now=self._call.now)
        for row in self._found(operation, table, rows):
            self._keep(table, [rows.overwrite(row, new, changes)])

    def _bulk_delete(self, operation: Operation, table: Table, rows: TableRows) -> None:
        for row in self._found(operation, table, rows):
            rows.delete(row)

    def _found(self, operation: Operation, table: Table, rows: TableRows) -> list[Row]:
        found = rows.found(read_queries(operation.data.get("queries") or [], rows.columns))
        for row in found:
            self._refuse_conflict(operation, table, rows, row.id)
        return found

    def _refuse_conflict(self, operation: Operation, table: Table, rows: TableRows, row_id: str) -> None:
        row = rows.find(row_id)
        if row is not None and (table.pk, fold(row.id)) not in self._own:
            refuse_newer(row, parse(operation.staged_at))

    def _note(self, table: Table, action: str, row: Row) -> None:
        self._keep(table, [row])
        self.done.append((table, action, row))

    def _keep(self, table: Table, rows: Iterable[Row]) -> None:
        self._own.update((table.pk, fold(row.id)) for row in rows)


def _sent(row_id: str, operation: Operation) -> Sent:
    return sent(row_id, operation.data, operation.data.get("$permissions"))


@contextmanager
def look(call: Call) -> Iterator[sqlite3.Connection]:
    """What a read sees: inside a transaction its own staged writes too, as far as they can be done."""
    if not call.transaction_id:
        with call.store.read() as db:
            yield db
        return
    with call.store.write(draft=True) as db:
        transactions.find_pending(db, call.transaction_id, now=call.now)
        replay = Replay(call, db)
        for operation in transactions.operations(db, call.transaction_id):
            with suppress(ApiError):
                replay.run([operation])
        yield db
