"""The events of rows and the names under which webhooks subscribe to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from sandbox.appwrite.errors import JsonObject

# As the server checks them: it knows no `upsert` of rows, though such events come.
SUBSCRIPTION = re.compile(
    r"databases\.[^.]+(\.(create|update|delete)"
    r"|\.(tables|collections)\.[^.]+(\.(create|update|delete)"
    r"|\.(rows|documents|columns|attributes|indexes)\.[^.]+(\.(create|update|delete))?)?)?"
)


@dataclass(frozen=True)
class Event:
    """A write of a row: its names, most specific first, and the row as it is sent."""

    names: Sequence[str]
    row_id: str
    payload: JsonObject


def can_subscribe(name: object) -> bool:
    return isinstance(name, str) and SUBSCRIPTION.fullmatch(name) is not None


def event_names(database: str, table: str, row: str, action: str) -> list[str]:
    """The 42 names of a write: 1.9 names each row also as a document of a collection."""
    names: list[str] = []
    for tables, rows in (("tables", "rows"), ("collections", "documents")):
        of_table = [f"databases.{d}.{tables}.{t}" for d, t in product((database, "*"), (table, "*"))]
        of_row = [f"{name}.{rows}.{r}" for name, r in product(of_table, (row, "*"))]
        of_database = [f"databases.{d}" for d in (database, "*")]
        names += [*[f"{name}.{action}" for name in of_row], *of_row, *of_table, *of_database]
    return list(dict.fromkeys(names))
