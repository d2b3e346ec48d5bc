"""What differs in Appwrite from the declaration is named, and only what does harm."""

from typing import Any

import pytest

from polling.appwrite.schema import provision as schema
from tests.appwrite.schema.test_provision import fresh
from tests.sandbox.appwrite_api import Client, wait_until

OTHERWISE: list[Any] = [
    pytest.param("provider", "integer", {}, "is of the type integer, not string", id="another type"),
    pytest.param("status", "string", {"size": 20}, "is of the type string, not enum", id="a text for a choice"),
    pytest.param("name", "string", {"size": 50}, "has the size 50, not 200", id="another size"),
    pytest.param("code", "enum", {"elements": ["harness"]}, "lacks the elements thoroughbred", id="an enum"),
    pytest.param("track", "string", {"size": 120, "required": True}, "is required: rows without", id="required"),
    pytest.param("distance_m", "integer", {"array": True}, "is an array", id="an array"),
    pytest.param("outcome", "string", {"size": 16, "default": "x"}, "has a default: it could not be", id="a default"),
]


@pytest.fixture(scope="module")
def drifted(stand_in: Client) -> Client:
    """A database whose columns were made otherwise, beside some that are more than was declared."""
    path = "/tablesdb/made-otherwise/tables/races"
    for route, body in (
        ("/tablesdb", {"databaseId": "made-otherwise"}),
        ("/tablesdb/made-otherwise/tables", {"tableId": "races"}),
    ):
        stand_in.call("POST", route, {**body, "name": "x"})
    for key, kind, options, _ in (case.values for case in OTHERWISE):
        made = stand_in.call("POST", f"{path}/columns/{kind}", {"key": key, "required": False, **options})
        assert made.status_code == 202, made.text
    more = {"key": "result_state", "size": 16, "required": False}
    stand_in.call("POST", f"{path}/columns/string", more)
    stand_in.call("POST", f"{path}/columns/enum", {"key": "theirs", "elements": ["a"], "required": True})
    wait_until(lambda: '"processing"' not in stand_in.call("GET", f"{path}/columns").text)
    for key, kind, column in (("mine", "unique", "provider"), ("ours", "key", "provider"), ("by_change", "key", "$id")):
        made = stand_in.call("POST", f"{path}/indexes", {"key": key, "type": kind, "columns": [column]})
        assert made.status_code == 202, made.text
    return stand_in


@pytest.mark.parametrize(("key", "kind", "options", "words"), OTHERWISE)
def test_a_column_that_is_otherwise_than_declared_is_drift(
    drifted: Client, settings: Any, key: str, kind: str, options: dict[str, Any], words: str
) -> None:
    client = fresh(drifted, settings, "made-otherwise")
    [line] = [each for each in schema.check(client) if each.startswith(f"races.columns {key} ")]
    assert line.startswith(f"races.columns {key} {words}")


def test_what_others_added_is_drift_only_where_it_refuses_rows_of_ours(drifted: Client, settings: Any) -> None:
    lines = schema.check(fresh(drifted, settings, "made-otherwise"))
    assert [line for line in lines if line.startswith(("races.indexes", "races.columns theirs"))] == [
        "races.columns theirs is required: rows without it are refused",
        "races.indexes mine is unique: rows of ours could be refused",
        "races.indexes by_change is on $id, not on $updatedAt",
    ]
    assert "create in races.columns meeting: string (80)" in lines
    assert not [line for line in lines if line.startswith("races.columns result_state")]
