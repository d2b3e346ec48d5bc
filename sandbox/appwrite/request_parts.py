"""What requests have in common: the table they address, the data and the permissions they send."""

import json
from sqlite3 import Connection

from sandbox.appwrite import catalog
from sandbox.appwrite.call import Call
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import ROW_ACTIONS, expand_permissions
from sandbox.appwrite.rows import TableRows


def find_table(call: Call, db: Connection) -> Table:
    """The table in the request's address. Raises database_not_found or table_not_found."""
    return catalog.find_table(db, call.path["database"], call.path["table"])


def open_rows(call: Call, db: Connection) -> tuple[Table, TableRows]:
    """The table in the request's address, and its rows."""
    table = find_table(call, db)
    return table, TableRows(db, table, call.dialect, call.now)


def read_data(call: Call) -> JsonObject:
    """The `data` of a write, which may be JSON in a text. Raises general_argument_invalid."""
    data = call.body.get("data") or {}
    try:
        data = json.loads(data) if isinstance(data, str) else data
    except ValueError as exc:
        raise ApiError("general_argument_invalid", "data") from exc
    if not isinstance(data, dict):
        raise ApiError("general_argument_invalid", "data")
    return data


def read_permissions(call: Call) -> list[str] | None:
    """The `permissions` of a write, or None where it has none. Raises general_argument_invalid."""
    given = call.body.get("permissions")
    return None if given is None else expand_permissions(given, ROW_ACTIONS)
