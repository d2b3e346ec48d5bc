"""Databases and tables over HTTP."""

from dataclasses import replace
from sqlite3 import Connection

from sandbox.appwrite import catalog
from sandbox.appwrite.addressing import addressed_table
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.declarations import INLINE_TYPES, declared_column, declared_index, refuse_full
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import TABLE_ACTIONS, expanded
from sandbox.appwrite.views import database_view, page, table_view


def list_databases(call: Call) -> Reply:
    with call.store.read() as db:
        return page(call, "databases", catalog.databases(db), database_view)


def create_database(call: Call) -> Reply:
    with call.write() as db:
        made = catalog.add_database(
            db, call.new_id("databaseId"), call.text("name"), enabled=call.flag("enabled", True), now=call.now
        )
    return Reply(201, database_view(made))


def get_database(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=database_view(catalog.find_database(db, call.path["database"])))


def update_database(call: Call) -> Reply:
    with call.write() as db:
        database = catalog.find_database(db, call.path["database"])
        catalog.change_database(db, database.pk, call.text("name"), enabled=call.flag("enabled", True), now=call.now)
        return Reply(body=database_view(catalog.find_database(db, database.id)))


def delete_database(call: Call) -> Reply:
    with call.write() as db:
        catalog.remove_database(db, catalog.find_database(db, call.path["database"]).pk)
    return Reply(204)


def list_tables(call: Call) -> Reply:
    with call.store.read() as db:
        tables = catalog.tables(db, catalog.find_database(db, call.path["database"]))
    return page(call, "tables", tables, lambda table: table_view(call, table))


def create_table(call: Call) -> Reply:
    with call.write() as db:
        database = catalog.find_database(db, call.path["database"])
        made = catalog.add_table(db, database, call.new_id("tableId"), _options(call, []), now=call.now)
        if call.dialect.inline_columns:
            made = _with_inline_parts(call, db, made)
    return Reply(201, table_view(call, made))


def get_table(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=table_view(call, addressed_table(call, db)))


def update_table(call: Call) -> Reply:
    with call.write() as db:
        table = addressed_table(call, db)
        catalog.change_table(db, table.pk, _options(call, table.permissions), now=call.now)
        return Reply(body=table_view(call, addressed_table(call, db)))


def delete_table(call: Call) -> Reply:
    with call.write() as db:
        catalog.remove_table(db, addressed_table(call, db).pk)
    return Reply(204)


def _options(call: Call, permissions: list[str]) -> JsonObject:
    """The settings a request gives a table; without permissions the present ones stay."""
    given = call.body.get("permissions")
    return {
        "name": call.text("name"),
        "permissions": permissions if given is None else expanded(given, TABLE_ACTIONS),
        "row_security": call.flag("rowSecurity", False),
        "enabled": call.flag("enabled", True),
    }


def _with_inline_parts(call: Call, db: Connection, table: Table) -> Table:
    """Columns and indexes given with the table are there at once."""
    for spec in _inline(call, "columns"):
        kind = INLINE_TYPES.get(str(spec.get("type")))
        if kind is None:
            raise ApiError("general_argument_invalid", "columns")
        column = declared_column(kind, spec, now=call.now, ready=True)
        catalog.add_column(db, table, column)
        table = replace(table, columns=(*table.columns, column))
    refuse_full(table.columns)
    for spec in _inline(call, "indexes"):
        catalog.add_index(db, table, declared_index(spec, table, now=call.now, names="attributes", ready=True))
    return catalog.find_table(db, table.database_id, table.id)


def _inline(call: Call, name: str) -> list[JsonObject]:
    given = call.body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(spec, dict) for spec in given):
        raise ApiError("general_argument_invalid", name)
    return given
