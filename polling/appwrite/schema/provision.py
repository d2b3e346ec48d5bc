"""The two tables in Appwrite: declared once, and created as declared. Only ever adds to them."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

from django.conf import settings

from polling.appwrite.api.client import Query, SyncClient, TablesDB
from polling.appwrite.api.errors import InvalidRequest, MissingResource
from polling.appwrite.schema import drift, webhook_subscription
from polling.appwrite.schema.steps import Step
from polling.appwrite.schema.tables import TABLES
from polling.errors import Blocked, Unavailable

__all__ = ["TABLES", "apply", "check", "plan"]

AVAILABLE_WITHIN = 60.0
LOOKS_EVERY = 0.2


def plan(client: SyncClient) -> list[str]:
    """What is missing in Appwrite, in words; nothing where all is as declared. Changes nothing. Raises PollingError."""
    return [step.words for step in _Provisioning(client).steps()]


def apply(client: SyncClient) -> list[str]:
    """Creates what is missing and waits until it can be used; returns what was done, in words. Idempotent.

    Raises PollingError: Blocked where a column or index has failed for good, Unavailable where it takes too long.
    """
    provisioning, done = _Provisioning(client), []
    for step in provisioning.steps():
        step.carry_out()
        done.append(step.words)
    for table_id, parts in product(TABLES, ("columns", "indexes")) if done else ():
        provisioning.wait_until_available(table_id, parts)
    return done


def check(client: SyncClient) -> list[str]:
    """What is missing, and what differs from the declaration, in words. Changes nothing. Raises PollingError."""
    provisioning = _Provisioning(client)
    return [*(step.words for step in provisioning.steps()), *provisioning.drift()]


class _Provisioning:
    """Compares the declaration with the server, in the order in which things can be created."""

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
        """What is missing; whoever carries out a step does it before asking for the next."""
        if not self._exists(f"/tablesdb/{self._database}"):
            create = partial(self._service.create, self._database, "racepoll")
            yield Step(f"create the database {self._database}", create)
        for table_id, table in TABLES.items():
            if not self._exists(self._table_path(table_id)):
                create = partial(self._service.create_table, self._database, table_id, table.name)
                yield Step(f"create the table {table_id}", create)
            yield from self._missing_parts(table_id, "columns", table.columns, self._create_column)
            yield from self._missing_parts(table_id, "indexes", table.indexes, self._create_index)
        yield from webhook_subscription.steps(self._client)

    def drift(self) -> Iterator[str]:
        """What is there and differs from the declaration: staff must correct it."""
        for table_id, table in TABLES.items():
            found = (self._parts_of(table_id, parts) for parts in ("columns", "indexes"))
            yield from drift.of_table(table_id, table, *found)

    def wait_until_available(self, table_id: str, parts: str) -> None:
        """Waits until our columns, or indexes, of a table are available: they are created in the background.

        By the list, because the reply of a single one may be stale. Raises Blocked for one that failed.
        """
        ours = TABLES[table_id].columns if parts == "columns" else TABLES[table_id].indexes
        deadline = time.monotonic() + AVAILABLE_WITHIN
        while True:
            found = self._parts_of(table_id, parts)
            waiting = {key: found[key] for key in ours if key in found and found[key]["status"] != "available"}
            for key, part in waiting.items():
                if words := _words_of_failure(f"{table_id}.{parts} {key}", part):
                    raise Blocked(words)
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"{table_id}.{parts} {', '.join(waiting)} not available in {AVAILABLE_WITHIN:.0f} s")
            time.sleep(LOOKS_EVERY)

    def _missing_parts(
        self, table_id: str, parts: str, declared: Mapping[str, object], create: Callable[[str, str], object]
    ) -> Iterator[Step]:
        found = self._parts_of(table_id, parts)
        for key, part in declared.items():
            name = f"{table_id}.{parts} {key}"
            if key not in found:
                yield Step(f"create in {name}: {part}", partial(create, table_id, key))
            elif (status := found[key]["status"]) != "available":
                words = _words_of_failure(name, found[key]) or f"wait for {name}, which is {status}"
                yield Step(words, partial(self.wait_until_available, table_id, parts))

    def _parts_of(self, table_id: str, parts: str) -> dict[str, dict[str, Any]]:
        """The columns or indexes there are, by key; none where the table is not there either."""
        reply = self._read_if_there(f"{self._table_path(table_id)}/{parts}", params={"queries": [Query.limit(100)]})
        return {part["key"]: part for part in (reply or {}).get(parts, [])}

    def _exists(self, path: str) -> bool:
        return self._read_if_there(path) is not None

    def _read_if_there(self, path: str, **request: Any) -> dict[str, Any] | None:
        try:
            return self._client.call("get", path, **request)
        except MissingResource as error:
            if error.kind not in ("database_not_found", "table_not_found"):
                raise  # it says something else than that nobody has created it yet
            return None

    def _table_path(self, table_id: str) -> str:
        return f"/tablesdb/{self._database}/tables/{table_id}"

    def _create_column(self, table_id: str, key: str) -> None:
        column = TABLES[table_id].columns[key]
        self._creators[column.kind](self._database, table_id, key, required=False, **column.options)

    def _create_index(self, table_id: str, key: str) -> None:
        self.wait_until_available(table_id, "columns")
        on = list(TABLES[table_id].indexes[key].columns)
        try:
            self._service.create_index(self._database, table_id, key, "key", on)
        except InvalidRequest as error:
            if error.kind != "column_not_available":
                raise
            self._rewrite_table(table_id)
            self._service.create_index(self._database, table_id, key, "key", on)

    def _rewrite_table(self, table_id: str) -> None:
        """Writes the table as it is: its cached copy may hold a column for unavailable until then."""
        table = self._client.call("get", self._table_path(table_id))
        self._service.update_table(
            self._database,
            table_id,
            table["name"],
            permissions=table["$permissions"],
            row_security=table["rowSecurity"],
            enabled=table["enabled"],
        )


def _words_of_failure(name: str, part: Mapping[str, Any]) -> str:
    """Why a part will never be available; empty where it may be."""
    if part["status"] not in ("failed", "stuck"):
        return ""
    why = part.get("error") or "Appwrite does not say why"
    return f"{name} {part['status']}: {why}; delete it in Appwrite and apply again"
