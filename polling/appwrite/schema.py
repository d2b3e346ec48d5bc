"""The two tables in Appwrite: declared once, and made as declared. Only ever adds."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from django.conf import settings

from polling.appwrite.client import Query, SyncClient, TablesDB, translated
from polling.appwrite.mapping import CODES
from polling.appwrite.refusals import Missing, Refused
from polling.errors import Blocked, Conflict, Unavailable
from races.status import RaceStatus

# Above 16,381 characters a text is kept off the row, whose limit is 65,535 bytes; a megabyte is beyond any race.
OFF_THE_ROW = 1_000_000
SETTLES_WITHIN = 60.0
LOOKS_EVERY = 0.2


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


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is wanting, in words, and how to make it so."""

    words: str
    make: Callable[[], object]


def plan(client: SyncClient) -> list[str]:
    """What is wanting in Appwrite, in words; nothing where all is as declared. Changes nothing."""
    return [step.words for step in _Provisioning(client).steps()]


def apply(client: SyncClient) -> list[str]:
    """Makes what is wanting and waits until it can be used; returns what was done, in words. Idempotent."""
    provisioning, done = _Provisioning(client), []
    for step in provisioning.steps():
        step.make()
        done.append(step.words)
    for table_id, parts in product(TABLES, ("columns", "indexes")) if done else ():
        provisioning.settle(table_id, parts)
    return done


class _Provisioning:
    """Compares the declaration with the server, in the order in which things can be made."""

    def __init__(self, client: SyncClient) -> None:
        self._client, self._service = client, TablesDB(client)
        self._database = settings.APPWRITE_DATABASE_ID
        self._creators = {
            "string": self._service.create_string_column,
            "enum": self._service.create_enum_column,
            "integer": self._service.create_integer_column,
            "boolean": self._service.create_boolean_column,
            "datetime": self._service.create_datetime_column,
        }

    def steps(self) -> Iterator[Step]:
        """What is wanting; whoever makes a step does it before asking for the next."""
        if not self._exists(f"/tablesdb/{self._database}"):
            yield Step(f"create the database {self._database}", self._create_database)
        for table_id, table in TABLES.items():
            if not self._exists(self._path(table_id)):
                yield Step(f"create the table {table_id}", partial(self._create_table, table_id, table))
            yield from self._parts(table_id, "columns", table.columns, self._create_column)
            yield from self._parts(table_id, "indexes", table.indexes, self._create_index)

    def _parts(
        self, table_id: str, parts: str, wanted: Mapping[str, object], create: Callable[[str, str], None]
    ) -> Iterator[Step]:
        found = self._found(table_id, parts)
        for key, declared in wanted.items():
            if key not in found:
                yield Step(f"create in {table_id}.{parts} {key}: {declared}", partial(create, table_id, key))
            elif (status := found[key]["status"]) != "available":
                words = f"wait for {table_id}.{parts} {key}, which is {status}"
                yield Step(words, partial(self.settle, table_id, parts))

    def settle(self, table_id: str, parts: str) -> None:
        """Waits until our columns, or indexes, of a table are available: they are made in the background.

        By the list, because the reply of a single one may be stale. Raises Blocked for one that failed.
        """
        deadline = time.monotonic() + SETTLES_WITHIN
        while unsettled := self._unsettled(table_id, parts):
            if time.monotonic() > deadline:
                raise Unavailable(f"{table_id}.{parts} {', '.join(unsettled)} not available in {SETTLES_WITHIN:.0f} s")
            time.sleep(LOOKS_EVERY)

    def _unsettled(self, table_id: str, parts: str) -> list[str]:
        found, table = self._found(table_id, parts), TABLES[table_id]
        ours = table.columns if parts == "columns" else table.indexes
        unsettled = {key: part for key, part in found.items() if key in ours and part["status"] != "available"}
        for key, part in unsettled.items():
            if part["status"] == "failed":
                why = part.get("error") or "Appwrite does not say why"
                raise Blocked(f"{table_id}.{parts} {key} failed: {why}; delete it in Appwrite and apply again")
        return list(unsettled)

    def _found(self, table_id: str, parts: str) -> dict[str, dict[str, Any]]:
        """The columns or indexes there are, by key; none where the table is not there either."""
        try:
            reply = self._client.call("get", f"{self._path(table_id)}/{parts}", params={"queries": [Query.limit(100)]})
        except Missing as error:
            _need_absence(error)
            return {}
        return {part["key"]: part for part in reply.get(parts, [])}

    def _exists(self, path: str) -> bool:
        try:
            self._client.call("get", path)
        except Missing as error:
            _need_absence(error)
            return False
        return True

    def _path(self, table_id: str) -> str:
        return f"/tablesdb/{self._database}/tables/{table_id}"

    # --- making ---------------------------------------------------------------------------------------------------

    def _create_database(self) -> None:
        with _made_by_anybody():
            self._service.create(self._database, "racepoll")

    def _create_table(self, table_id: str, table: Table) -> None:
        with _made_by_anybody():
            self._service.create_table(self._database, table_id, table.name)

    def _create_column(self, table_id: str, key: str) -> None:
        column = TABLES[table_id].columns[key]
        with _made_by_anybody():
            self._creators[column.kind](self._database, table_id, key, required=False, **column.options)

    def _create_index(self, table_id: str, key: str) -> None:
        self.settle(table_id, "columns")
        on = list(TABLES[table_id].indexes[key].columns)
        with _made_by_anybody():
            try:
                self._service.create_index(self._database, table_id, key, "key", on)
            except Refused as error:
                if error.kind != "column_not_available":
                    raise
                self._touch(table_id)
                self._service.create_index(self._database, table_id, key, "key", on)

    def _touch(self, table_id: str) -> None:
        """Writes the table as it is: its cached copy may hold a column for unavailable until then."""
        table = self._client.call("get", self._path(table_id))
        self._service.update_table(
            self._database,
            table_id,
            table["name"],
            permissions=table["$permissions"],
            row_security=table["rowSecurity"],
            enabled=table["enabled"],
        )


def _need_absence(error: Missing) -> None:
    """Raises the error, unless all it says is that the thing has not been made yet."""
    if error.kind not in ("database_not_found", "table_not_found"):
        raise error


@contextmanager
def _made_by_anybody() -> Iterator[None]:
    """Somebody else may make the same at the same time. The SDK warns of text columns, which 1.8 has no others of."""
    with suppress(Conflict), translated(), warnings.catch_warnings(record=True):
        yield
