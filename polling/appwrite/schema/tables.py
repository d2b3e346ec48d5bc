"""The two tables in Appwrite as they are declared, their columns by the fields of `mapping`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polling.appwrite.api.capabilities import TEXT_COLUMN
from polling.appwrite.mapping import LOG_FIELDS, RACE_FIELDS, Field, Kind


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a text by its `size`, a choice by its `elements`, or another kind. None is required or unique:
    a row made by hand must be patchable, and an upsert into a unique index overwrites other rows."""

    kind: str
    size: int = 0
    elements: tuple[str, ...] = ()

    def __str__(self) -> str:
        detail = str(self.size) if self.size else ", ".join(self.elements)
        return f"{self.kind} ({detail})" if detail else self.kind

    @property
    def options(self) -> dict[str, Any]:
        """What its kind is made with, beside the key."""
        return {name: value for name, value in (("size", self.size), ("elements", list(self.elements))) if value}


@dataclass(frozen=True, slots=True)
class Index:
    """An index on columns, never a unique one."""

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"on {', '.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table's columns and indexes by key."""

    name: str
    columns: dict[str, Column]
    indexes: dict[str, Index]


KINDS = {
    Kind.TEXT: TEXT_COLUMN,
    Kind.CODE: "enum",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.DAY: TEXT_COLUMN,
    Kind.INSTANT: "datetime",
    Kind.JSON: TEXT_COLUMN,
}


def _columns_of(fields: Mapping[str, Field]) -> dict[str, Column]:
    return {
        key: Column("enum" if field.elements else KINDS[field.kind], field.size, field.elements)
        for key, field in fields.items()
    }


TABLES = {
    "races": Table("Races", _columns_of(RACE_FIELDS), {"by_change": Index(("$updatedAt",))}),
    "poll_logs": Table("Poll logs", _columns_of(LOG_FIELDS), {}),
}
