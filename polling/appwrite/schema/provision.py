"""The two tables in Appwrite: declared once, and made as declared. Only ever adds to them."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

from django.conf import settings

from polling.appwrite.api.client import Query, SyncClient, TablesDB
from polling.appwrite.api.errors import InvalidRequest, MissingResource
from polling.appwrite.schema import drift, webhook_subscription
from polling.appwrite.schema.steps import Step, made_by_anybody
from polling.appwrite.schema.tables import TABLES, Table
from polling.errors import Blocked, Unavailable

__all__ = ["TABLES", "apply", "check", "plan"]

SETTLES_WITHIN = 60.0
LOOKS_EVERY = 0.2


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


def check(client: SyncClient) -> list[str]:
    """What is wanting, and what is otherwise than declared, in words. Changes nothing."""
    provisioning = _Provisioning(client)
    return [*(step.words for step in provisioning.steps()), *provisioning.drift()]


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
        yield from webhook_subscription.steps(self._client)

    def drift(self) -> Iterator[str]:
        """What is there and otherwise than declared: a person must mend it."""
        for table_id, table in TABLES.items():
            found = (self._found(table_id, parts) for parts in ("columns", "indexes"))
            yield from drift.of_table(table_id, table, *found)

    def _parts(
        self, table_id: str, parts: str, wanted: Mapping[str, object], create: Callable[[str, str], None]
    ) -> Iterator[Step]:
        found = self._found(table_id, parts)
        for key, declared in wanted.items():
            if key not in found:
                yield Step(f"create in {table_id}.{parts} {key}: {declared}", partial(create, table_id, key))
            elif (status := found[key]["status"]) != "available":
                waits = f"wait for {table_id}.{parts} {key}, which is {status}"
                words = _hopeless(f"{table_id}.{parts} {key}", found[key]) or waits
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
            if words := _hopeless(f"{table_id}.{parts} {key}", part):
                raise Blocked(words)
        return list(unsettled)

    def _found(self, table_id: str, parts: str) -> dict[str, dict[str, Any]]:
        """The columns or indexes there are, by key; none where the table is not there either."""
        try:
            reply = self._client.call("get", f"{self._path(table_id)}/{parts}", params={"queries": [Query.limit(100)]})
        except MissingResource as error:
            _need_absence(error)
            return {}
        return {part["key"]: part for part in reply.get(parts, [])}

    def _exists(self, path: str) -> bool:
        try:
            self._client.call("get", path)
        except MissingResource as error:
            _need_absence(error)
            return False
        return True

    def _path(self, table_id: str) -> str:
        return f"/tablesdb/{self._database}/tables/{table_id}"

    # --- making ---------------------------------------------------------------------------------------------------

    def _create_database(self) -> None:
        with made_by_anybody():
            self._service.create(self._database, "racepoll")

    def _create_table(self, table_id: str, table: Table) -> None:
        with made_by_anybody():
            self._service.create_table(self._database, table_id, table.name)

    def _create_column(self, table_id: str, key: str) -> None:
        column = TABLES[table_id].columns[key]
        with made_by_anybody():
            self._creators[column.kind](self._database, table_id, key, required=False, **column.options)

    def _create_index(self, table_id: str, key: str) -> None:
        self.settle(table_id, "columns")
        on = list(TABLES[table_id].indexes[key].columns)
        with made_by_anybody():
            try:
                self._service.create_index(self._database, table_id, key, "key", on)
            except InvalidRequest as error:
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


def _hopeless(name: str, part: Mapping[str, Any]) -> str:
    """Why a part will never be available; empty where it may be."""
    if part["status"] not in ("failed", "stuck"):
        return ""
    why = part.get("error") or "Appwrite does not say why"
    return f"{name} {part['status']}: {why}; delete it in Appwrite and apply again"


def _need_absence(error: MissingResource) -> None:
    """Raises the error, unless all it says is that the thing has not been made yet."""
    if error.kind not in ("database_not_found", "table_not_found"):
        raise error
