"""What replies show of databases, tables, columns, indexes and rows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sandbox.appwrite import values
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.catalog import Database, Index, Table
from sandbox.appwrite.columns import KINDS, Column
from sandbox.appwrite.declarations import ROW_BYTES, used_bytes
from sandbox.appwrite.errors import JsonObject
from sandbox.appwrite.queries import DEFAULT_LIMIT, read_queries
from sandbox.appwrite.rows import Row

Item = TypeVar("Item")


def page(call: Call, name: str, items: Sequence[Item], view: Callable[[Item], JsonObject]) -> Reply:
    """A list of schema objects: like rows, 25 of them unless a limit is given."""
    listing = read_queries(call.queries, {})
    shown = items[listing.offset or 0 :][: listing.limit or DEFAULT_LIMIT]
    return Reply(body={"total": len(items), name: [view(item) for item in shown]})


def database_view(database: Database) -> JsonObject:
    return {
        "$id": database.id,
        "name": database.name,
        "$createdAt": database.created_at,
        "$updatedAt": database.created_at,
        "enabled": True,
        "type": "tablesdb",
    }


def table_view(call: Call, table: Table) -> JsonObject:
    used = {"bytesMax": ROW_BYTES, "bytesUsed": used_bytes(table.columns)}
    return {
        "$id": table.id,
        "$createdAt": table.created_at,
        "$updatedAt": table.updated_at,
        "$permissions": table.permissions,
        "databaseId": table.database_id,
        "name": table.name,
        "enabled": table.enabled,
        "rowSecurity": table.row_security,
        "columns": [column_view(column, call.now) for column in table.columns],
        "indexes": [index_view(index, table, call.now) for index in table.indexes],
        **(used if call.dialect.reports_bytes else {}),
    }


def column_view(column: Column, now: datetime) -> JsonObject:
    kind = KINDS[column.kind]
    special = {
        "size": column.size,
        "encrypt": column.encrypt,
        "elements": list(column.elements),
        "format": kind.format,
        "min": values.shown(column.minimum),
        "max": values.shown(column.maximum),
    }
    return {
        "key": column.key,
        "type": kind.type,
        "status": "available" if column.available(now) else "processing",
        "error": "",
        "required": column.required,
        "array": column.array,
        "$createdAt": column.created_at,
        "$updatedAt": column.available_at if column.available(now) else column.created_at,
        **{field: special[field] for field in kind.fields},
        "default": values.shown(column.default),
    }


def index_view(index: Index, table: Table, now: datetime) -> JsonObject:
    return {
        "$id": f"{table.pk}_{index.key}",
        "$createdAt": index.created_at,
        "$updatedAt": index.created_at,
        "key": index.key,
        "type": index.type,
        "status": index.status(now),
        "error": index.error,
        "columns": list(index.columns),
        # The server shows 0 for every length, whatever was asked for.
        "lengths": [0] * len(index.columns),
        "orders": list(index.orders),
    }


def row_view(call: Call, table: Table, row: Row, selection: frozenset[str] = frozenset()) -> JsonObject:
    """A row with the selected columns; its system fields come whatever was selected."""
    everything = not selection or "*" in selection
    return {
        "$id": row.id,
        "$sequence": str(row.sequence) if call.text_sequence else row.sequence,
        "$createdAt": row.created_at,
        "$updatedAt": row.updated_at,
        "$permissions": row.permissions,
        "$databaseId": table.database_id,
        "$tableId": table.id,
        **{key: values.shown(value) for key, value in row.values.items() if everything or key in selection},
    }


def rows_view(
    call: Call, table: Table, total: int, rows: list[Row], selection: frozenset[str] = frozenset()
) -> JsonObject:
    return {"total": total, "rows": [row_view(call, table, row, selection) for row in rows]}
