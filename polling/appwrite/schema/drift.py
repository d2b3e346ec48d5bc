"""What differs in Appwrite from the declaration, in words. Pure; correcting it is left to people."""

from collections.abc import Iterator, Mapping
from typing import Any

from polling.appwrite.schema.tables import Column, Index, Table

Found = Mapping[str, Mapping[str, Any]]


def of_table(name: str, table: Table, columns: Found, indexes: Found) -> list[str]:
    """The differences of columns and indexes, given by key as the server lists them; a missing one is no drift."""
    of_columns = [(f"columns {key}", _drift_of_column(table.columns.get(key), found)) for key, found in columns.items()]
    of_indexes = [(f"indexes {key}", _drift_of_index(table.indexes.get(key), found)) for key, found in indexes.items()]
    return [f"{name}.{part} {words}" for part, drift in of_columns + of_indexes for words in drift]


def refusals_of(name: str, table: Table, columns: Found) -> list[str]:
    """The differences that make a table refuse rows which are as declared; a default, or more room, does not."""
    words = []
    for key, found in columns.items():
        declared = table.columns.get(key)
        harmless = declared is not None and (found.get("size") or 0) > declared.size > 0
        found = {**found, "default": None, **({"size": declared.size} if declared and harmless else {})}
        words += [f"{name}.columns {key} {words}" for words in _drift_of_column(declared, found)]
    return words


def must_be_given(table: Table, columns: Found) -> bool:
    """Whether a column that we know nothing of is required: then every row is refused."""
    return any(found.get("required") for key, found in columns.items() if key not in table.columns)


def _drift_of_column(declared: Column | None, found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("required"):
        yield "is required: rows without it are refused"
    if declared is None:
        return
    kind = "enum" if found.get("format") == "enum" else found.get("type")
    if kind != declared.kind:
        yield f"is of the type {kind}, not {declared.kind}"
    elif declared.size and found.get("size") != declared.size:
        yield f"has the size {found.get('size')}, not {declared.size}"
    elif lacking := [element for element in declared.elements if element not in (found.get("elements") or [])]:
        yield f"lacks the elements {', '.join(lacking)}"
    if found.get("array"):
        yield "is an array"
    if found.get("default") is not None:
        yield "has a default: it could not be emptied"


def _drift_of_index(declared: Index | None, found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("type") == "unique":
        yield "is unique: rows of ours could be refused"
    elif declared and list(declared.columns) != (columns := found.get("columns", list(declared.columns))):
        yield f"is on {', '.join(columns)}, not {declared}"
