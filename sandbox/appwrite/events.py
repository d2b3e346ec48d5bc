"""The events of rows and the names under which webhooks subscribe to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from sandbox.appwrite.errors import JsonObject

TABLES = ("tables", "rows")
COLLECTIONS = ("collections", "documents")
# As the server checks them: it knows no `upsert` of rows, though such events come.
SUBSCRIPTION = re.compile(
    r"databases\.[^.]+(\.(create|update|delete)"
    r"|\.(tables|collections)\.[^.]+(\.(create|update|delete)"
    r"|\.(rows|documents|columns|attributes|indexes)\.[^.]+(\.(create|update|delete))?)?)?"
)


@dataclass(frozen=True)
class Event:
    """Something that happened to a row: its names, most telling first, and the row as it is sent."""

    names: Sequence[str]
    row_id: str
    payload: JsonObject


def can_subscribe(name: object) -> bool:
    return isinstance(name, str) and SUBSCRIPTION.fullmatch(name) is not None


def names(database: str, table: str, row: str, action: str, *, words: Sequence[tuple[str, str]]) -> list[str]:
    """22 names for one pair of words, 42 for both: a database has the same name in both."""
    found = [name for pair in words for name in _names(database, table, row, action, pair)]
    return list(dict.fromkeys(found))


def _names(database: str, table: str, row: str, action: str, words: tuple[str, str]) -> list[str]:
    tables, rows = words
    of_row = [
        f"databases.{d}.{tables}.{t}.{rows}.{r}" for d, t, r in product((database, "*"), (table, "*"), (row, "*"))
    ]
    of_table = [f"databases.{d}.{tables}.{t}" for d, t in product((database, "*"), (table, "*"))]
    of_database = [f"databases.{d}" for d in (database, "*")]
    return [*[f"{name}.{action}" for name in of_row], *of_row, *of_table, *of_database]
