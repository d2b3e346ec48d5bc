"""Provisioning against the stand-in, and what differs between the imitated versions."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
import requests

from tests.sandbox.appwrite_api import ROWS, TABLE, Client, query, running, wait_until


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    with ExitStack() as stack:
        started = {}
        for version in ("1.9.6", "1.8.1"):
            started[version] = stack.enter_context(running(tmp_path_factory.mktemp("appwrite"), version))
            started[version].provision()
        yield started


@pytest.fixture
def newer(servers: dict[str, Client]) -> Client:
    servers["1.9.6"].empty()
    return servers["1.9.6"]


@pytest.fixture
def older(servers: dict[str, Client]) -> Client:
    servers["1.8.1"].empty()
    return servers["1.8.1"]


def new_table(client: Client, name: str, **options: object) -> str:
    made = client.call("POST", "/tablesdb/main/tables", {"tableId": name, "name": name, **options})
    assert made.status_code == 201, made.text
    return f"/tablesdb/main/tables/{name}"


def add_index(client: Client, table: str, **options: object) -> requests.Response:
    made = client.call("POST", f"{table}/indexes", options)
    wait_until(lambda: client.call("GET", f"{table}/indexes").json()["indexes"][-1]["status"] != "processing")
    return made


def test_provisioning_twice_changes_nothing(newer: Client) -> None:
    before = newer.call("GET", TABLE).json()
    again = newer.call("POST", "/tablesdb/main/tables", {"tableId": "races", "name": "Other"})
    column = newer.call("POST", f"{TABLE}/columns/string", {"key": "Name", "size": 9, "required": False})
    assert (again.status_code, again.json()["type"]) == (409, "table_already_exists")
    assert (column.status_code, column.json()["type"]) == (409, "column_already_exists")
    assert newer.call("GET", TABLE).json() == before


def test_a_column_list_shows_25_unless_a_limit_is_given(newer: Client) -> None:
    columns = [{"key": f"c{n}", "type": "boolean"} for n in range(30)]
    path = f"{new_table(newer, 'wide', columns=columns)}/columns"
    short = newer.call("GET", path).json()
    whole = newer.call("GET", path, params={"queries[]": query("limit", values=[100])}).json()
    assert (short["total"], len(short["columns"]), len(whole["columns"])) == (30, 25, 30)


def test_columns_that_overfill_a_row_are_refused(newer: Client) -> None:
    table = new_table(newer, "heavy")
    for key, expected in (("a", 202), ("b", 400)):
        made = newer.call("POST", f"{table}/columns/string", {"key": key, "size": 9000, "required": False})
        assert made.status_code == expected
    assert made.json()["type"] == "column_limit_exceeded"
    off_row = {"key": "payload", "size": 20000, "required": False}
    assert newer.call("POST", f"{table}/columns/string", off_row).status_code == 202


def test_a_deleted_column_leaves_rows_and_indexes(newer: Client) -> None:
    columns = [{"key": key, "type": "string", "size": 9} for key in ("kept", "dropped")]
    table = new_table(newer, "shrinking", columns=columns)
    add_index(newer, table, key="both", type="key", columns=["kept", "dropped"])
    newer.call("POST", f"{table}/rows", {"rowId": "a", "data": {"kept": "1", "dropped": "2"}})
    assert newer.call("DELETE", f"{table}/columns/dropped").status_code == 204
    assert "dropped" not in newer.call("GET", f"{table}/rows/a").json()
    assert newer.call("GET", f"{table}/indexes/both").json()["columns"] == ["kept"]
    newer.call("POST", f"{table}/columns/string", {"key": "dropped", "size": 9, "required": False})
    wait_until(lambda: newer.call("GET", f"{table}/columns/dropped").json()["status"] == "available")
    assert newer.call("GET", f"{table}/rows/a").json()["dropped"] is None


def test_a_unique_index_over_duplicates_is_hidden_by_1_9_and_failed_in_1_8(newer: Client, older: Client) -> None:
    found = []
    for client in (newer, older):
        table = new_table(client, "doubled")
        client.call("POST", f"{table}/columns/string", {"key": "name", "size": 9, "required": False})
        wait_until(partial(client.is_settled, "columns", table))
        rows = [{"$id": "a", "name": "Same"}, {"$id": "b", "name": "same "}]
        assert client.call("POST", f"{table}/rows", {"rows": rows}).status_code == 201
        add_index(client, table, key="one_name", type="unique", columns=["name"])
        found.append(client.call("GET", f"{table}/indexes/one_name").json()["status"])
        assert client.call("POST", f"{table}/rows", {"rowId": "c", "data": {"name": "SAME"}}).status_code == 201
    assert found == ["available", "failed"]


def test_an_upsert_on_a_unique_value_is_refused_loudly(newer: Client) -> None:
    table = new_table(newer, "unique", columns=[{"key": "code", "type": "string", "size": 9}])
    add_index(newer, table, key="one_code", type="unique", columns=["code"])
    newer.call("POST", f"{table}/rows", {"rowId": "first", "data": {"code": "A"}})
    reply = newer.call("PUT", f"{table}/rows", {"rows": [{"$id": "second", "code": "a"}]})
    assert (reply.status_code, reply.json()["type"]) == (501, "sandbox_not_implemented")
    assert newer.call("GET", f"{table}/rows/first").json()["code"] == "A"


@pytest.mark.parametrize(("key", "expected"), [("sandbox-read", 401), ("nobody", 401), (None, 401)])
def test_only_the_key_with_write_scopes_writes(newer: Client, key: str | None, expected: int) -> None:
    body = {"rowId": "a", "data": {"name": "A"}}
    reply = newer.call("POST", ROWS, body, headers={"X-Appwrite-Key": key})
    assert reply.status_code == expected
    assert newer.ids() == []


def test_the_version_is_shown_with_or_without_a_key(newer: Client, older: Client) -> None:
    for client, version in ((newer, "1.9.6"), (older, "1.8.1")):
        assert client.call("GET", "/health/version").json()["version"] == version
        open_reply = client.call("GET", "/health/version", headers={"X-Appwrite-Key": None})
        assert (open_reply.status_code, open_reply.json()) == (200, {"version": version})


def test_the_sequence_is_text_in_1_9_and_a_number_in_1_8(newer: Client, older: Client) -> None:
    assert isinstance(newer.create("a", name="A").json()["$sequence"], str)
    assert isinstance(older.create("a", name="A").json()["$sequence"], int)
    asked = newer.call("GET", f"{ROWS}/a", headers={"X-Appwrite-Response-Format": "1.8.0"})
    assert isinstance(asked.json()["$sequence"], int)


def test_every_table_counts_its_own_sequences(newer: Client) -> None:
    newer.create("a", name="A")
    columns = [{"key": "name", "type": "string", "size": 9}]
    for table in ("count-1", "count-2"):
        body = {"rowId": "a", "data": {"name": "A"}}
        made = newer.call("POST", f"{new_table(newer, table, columns=columns)}/rows", body)
        assert made.json()["$sequence"] == "1"


def test_only_1_9_names_ids_in_its_messages(newer: Client, older: Client) -> None:
    assert "'nothing'" in newer.get("nothing").json()["message"]
    assert "'" not in older.get("nothing").json()["message"]


def test_an_unknown_route_is_a_page_in_1_9_and_json_in_1_8(newer: Client, older: Client) -> None:
    page, error = newer.call("GET", "/nowhere"), older.call("GET", "/nowhere")
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")
    assert (error.status_code, error.json()["type"]) == (404, "general_route_not_found")


def test_1_8_ignores_inline_columns(newer: Client, older: Client) -> None:
    inline = [{"key": "name", "type": "string", "size": 9}]
    made = {client: new_table(client, "inline", columns=inline) for client in (newer, older)}
    assert [len(client.call("GET", path).json()["columns"]) for client, path in made.items()] == [1, 0]
