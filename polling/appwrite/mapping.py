"""Races and poll logs as rows of Appwrite, and back: one spelling per value on both sides. Pure."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

Values = dict[str, Any]

NAMESPACE = uuid.UUID("6f3c9a52-5d0b-5c1e-9d7e-2b7f6f0f4a11")
CODES = ("thoroughbred", "harness", "greyhound")
UNREADABLE = "\ufffd cannot be read: "  # in front of the words that stand for a value which cannot be


class Kind(StrEnum):
    """How a value is spelt: see `canonical`."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DAY = "day"
    INSTANT = "instant"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """Where a column's value lies on our side, as a path of attributes. Of `among`, any other value is none."""

    kind: Kind
    source: str
    among: tuple[str, ...] = ()


RACE_FIELDS = {
    "provider": Field(Kind.TEXT, "provider"),
    "provider_race_id": Field(Kind.TEXT, "provider_race_id"),
    "meeting": Field(Kind.TEXT, "meeting.provider_meeting_id"),
    "track": Field(Kind.TEXT, "meeting.name"),
    "country": Field(Kind.TEXT, "meeting.country"),
    "code": Field(Kind.TEXT, "meeting.code", among=CODES),
    "racing_day": Field(Kind.DAY, "racing_day"),
    "race_number": Field(Kind.INTEGER, "number"),
    "name": Field(Kind.TEXT, "name"),
    "distance_m": Field(Kind.INTEGER, "distance_m"),
    "advertised_start": Field(Kind.INSTANT, "advertised_start"),
    "actual_start": Field(Kind.INSTANT, "actual_start"),
    "status": Field(Kind.TEXT, "status"),
    "outcome": Field(Kind.TEXT, "outcome"),
    "result_state": Field(Kind.TEXT, "result_state"),
    "result_version": Field(Kind.INTEGER, "result_version"),
    "provider_status": Field(Kind.TEXT, "provider_status"),
    "last_poll_time": Field(Kind.INSTANT, "last_poll_time"),
    "last_changed_at": Field(Kind.INSTANT, "last_changed_at"),
    "polling_paused": Field(Kind.BOOLEAN, "polling_paused"),
    "staff_note": Field(Kind.TEXT, "staff_note"),
    "poll_requested_at": Field(Kind.INSTANT, "poll_requested_at"),
    "sync_version": Field(Kind.INTEGER, "version"),
    "runners": Field(Kind.JSON, "runners"),
    "results": Field(Kind.JSON, "results"),
    "dividends": Field(Kind.JSON, "dividends"),
}
LOG_FIELDS = {
    "slot_at": Field(Kind.INSTANT, "slot_at"),
    "trigger": Field(Kind.TEXT, "trigger"),
    "state": Field(Kind.TEXT, "state"),
    "started_at": Field(Kind.INSTANT, "started_at"),
    "finished_at": Field(Kind.INSTANT, "finished_at"),
    "http_status": Field(Kind.INTEGER, "http_status"),
    "error_class": Field(Kind.TEXT, "error_class"),
    "message": Field(Kind.TEXT, "message"),
}
RUNNER_FIELDS = ("number", "letter", "name", "barrier", "jockey", "trainer", "scratched_at", "absent_since")
ODDS = ("fixed_win", "fixed_place", "tote_win", "tote_place")


@dataclass(frozen=True, slots=True)
class Remote:
    """A row of `races` as Appwrite told it, its values in canonical spelling.

    A value that cannot be read is words that say so: see `is_unreadable`.
    """

    row_id: str
    updated_at: str
    sequence: str
    values: Values

    def need_readable(self) -> None:
        """Raises ValueError naming the first field that cannot be read."""
        for name, value in self.values.items():
            if is_unreadable(value):
                raise ValueError(f"{name}: {value.removeprefix(UNREADABLE)}")


def race_row_id(race: Any) -> str:
    """The `$id` of a race's row: the same for the same race of a provider, also from a database made anew."""
    if race.provider_race_id:
        return _row_id("race", race.provider, race.provider_race_id)
    return _row_id("race", str(race.pk), instant(race.original_advertised_start) or "")


def _row_id(*key: str) -> str:
    return uuid.uuid5(NAMESPACE, json.dumps(key)).hex


def race_values(race: Any, runners: Iterable[Any]) -> Values:
    """A race as its row's values. `race` has its meeting or None; runners are given, as they are read apart."""
    return _values(RACE_FIELDS, race, {"runners": [_runner(runner) for runner in runners]})


def log_document(log: Any, *, race_row: str) -> Values:
    """A poll log as a whole row, with its `$id`."""
    return {"$id": log.public_id.hex, "race_id": race_row, **_values(LOG_FIELDS, log, {})}


def _values(fields: Mapping[str, Field], thing: Any, given: Values) -> Values:
    return {name: canonical(field, given.get(name, _lookup(thing, field.source))) for name, field in fields.items()}


def _lookup(thing: Any, path: str) -> Any:
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def _runner(runner: Any) -> Values:
    """What there is of a runner; odds as text with two places, as they are stored."""
    facts = {name: getattr(runner, name) for name in RUNNER_FIELDS}
    odds = {name: None if (price := getattr(runner, name)) is None else f"{price:.2f}" for name in ODDS}
    return {name: value for name, value in {**facts, **odds}.items() if value not in (None, "")}


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
    """A row as told by Appwrite; columns that are not ours are left out.

    Raises ValueError where it is no row at all. A field that cannot be read makes only that field unreadable.
    """
    values = {name: readable(field, row.get(name)) for name, field in RACE_FIELDS.items()}
    if is_unreadable(values["sync_version"]):
        values["sync_version"] = None  # versions are compared by their size
    updated_at = instant(row.get("$updatedAt"))
    if updated_at is None or not isinstance(row.get("$id"), str):
        raise ValueError("$id or $updatedAt is missing")
    return Remote(row["$id"], updated_at, str(row.get("$sequence") or ""), values)


# --- the canonical spelling of a value ------------------------------------------------------------------------------


def canonical(field: Field, value: Any) -> Any:
    """The one spelling of a value: null for empty text and lists, UTC milliseconds, JSON as sorted text.

    Raises ValueError for a value of the wrong type.
    """
    if field.among and value not in field.among:
        return None
    return SPELLINGS[field.kind](value)


def instant(value: Any) -> str | None:
    """An instant as Appwrite returns it: `2026-11-23T03:00:00.000+00:00`. Raises ValueError."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError(f"{_shown(value)} is no instant")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds")


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no text")
    value.encode()  # half of a surrogate pair raises UnicodeEncodeError, a ValueError
    if "\x00" in value:  # PostgreSQL cannot store it
        raise ValueError("the text has a NUL character")
    return value


def _day(value: Any) -> str | None:
    """`2026-11-28`; text that somebody wrote into such a column stays as it is, and is undone."""
    return _text(value.isoformat() if isinstance(value, date) else value)


def _integer(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{_shown(value)} is no whole number")
    return value


def _boolean(value: Any) -> bool:
    if value not in (None, True, False):
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return bool(value)


def _json(value: Any) -> str | None:
    """Lists of ours become text; what is text already came from Appwrite and stays as it is."""
    if not isinstance(value, list):
        return _text(value)
    return (
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain) if value else None
    )


def _plain(value: Any) -> str | None:
    return str(value) if isinstance(value, Decimal) else instant(value)


def _shown(value: Any) -> str:
    return repr(value)[:60]


SPELLINGS = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.DAY: _day,
    Kind.INSTANT: instant,
    Kind.JSON: _json,
}
