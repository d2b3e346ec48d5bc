"""Races and poll logs as rows of Appwrite, and back: one canonical form per value on both sides. Pure."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from races.status import RaceStatus

Values = dict[str, Any]

NAMESPACE = uuid.UUID("6f3c9a52-5d0b-5c1e-9d7e-2b7f6f0f4a11")
CODES = ("thoroughbred", "harness", "greyhound")
UNREADABLE = "\ufffd cannot be read: "  # in front of the words that stand for a value which cannot be
# Above 16,381 characters a text is kept off the row, whose limit is 65,535 bytes; a megabyte is beyond any race.
OFF_THE_ROW = 1_000_000


class Kind(StrEnum):
    """What a value is, and so its canonical form: see `canonical`. Of a CODE any value but its elements is none."""

    TEXT = "text"
    CODE = "code"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DAY = "day"
    INSTANT = "instant"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """A column in Appwrite: its kind, the path of attributes where our value lies, and how it is declared there.

    `size` is the length of a text; a column with `elements` is an enum of them.
    """

    kind: Kind
    source: str
    size: int = 0
    elements: tuple[str, ...] = ()


RACE_FIELDS = {
    "provider": Field(Kind.TEXT, "provider", size=40),
    "provider_race_id": Field(Kind.TEXT, "provider_race_id", size=80),
    "meeting": Field(Kind.TEXT, "meeting.provider_meeting_id", size=80),
    "track": Field(Kind.TEXT, "meeting.name", size=120),
    "country": Field(Kind.TEXT, "meeting.country", size=8),
    "code": Field(Kind.CODE, "meeting.code", elements=CODES),
    "racing_day": Field(Kind.DAY, "racing_day", size=10),
    "race_number": Field(Kind.INTEGER, "number"),
    "name": Field(Kind.TEXT, "name", size=200),
    "distance_m": Field(Kind.INTEGER, "distance_m"),
    "advertised_start": Field(Kind.INSTANT, "advertised_start"),
    "actual_start": Field(Kind.INSTANT, "actual_start"),
    "status": Field(Kind.TEXT, "status", elements=tuple(RaceStatus)),
    "outcome": Field(Kind.TEXT, "outcome", size=16),
    "result_state": Field(Kind.TEXT, "result_state", size=16),
    "result_version": Field(Kind.INTEGER, "result_version"),
    "provider_status": Field(Kind.TEXT, "provider_status", size=40),
    "last_poll_time": Field(Kind.INSTANT, "last_poll_time"),
    "last_changed_at": Field(Kind.INSTANT, "last_changed_at"),
    "polling_paused": Field(Kind.BOOLEAN, "polling_paused"),
    "staff_note": Field(Kind.TEXT, "staff_note", size=OFF_THE_ROW),
    "poll_requested_at": Field(Kind.INSTANT, "poll_requested_at"),
    "sync_version": Field(Kind.INTEGER, "version"),
    "runners": Field(Kind.JSON, "runners", size=OFF_THE_ROW),
    "results": Field(Kind.JSON, "results", size=OFF_THE_ROW),
    "dividends": Field(Kind.JSON, "dividends", size=OFF_THE_ROW),
}
LOG_FIELDS = {
    "race_id": Field(Kind.TEXT, "race_id", size=36),
    "slot_at": Field(Kind.INSTANT, "slot_at"),
    "trigger": Field(Kind.TEXT, "trigger", size=16),
    "state": Field(Kind.TEXT, "state", size=16),
    "started_at": Field(Kind.INSTANT, "started_at"),
    "finished_at": Field(Kind.INSTANT, "finished_at"),
    "http_status": Field(Kind.INTEGER, "http_status"),
    "error_class": Field(Kind.TEXT, "error_class", size=40),
    "message": Field(Kind.TEXT, "message", size=500),
}
RUNNER_FIELDS = ("number", "letter", "name", "barrier", "jockey", "trainer", "scratched_at", "absent_since")
ODDS = ("fixed_win", "fixed_place", "tote_win", "tote_place")


@dataclass(frozen=True, slots=True)
class Remote:
    """A row of `races` as Appwrite sent it, its values in canonical form.

    A value that cannot be read is words that say so: see `is_unreadable`. Columns that the row does not have at all are
    `absent`, and null.
    """

    row_id: str
    updated_at: str
    sequence: str
    values: Values
    absent: tuple[str, ...] = ()

    def filled(self, base: Mapping[str, Any]) -> "Remote":
        """The row with the base's values where the table lacks columns: nobody has emptied these."""
        return replace(self, values=self.values | {name: base[name] for name in self.absent}, absent=())

    def need_readable(self) -> None:
        """Raises ValueError naming the first field that cannot be read."""
        for name, value in self.values.items():
            if is_unreadable(value):
                raise ValueError(f"{name}: {value.removeprefix(UNREADABLE)}")


