"""The search for rows by checked queries."""
# ruff: noqa: S608 (values are bound; the fragments are made by filters.py from checked column keys)

import sqlite3
from collections.abc import Mapping
from typing import Any

from sandbox.appwrite.collation import fold
from sandbox.appwrite.columns import Column
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.filters import Sql, Translator, joined
from sandbox.appwrite.queries import Listing

HIGHEST_TOTAL = 5000
# An expression to sort by, and whether in descending order.
SortKey = tuple[str, bool]


class RowSearch:
    """The rows of one table that a list of queries asks for."""

    def __init__(self, db: sqlite3.Connection, table_pk: int, listing: Listing, columns: Mapping[str, Column]) -> None:
        self._db = db
        self._listing = listing
        self._translator = Translator(columns)
        filters = [self._translator.condition(wanted) for wanted in listing.filters]
        self._condition = joined([Sql("table_pk = ?", (table_pk,)), *filters], "AND")
        self._table_pk = table_pk

    def total(self) -> int:
        """How many rows pass the filters, counted up to 5,000; limit, offset and cursor do not matter."""
        text = f"SELECT count(*) FROM (SELECT 1 FROM rows WHERE {self._condition.text} LIMIT {HIGHEST_TOTAL})"
        return int(self._db.execute(text, self._condition.values).fetchone()[0])

    def rows(self, default_limit: int | None) -> list[sqlite3.Row]:
        keys = self._sort_keys()
        condition = self._condition
        if self._listing.cursor is not None:
            condition = joined([condition, _rows_behind(keys, self._cursor_values(keys, self._listing.cursor))], "AND")
        order = ", ".join(f"{expression} {'DESC' if descending else 'ASC'}" for expression, descending in keys)
        limit = self._listing.limit or default_limit or -1  # SQLite takes -1 for no limit
        text = f"SELECT * FROM rows WHERE {condition.text} ORDER BY {order} LIMIT ? OFFSET ?"
        return self._db.execute(text, (*condition.values, limit, self._listing.offset or 0)).fetchall()

    def _sort_keys(self) -> list[SortKey]:
        """Ties keep the order of creation, also in a descending order."""
        orders = self._listing.orders
        keys = [(self._translator.expression(order.attribute), order.descending) for order in orders]
        if not any(order.attribute in ("$id", "$sequence") for order in orders):
            keys.append(("sequence", False))
        return keys

    def _cursor_values(self, keys: list[SortKey], cursor: str) -> tuple[Any, ...]:
        """The present values of the cursor's row in the sort keys: a row changed in between moves the cursor."""
        expressions = ", ".join(expression for expression, _ in keys)
        text = f"SELECT {expressions} FROM rows WHERE table_pk = ? AND id_key = ?"
        place = self._db.execute(text, (self._table_pk, fold(cursor))).fetchone()
        if place is None:
            raise ApiError("general_cursor_not_found", cursor)
        if None in tuple(place):
            raise ApiError("database_query_order_null", self._listing.orders[tuple(place).index(None)].attribute)
        return tuple(place)


def _rows_behind(keys: list[SortKey], place: tuple[Any, ...]) -> Sql:
    """The rows behind a place: beyond it in the first key, or equal there and beyond it in the next."""
    steps = []
    for position, (expression, descending) in enumerate(keys):
        same = [Sql(f"{key} = ?", (value,)) for (key, _), value in zip(keys[:position], place, strict=False)]
        beyond = Sql(f"{expression} {'<' if descending else '>'} ?", (place[position],))
        steps.append(joined([*same, beyond], "AND"))
    return joined(steps, "OR")


def has_duplicates(db: sqlite3.Connection, table_pk: int, keys: tuple[str, ...], columns: Mapping[str, Column]) -> bool:
    """Whether two rows share their values in these columns; nulls are never shared."""
    expressions = [Translator(columns).expression(key) for key in keys]
    given = " AND ".join(f"{expression} IS NOT NULL" for expression in expressions)
    text = (
        f"SELECT 1 FROM rows WHERE table_pk = ? AND {given}"
        f" GROUP BY {', '.join(expressions)} HAVING count(*) > 1 LIMIT 1"
    )
    return db.execute(text, (table_pk,)).fetchone() is not None
