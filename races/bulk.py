"""Writes of many rows at once, without the CASE per field and row that Django's bulk_update builds."""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper


def write_fields(rows: Collection[models.Model], names: Iterable[str]) -> None:
    """Writes these fields of rows that are stored, each with its own values; makes no row that is not there.

    One statement on PostgreSQL, on SQLite one for every full parameter block. No signals, as with bulk_update.
    """
    names = sorted(names)
    if not rows or not names:
        return
    options = next(iter(rows))._meta
    fields = [options.pk, *map(options.get_field, names)]
    connection = connections[DEFAULT_DB_ALIAS]  # not its proxy, which costs more than the values that it prepares
    most = connection.features.max_query_params or len(rows) * len(fields)
    left = iter(rows)
    with connection.cursor() as cursor:
        while block := list(islice(left, most // len(fields))):
            statement = _statement(options.db_table, fields, len(block), connection)
            cursor.execute(statement, _values(block, fields, connection))


def _statement(table: str, fields: Sequence[Any], rows: int, connection: BaseDatabaseWrapper) -> str:
    """The first field is the key. Both databases name what VALUES tells column1, column2 and so on."""
    quote = connection.ops.quote_name
    key, *others = fields
    told = ", ".join(f"{quote(field.column)} = {_typed(n, field, connection)}" for n, field in enumerate(others, 2))
    row = f"({', '.join(['%s'] * len(fields))})"
    return (
        f"UPDATE {quote(table)} SET {told} FROM (VALUES {', '.join([row] * rows)}) AS told"  # noqa: S608 - our own models' names
        f" WHERE {quote(table)}.{quote(key.column)} = told.column1"
    )


def _typed(n: int, field: Any, connection: BaseDatabaseWrapper) -> str:
    """PostgreSQL takes a column of nulls or texts for text, so it is told the type; SQLite goes by the stored column.

    Without the length: a cast to varchar(40) would cut silently what assignment refuses.
    """
    if connection.vendor != "postgresql":
        return f"told.column{n}"
    return f"told.column{n}::{re.sub(r'[(].*?[)]', '', field.cast_db_type(connection))}"


def _values(rows: Iterable[models.Model], fields: Sequence[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    ways = [(field.attname, field.get_db_prep_save) for field in fields]
    return [prepare(getattr(row, name), connection) for row in rows for name, prepare in ways]
