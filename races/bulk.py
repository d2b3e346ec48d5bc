"""Writes many rows at once, where Django's own ways cost more than the database does.

`bulk_update` builds a CASE per field and row, `bulk_create` an expression per value.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

RowValues = Sequence[Any]


def write_fields(rows: Collection[models.Model], names: Iterable[str]) -> None:
    """Writes these fields of stored rows, each row with its own values; inserts no row that is missing.

    Takes one statement on PostgreSQL, on SQLite one per full parameter block. Sends no signals, as `bulk_update`.
    """
    names = sorted(names)
    if not rows or not names:
        return
    options: Any = next(iter(rows))._meta
    key, *others = fields = [options.get_field(name) for name in (options.pk.name, *names)]
    connection = _raw_connection()
    quote = connection.ops.quote_name
    assignments = ", ".join(
        f"{quote(field.column)} = {_typed_value(n, field, connection)}" for n, field in enumerate(others, 2)
    )
    table = quote(options.db_table)
    match = f"{table}.{quote(key.column)} = new_values.column1"
    statement = f"UPDATE {table} SET {assignments} FROM (%s) AS new_values WHERE {match}"  # noqa: S608 - our own models' names
    _execute_blocks(statement, fields, ([getattr(row, field.attname) for field in fields] for row in rows))


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[RowValues]) -> None:
    """Inserts rows given as the values of these fields; of a relation the value is its key. Returns no keys."""
    options: Any = model._meta
    fields = [options.get_field(name) for name in names]
    quote = _raw_connection().ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    _execute_blocks(f"INSERT INTO {quote(options.db_table)} ({columns}) %s", fields, rows)  # noqa: S608 - as above


def _raw_connection() -> BaseDatabaseWrapper:
    """The connection without its proxy, which costs more per value than preparing the value does."""
    return connections[DEFAULT_DB_ALIAS]


def _typed_value(n: int, field: Any, connection: BaseDatabaseWrapper) -> str:
    """The n-th column of VALUES, which both databases name column1, column2 and so on, with the field's type.

    PostgreSQL takes a column of nulls or texts for text, so it needs a cast; without the length, since a cast to
    varchar(40) would cut silently what assignment refuses. SQLite goes by the type of the stored column.
    """
    if connection.vendor != "postgresql":
        return f"new_values.column{n}"
    return f"new_values.column{n}::{re.sub(r'[(].*?[)]', '', field.cast_db_type(connection))}"


def _execute_blocks(statement: str, fields: Sequence[Any], rows: Iterable[RowValues]) -> None:
    """Runs the statement with the rows' VALUES in place of its %s, once per block that the parameter limit allows."""
    connection = _raw_connection()
    prepares = [field.get_db_prep_save for field in fields]
    row_placeholder = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        for block in _row_blocks(rows, connection.features.max_query_params, len(fields)):
            parameters = [
                prepare(value, connection) for row in block for prepare, value in zip(prepares, row, strict=True)
            ]
            values = f"VALUES {', '.join([row_placeholder] * len(block))}"
            cursor.execute(statement % values, parameters)


def _row_blocks(rows: Iterable[RowValues], max_parameters: int | None, width: int) -> Iterator[list[RowValues]]:
    remaining = iter(rows)
    while block := list(islice(remaining, max_parameters and max_parameters // width)):
        yield block
