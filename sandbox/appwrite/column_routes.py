"""Columns and indexes over HTTP."""

from collections.abc import Callable
from dataclasses import replace

from sandbox.appwrite import catalog
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.declarations import declared_column, declared_index, refuse_full
from sandbox.appwrite.request_parts import find_table
from sandbox.appwrite.row_search import has_duplicates
from sandbox.appwrite.views import column_view, index_view, page


def list_columns(call: Call) -> Reply:
    with call.store.read() as db:
        table = find_table(call, db)
    return page(call, "columns", table.columns, lambda column: column_view(column, call.now))


def column_creator(kind: str) -> Callable[[Call], Reply]:
    """The handler of one column route."""

    def create_column(call: Call) -> Reply:
        column = declared_column(kind, call.body, now=call.now)
        with call.write() as db:
            table = find_table(call, db)
            # A known key is refused before a full row is; the transaction takes the column back.
            catalog.add_column(db, table, column)
            refuse_full((*table.columns, column))
        return Reply(202, column_view(column, call.now))

    return create_column


def get_column(call: Call) -> Reply:
    with call.store.read() as db:
        column = catalog.find_column(find_table(call, db), call.path["key"])
    return Reply(body=column_view(column, call.now))


def delete_column(call: Call) -> Reply:
    with call.write() as db:
        table = find_table(call, db)
        catalog.remove_column(db, table, catalog.find_column(table, call.path["key"]).key)
    return Reply(204)


def list_indexes(call: Call) -> Reply:
    with call.store.read() as db:
        table = find_table(call, db)
    return page(call, "indexes", table.indexes, lambda index: index_view(index, table, call.now))


def create_index(call: Call) -> Reply:
    with call.write() as db:
        table = find_table(call, db)
        index = declared_index(call.body, table, now=call.now)
        if index.enforced and has_duplicates(db, table.pk, index.columns, table.usable_columns(call.now)):
            error = "" if call.dialect.hides_failed_index else "Document already exists"
            index = replace(index, enforced=False, error=error)
        catalog.add_index(db, table, index)
    return Reply(202, index_view(index, table, call.now))


def get_index(call: Call) -> Reply:
    with call.store.read() as db:
        table = find_table(call, db)
    return Reply(body=index_view(catalog.find_index(table, call.path["key"]), table, call.now))