def race_row_id(race: Any) -> str:
    """The `$id` of a race's row: the same for the same race of a provider, also from a recreated database."""
    if race.provider_race_id:
        key = (race.provider, race.provider_race_id)
    else:
        key = (str(race.pk), instant(race.original_advertised_start) or "")
    return uuid.uuid5(NAMESPACE, json.dumps(["race", *key])).hex


def race_values(race: Any, runners: Iterable[Any]) -> Values:
    """A race as the values of its row, in canonical form.

    `race` has its meeting or None; runners are given, as they are read apart. Of a runner what there is of its facts
    and odds, these as text with two places, as they are stored. Raises ValueError for what Appwrite could not keep.
    """
    listed = []
    for runner in runners:
        facts = {name: getattr(runner, name) for name in RUNNER_FIELDS}
        odds = {name: None if (price := getattr(runner, name)) is None else f"{price:.2f}" for name in ODDS}
        listed.append({name: value for name, value in {**facts, **odds}.items() if value not in (None, "")})
    return _canonical_values(RACE_FIELDS, race, {"runners": listed})


def log_document(log: Any, *, race_row: str) -> Values:
    """A poll log as a whole row, with its `$id`."""
    return {"$id": log.public_id.hex, **_canonical_values(LOG_FIELDS, log, {"race_id": race_row})}


def _canonical_values(fields: Mapping[str, Field], record: Any, given: Values) -> Values:
    """The values of a record by its fields' paths, or as `given` by their names; none where a path leads nowhere."""

    values = {}
    for name, field in fields.items():
        value = given.get(name, record)
        for part in () if name in given else field.source.split("."):
            value = getattr(value, part, None)
        values[name] = canonical(field, value)
    return values


def complete(values: Mapping[str, Any]) -> Values:
    """Every field of a race; one that is missing is null, and polling that is not paused is just that."""
    return {name: readable(field, values.get(name)) for name, field in RACE_FIELDS.items()}


def is_unreadable(value: Any) -> bool:
    """Whether a value of a row stands for one that cannot be read; no race has it, so it differs from any."""
    return isinstance(value, str) and value.startswith(UNREADABLE)


def readable(field: Field, value: Any) -> Any:
    """The value in its canonical form, or words, of one line, that say why it has none."""
    if is_unreadable(value):
        return value
    try:
        return canonical(field, value)
    except ValueError as error:
        return UNREADABLE + str(error).encode(errors="backslashreplace").decode()


def read(row: Mapping[str, Any]) -> Remote:
    """A row as Appwrite sent it; columns that are not ours are left out.

    Raises ValueError where it is no row at all. A field that cannot be read makes only that field unreadable.
    """
    values = {name: readable(field, row.get(name)) for name, field in RACE_FIELDS.items()}
    if is_unreadable(values["sync_version"]):
        values["sync_version"] = None  # versions are compared by their size
    updated_at = instant(row.get("$updatedAt"))
    if updated_at is None or not isinstance(row.get("$id"), str):
        raise ValueError("$id or $updatedAt is missing")
    absent = tuple(name for name in RACE_FIELDS if name not in row)
    return Remote(row["$id"], updated_at, str(row.get("$sequence") or ""), values, absent)


# --- the canonical form of a value ----------------------------------------------------------------------------------


def canonical(field: Field, value: Any) -> Any:
    """The one form of a value on both sides: null for empty text and lists, UTC milliseconds, JSON as sorted text.

    Raises ValueError for a value of the wrong type.
    """
    match field.kind:
        case Kind.INSTANT:
            return instant(value)
        case Kind.CODE:
            return value if value in field.elements else None
        case Kind.BOOLEAN:
            if value not in (None, True, False):
                raise ValueError(f"{value!r:.60} is neither true nor false")
            return bool(value)
        case Kind.INTEGER:
            if isinstance(value, bool) or not isinstance(value, int | None):
                raise ValueError(f"{value!r:.60} is no whole number")
            return value
        case Kind.DAY if isinstance(value, date):
            return value.isoformat()
        case Kind.JSON if isinstance(value, list):  # of ours; what is text already came from Appwrite
            return _json_text(value) if value else None
        case _:  # also what somebody wrote into the column of a day: it is undone
            return _canonical_text(value)


def instant(value: Any) -> str | None:
    """An instant as Appwrite returns it: `2026-11-23T03:00:00.000+00:00`. Raises ValueError."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError(f"{value!r:.60} is no instant")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds")


def _canonical_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is no text")
    value.encode()  # half of a surrogate pair raises UnicodeEncodeError, a ValueError
    if "\x00" in value:  # PostgreSQL cannot store it
        raise ValueError("the text has a NUL character")
    return value


def _json_text(values: list[Any]) -> str:
    def as_text(value: Any) -> str | None:
        return str(value) if isinstance(value, Decimal) else instant(value)

    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=as_text)
