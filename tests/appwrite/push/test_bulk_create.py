"""New rows in bulk: what one call decides is kept, rows that exist are found, and invalid ones by halving."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Row, Rows
from polling.appwrite.push.bulk_create import create_rows
from polling.appwrite.schema.table_faults import TableRefusals, TableRefuses
from polling.errors import Conflict, PollingError, Unavailable


class Table:
    """A table that takes a batch or nothing of it: none with `invalid` rows, nor with rows that it has."""

    def __init__(self, *, invalid: Sequence[str] = (), has: Sequence[str] = (), down_after: int = 1000) -> None:
        self.rows: dict[str, Row] = {row_id: {"$id": row_id, "name": "theirs"} for row_id in has}
        self.invalid, self.down_after, self.calls = set(invalid), down_after, 0

    def create(self, documents: Sequence[Row]) -> list[Row]:
        self.calls += 1
        ids = [document["$id"] for document in documents]
        if self.calls > self.down_after:
            raise Unavailable("no answer")
        if self.invalid & set(ids):
            raise InvalidRequest("a value is invalid", 400)
        if self.rows.keys() & set(ids):
            raise Conflict("a row exists", 409)
        self.rows |= {row_id: {"$id": row_id} for row_id in ids}
        return [self.rows[row_id] for row_id in ids]

    def by_id(self, ids: Sequence[str]) -> dict[str, Row]:
        return {row_id: self.rows[row_id] for row_id in ids if row_id in self.rows}


class Refusals:
    """Finds one fault of the table, or none."""

    def __init__(self, fault: TableRefuses | None = None) -> None:
        self._fault = fault

    def find_fault(self) -> TableRefuses | None:
        return self._fault


def create(table: Table, count: int, fault: TableRefuses | None = None) -> dict[str, Any]:
    """What became of rows named by their numbers, and the error that ended it."""
    documents = {number: {"$id": str(number)} for number in range(count)}
    found: dict[str, Any] = {"created": [], "existed": [], "failed": [], "stopped": None}
    try:
        for part in create_rows(documents, cast(Rows, table), cast(TableRefusals, Refusals(fault))):
            for name in ("created", "existed", "failed"):
                found[name] += [number for number, _ in getattr(part, name)]
    except PollingError as error:
        found["stopped"] = type(error)
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("table", "fault", "found", "calls"),
    [
        pytest.param(Table(), None, {"created": [0, 1, 2, 3]}, 1, id="all are new"),
        pytest.param(Table(has="13"), None, {"existed": [1, 3], "created": [0, 2]}, 2, id="two exist"),
        pytest.param(Table(has="0123"), None, {"existed": [0, 1, 2, 3]}, 1, id="all exist"),
        pytest.param(Table(invalid="2"), None, {"created": [0, 1, 3], "failed": [2]}, 5, id="one is invalid"),
        pytest.param(Table(invalid="0123"), None, {"failed": [0, 1, 2, 3]}, 7, id="all are invalid"),
        pytest.param(
            Table(invalid="2", has="1"), None, {"existed": [1], "created": [0, 3], "failed": [2]}, 6, id="both"
        ),
        pytest.param(
            Table(invalid="0123"),
            TableRefuses("", every_row=True),
            {"failed": [0, 1, 2, 3]},
            1,
            id="the table refuses all",
        ),
        pytest.param(
            Table(invalid="2"), TableRefuses(""), {"created": [0, 1, 3], "failed": [2]}, 5, id="the table refuses some"
        ),
        pytest.param(Table(down_after=0), None, {"stopped": Unavailable}, 1, id="no answer"),
        pytest.param(
            Table(invalid="3", down_after=2),
            None,
            {"created": [0, 1], "stopped": Unavailable},
            3,
            id="no answer amid it",
        ),
    ],
)
def test_what_becomes_of_four_new_rows(
    table: Table, fault: TableRefuses | None, found: dict[str, Any], calls: int
) -> None:
    assert (create(table, 4, fault), table.calls) == (found, calls)


def test_no_rows_cost_no_call() -> None:
    table = Table()
    assert (create(table, 0), table.calls) == ({}, 0)
