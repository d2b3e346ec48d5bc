"""The columns of a table and their kinds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import JsonObject

# In characters: MariaDB counts four bytes for each of the 65,535 bytes of a row.
LARGEST_VARCHAR = 16381
# Longer text and lists leave only a pointer in the row.
OFF_ROW_BYTES = 20


@dataclass(frozen=True)
class Kind:
    """A column route: the type that its columns report, and which fields beside the common ones.

    `bytes` is what a column takes of the row, where its size does not decide.
    """

    type: str
    fields: tuple[str, ...] = ()
    format: str = ""
    bytes: int = 0
    size: int = 0


KINDS = {
    "string": Kind("string", ("size", "encrypt")),
    "enum": Kind("string", ("elements", "format"), "enum", size=255),
    "integer": Kind("integer", ("min", "max"), bytes=8),
    "float": Kind("double", ("min", "max"), bytes=8),
    "boolean": Kind("boolean", bytes=1),
    "datetime": Kind("datetime", ("format",), bytes=19),
}


@dataclass(frozen=True)
class Column:
    """One column. `default`, `minimum` and `maximum` are as declared, not canonical."""

    key: str
    kind: str
    required: bool
    array: bool
    default: Any
    size: int
    minimum: float
    maximum: float
    elements: tuple[str, ...]
    encrypt: bool
    created_at: str
    available_at: str

    @classmethod
    def stored(cls, spec: JsonObject) -> Self:
        return cls(**{**spec, "elements": tuple(spec["elements"])})

    @property
    def is_text(self) -> bool:
        return KINDS[self.kind].type == "string"

    @property
    def bytes(self) -> int:
        """What the column takes of the row's 65,535 bytes; long text and lists are kept off the row."""
        if self.array or (self.is_text and self.size > LARGEST_VARCHAR):
            return OFF_ROW_BYTES
        if not self.is_text:
            return KINDS[self.kind].bytes
        # A VARCHAR begins with its length, in one byte or two.
        return self.size * 4 + (2 if self.size > 255 else 1)

    def available(self, now: datetime) -> bool:
        return self.available_at <= canonical(now)
