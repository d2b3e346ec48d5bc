"""Writes of many rows at once, where Django's own ways cost more than the database does.

bulk_update builds a CASE for every field and row, bulk_create an expression for every value.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

Row = Sequence[Any]


def write_fields(rows: Collection[models.Model], names: Iterable[str]) -> None:
    """Writes these fields of rows that are stored, each with its own values; makes no row that is not there.

    One statement on PostgreSQL, on SQLite one for every full parameter block. No signals, as with bulk_update.
    """
    names = sorted(names)
    if not rows or not names:
        return
    options: Any = next(iter(rows))._meta
    key, *others = fields = _fields(options, [options.pk.name, *names])
    connection = _connection()
    quote = connection.ops.quote_name
    told = ", ".join(f"{quote(field.column)} = {_typed(n, field, connection)}" for n, field in enumerate(others, 2))
    table = quote(options.db_table)
    statement = f"UPDATE {table} SET {told} FROM (%s) AS told WHERE {table}.{quote(key.column)} = told.column1"  # noqa: S608 - our own models' names
    _execute(statement, fields, ([getattr(row, field.attname) for field in fields] for row in rows))


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Row]) -> None:
    """Inserts rows given as the values of these fields (of a relation: the key), whose own keys nobody asks for."""
    fields = _fields(model._meta, names)
    quote = _connection().ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    _execute(f"INSERT INTO {quote(model._meta.db_table)} ({columns}) %s", fields, rows)  # noqa: S608 - as above


def _fields(options: Any, names: Iterable[str]) -> list[Any]:
    return [options.get_field(name) for name in names]


def _connection() -> BaseDatabaseWrapper:
    """Not its proxy, which costs more than a value that it prepares."""
    return connections[DEFAULT_DB_ALIAS]


def _typed(n: int, field: Any, connection: BaseDatabaseWrapper) -> str:
    """A column of VALUES, which both databases name column1, column2 and so on.

    PostgreSQL takes one of nulls or texts for text, so it is told the type; without the length, since a cast to
    varchar(40) would cut silently what assignment refuses. SQLite goes by the type of the stored column.
    """
    if connection.vendor != "postgresql":
        return f"told.column{n}"
    return f"told.column{n}::{re.sub(r'[(].*?[)]', '', field.cast_db_type(connection))}"


def _execute(statement: str, fields: Sequence[Any], rows: Iterable[Row]) -> None:
    """Runs the statement with the VALUES of the rows in place of its %s, as often as the parameters' limit wants."""
    connection = _connection()
    place = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        for block in _blocks(rows, connection.features.max_query_params, len(fields)):
            values = f"VALUES {', '.join([place] * len(block))}"
            cursor.execute(statement % values, _prepared(block, fields, connection))


def _blocks(rows: Iterable[Row], most: int | None, width: int) -> Iterator[list[Row]]:
    left = iter(rows)
    while block := list(islice(left, most and most // width)):
        yield block


def _prepared(rows: Iterable[Row], fields: Sequence[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    prepares = [field.get_db_prep_save for field in fields]
    return [prepare(value, connection) for row in rows for prepare, value in zip(prepares, row, strict=True)]
