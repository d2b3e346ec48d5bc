"""The two tables in Appwrite as they are declared."""

from dataclasses import dataclass
from typing import Any

from polling.appwrite.mapping import CODES
from races.status import RaceStatus

# Above 16,381 characters a text is kept off the row, whose limit is 65,535 bytes; a megabyte is beyond any race.
OFF_THE_ROW = 1_000_000


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


def _text(size: int) -> Column:
    return Column("string", size=size)


def _choice(*elements: str) -> Column:
    return Column("enum", elements=elements)


INTEGER, BOOLEAN, INSTANT = Column("integer"), Column("boolean"), Column("datetime")
TABLES = {
    "races": Table(
        "Races",
        {
            "provider": _text(40),
            "provider_race_id": _text(80),
            "meeting": _text(80),
            "track": _text(120),
            "country": _text(8),
            "code": _choice(*CODES),
            "racing_day": _text(10),
            "race_number": INTEGER,
            "name": _text(200),
            "distance_m": INTEGER,
            "advertised_start": INSTANT,
            "actual_start": INSTANT,
            "status": _choice(*RaceStatus),
            "outcome": _text(16),
            "result_state": _text(16),
            "result_version": INTEGER,
            "provider_status": _text(40),
            "last_poll_time": INSTANT,
            "last_changed_at": INSTANT,
            "polling_paused": BOOLEAN,
            "staff_note": _text(OFF_THE_ROW),
            "poll_requested_at": INSTANT,
            "sync_version": INTEGER,
            "runners": _text(OFF_THE_ROW),
            "results": _text(OFF_THE_ROW),
            "dividends": _text(OFF_THE_ROW),
        },
        {"by_change": Index(("$updatedAt",))},
    ),
    "poll_logs": Table(
        "Poll logs",
        {
            "race_id": _text(36),
            "slot_at": INSTANT,
            "trigger": _text(16),
            "state": _text(16),
            "started_at": INSTANT,
            "finished_at": INSTANT,
            "http_status": INTEGER,
            "error_class": _text(40),
            "message": _text(500),
        },
        {},
    ),
}
