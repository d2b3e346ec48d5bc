"""Databases and tables over HTTP."""

from dataclasses import replace
from sqlite3 import Connection

from sandbox.appwrite import catalog
from sandbox.appwrite.call import Call, Reply, read_flag
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.declarations import INLINE_TYPES, declared_column, declared_index, refuse_full
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import TABLE_ACTIONS, expand_permissions
from sandbox.appwrite.request_parts import find_table
from sandbox.appwrite.views import database_view, table_view


def create_database(call: Call) -> Reply:
    with call.write() as db:
        made = catalog.add_database(db, call.new_id("databaseId"), call.text("name"), now=call.now)
    return Reply(201, database_view(made))


def get_database(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=database_view(catalog.find_database(db, call.path["database"])))


def delete_database(call: Call) -> Reply:
    with call.write() as db:
        catalog.remove_database(db, catalog.find_database(db, call.path["database"]).pk)
    return Reply(204)


def create_table(call: Call) -> Reply:
    with call.write() as db:
        database = catalog.find_database(db, call.path["database"])
        made = catalog.add_table(db, database, call.new_id("tableId"), _read_settings(call, []), now=call.now)
        if call.dialect.inline_columns:
            made = _add_inline_parts(call, db, made)
    return Reply(201, table_view(call, made))


def get_table(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=table_view(call, find_table(call, db)))


def update_table(call: Call) -> Reply:
    with call.write() as db:
        table = find_table(call, db)
        catalog.change_table(db, table.pk, _read_settings(call, table.permissions), now=call.now)
        return Reply(body=table_view(call, find_table(call, db)))


def delete_table(call: Call) -> Reply:
    with call.write() as db:
        catalog.remove_table(db, find_table(call, db).pk)
    return Reply(204)


def _read_settings(call: Call, permissions: list[str]) -> JsonObject:
    """The settings that a request gives a table; without permissions the present ones stay."""
    given = call.body.get("permissions")
    return {
        "name": call.text("name"),
        "permissions": permissions if given is None else expand_permissions(given, TABLE_ACTIONS),
        "row_security": read_flag(call.body, "rowSecurity", False),
        "enabled": read_flag(call.body, "enabled", True),
    }


def _add_inline_parts(call: Call, db: Connection, table: Table) -> Table:
    """Columns and indexes given with the table are there at once."""
    for spec in _read_inline_specs(call, "columns"):
        kind = INLINE_TYPES.get(str(spec.get("type")))
        if kind is None:
            raise ApiError("general_argument_invalid", "columns")
        column = declared_column(kind, spec, now=call.now, ready=True)
        catalog.add_column(db, table, column)
        table = replace(table, columns=(*table.columns, column))
    refuse_full(table.columns)
    for spec in _read_inline_specs(call, "indexes"):
        catalog.add_index(db, table, declared_index(spec, table, now=call.now, names="attributes", ready=True))
    return catalog.find_table(db, table.database_id, table.id)


def _read_inline_specs(call: Call, name: str) -> list[JsonObject]:
    given = call.body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(spec, dict) for spec in given):
        raise ApiError("general_argument_invalid", name)
    return given
