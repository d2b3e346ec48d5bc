"""What requests have in common: the table they address, the data and the permissions they send."""

import json
from sqlite3 import Connection

from sandbox.appwrite import catalog
from sandbox.appwrite.call import Call
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import ROW_ACTIONS, expanded, open_to_guests
from sandbox.appwrite.rows import TableRows


def addressed_table(call: Call, db: Connection) -> Table:
    """The table in the request's address. Raises database_not_found or table_not_found."""
    return catalog.find_table(db, call.path["database"], call.path["table"])


def opened(call: Call, db: Connection, action: str) -> tuple[Table, TableRows]:
    """The addressed table and its rows; a guest needs the table's permission for the action."""
    table = addressed_table(call, db)
    if call.guest and not open_to_guests(table.permissions, action):
        raise ApiError("user_unauthorized")
    return table, TableRows(db, table, call.dialect, call.now, call.stamp)


def data_of(call: Call) -> JsonObject:
    """The `data` of a write, which may be JSON in a text. Raises general_argument_invalid."""
    data = call.body.get("data") or {}
    try:
        data = json.loads(data) if isinstance(data, str) else data
    except ValueError as exc:
        raise ApiError("general_argument_invalid", "data") from exc
    if not isinstance(data, dict):
        raise ApiError("general_argument_invalid", "data")
    return data


def permissions_of(call: Call) -> list[str] | None:
    given = call.body.get("permissions")
    return None if given is None else expanded(given, ROW_ACTIONS)
