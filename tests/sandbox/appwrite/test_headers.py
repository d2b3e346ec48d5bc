"""The stand-in's replies over HTTP: status, error type, kind of body and headers as real servers send them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sandbox.appwrite_api import Client, query, running, wait_until

RECORDED = Path(__file__).resolve().parents[3] / "../shared/data/appwrite"
VERSIONS = ("1.9.6", "1.8.1")
TABLE = "/tablesdb/DATABASE/tables/t"
ROWS = f"{TABLE}/rows"
ROW = {"rowId": "r1", "data": {"name": "Cup"}}

# In this order each server was asked: what, method, path, options, what comes back by version where it differs.
# A body is "json", "html" or "0" (none); an error has its type.
ASKED: list[tuple[str, str, str, dict[str, Any], dict[str, tuple[int, str, str | None]]]] = []


def asked(what: str, method: str, path: str, *expected: tuple[int, str, str | None], **options: Any) -> None:
    """One expectation is that of both versions."""
    ASKED.append((what, method, path, options, dict(zip(VERSIONS, expected * (3 - len(expected)), strict=False))))


asked("version", "GET", "/health/version", (401, "json", "general_unauthorized_scope"))
asked("health of the database", "GET", "/health/db", (200, "json", None))
asked("create database", "POST", "/tablesdb", (201, "json", None), json={"databaseId": "DATABASE", "name": "d"})
asked("read database", "GET", "/tablesdb/DATABASE", (200, "json", None))
asked("missing database", "GET", "/tablesdb/nosuchdb", (404, "json", "database_not_found"))
asked("create table", "POST", "/tablesdb/DATABASE/tables", (201, "json", None), json={"tableId": "t", "name": "t"})
asked("create string column", "POST", f"{TABLE}/columns/string", (202, "json", None),
      json={"key": "name", "size": 64, "required": False})  # fmt: skip
asked("create datetime column", "POST", f"{TABLE}/columns/datetime", (202, "json", None),
      json={"key": "d", "required": False})  # fmt: skip
asked("list columns", "GET", f"{TABLE}/columns", (200, "json", None))
asked("create index", "POST", f"{TABLE}/indexes", (202, "json", None),
      json={"key": "i", "type": "key", "columns": ["name"]})  # fmt: skip
asked("create row", "POST", ROWS, (201, "json", None), json=ROW)
asked("create row again", "POST", ROWS, (409, "json", "row_already_exists"), json=ROW)
asked("create rows in bulk", "POST", ROWS, (201, "json", None), json={"rows": [{"$id": "r2"}, {"$id": "r3"}]})
asked("read row", "GET", f"{ROWS}/r1", (200, "json", None))
asked("missing row", "GET", f"{ROWS}/nosuch", (404, "json", "row_not_found"))
asked("list rows", "GET", ROWS, (200, "json", None), params={"queries[0]": query("limit", values=[2])})
asked("list rows, bad query", "GET", ROWS, (400, "json", "general_query_invalid"), params={"queries[0]": "nonsense"})
asked("change row", "PATCH", f"{ROWS}/r1", (200, "json", None), json={"data": {"name": "Plate"}})
asked("change row with a stale timestamp", "PATCH", f"{ROWS}/r1", (409, "json", "row_update_conflict"),
      json={"data": {"name": "Bowl"}}, headers={"X-Appwrite-Timestamp": "2000-01-01T00:00:00.000+00:00"})  # fmt: skip
asked("change row, unknown attribute", "PATCH", f"{ROWS}/r1", (400, "json", "row_invalid_structure"),
      json={"data": {"foo": 1}})  # fmt: skip
asked("change row, empty", "PATCH", f"{ROWS}/r1", (400, "json", "row_missing_payload"), json={})
asked("change missing row", "PATCH", f"{ROWS}/nosuch", (404, "json", "row_not_found"), json={"data": {"name": "x"}})
asked("malformed JSON", "PATCH", f"{ROWS}/r1", (400, "json", "row_missing_payload"),
      data="{", headers={"Content-Type": "application/json"})  # fmt: skip
asked("change in bulk", "PATCH", ROWS, (200, "json", None),
      json={"data": {"name": "y"}, "queries": [query("equal", "$id", ["r2"])]})  # fmt: skip
asked("delete in bulk", "DELETE", ROWS, (200, "json", None), json={"queries": [query("equal", "$id", ["r2"])]})
asked("delete row", "DELETE", f"{ROWS}/r1", (204, "0", None))
asked("delete missing row", "DELETE", f"{ROWS}/r1", (404, "json", "row_not_found"))
asked("wrong key", "GET", ROWS, (401, "json", "user_unauthorized"), headers={"X-Appwrite-Key": "wrong"})
asked("no project", "GET", ROWS, (403, "json", "project_id_missing"), (401, "json", "user_unauthorized"),
      headers={"X-Appwrite-Project": None})  # fmt: skip
asked("unknown project", "GET", ROWS, (404, "json", "project_not_found"), headers={"X-Appwrite-Project": "other"})
asked("unknown route", "GET", "/nosuchroute", (404, "html", None), (404, "json", "general_route_not_found"))
asked("unknown route outside /v1", "GET", "/../nosuch", (404, "html", None))
asked("webhooks", "GET", "/webhooks", (401, "json", "general_unauthorized_scope"),
      (404, "json", "general_route_not_found"),
      headers={"X-Appwrite-Key": "sandbox:rows.read"})  # fmt: skip
asked("delete column", "DELETE", f"{TABLE}/columns/d", (204, "0", None))
asked("delete table", "DELETE", TABLE, (204, "0", None))
asked("delete database", "DELETE", "/tablesdb/DATABASE", (204, "0", None))

# What changes from call to call, or with the length of names.
VARYING = {"date", "x-debug-speed", "x-ratelimit-remaining", "x-ratelimit-reset", "content-length"}


def call(client: Client, method: str, path: str, options: dict[str, Any]) -> requests.Response:
    """The path as it is, dots included."""
    request = requests.Request(method, f"{client.root}/v1/", **options)
    prepared = client.session.prepare_request(request)
    query_part = (prepared.url or "").partition("?")[2]
    prepared.url = f"{client.root}/v1{path}" if path != "/../nosuch" else f"{client.root}/nosuch"
    prepared.url += f"?{query_part}" if query_part else ""
    return client.session.send(prepared, timeout=20)


def kind_of(content: bytes) -> str:
    if not content:
        return "0"
    return "html" if content.lstrip().startswith(b"<") else "json"


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, requests.Response]]]:
    """Every reply of both stand-ins, by version and by what was asked."""
    found: dict[str, dict[str, requests.Response]] = {}
    with ExitStack() as stack:
        for version in VERSIONS:
            client = stack.enter_context(running(tmp_path_factory.mktemp(version), version))
            found[version] = {}
            for what, method, path, options, _ in ASKED:
                if what == "create index":
                    _wait_for_columns(client)
                found[version][what] = call(client, method, path, options)
        yield found


def _wait_for_columns(client: Client) -> None:
    def available() -> bool:
        columns = client.call("GET", f"{TABLE}/columns").json()["columns"]
        return all(column["status"] == "available" for column in columns)

    wait_until(available)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("what", "expected"), [(entry[0], entry[4]) for entry in ASKED], ids=lambda it: str(it))
def test_every_kind_of_request_is_answered_as_a_real_server_does(
    replies: dict[str, dict[str, requests.Response]],
    version: str,
    what: str,
    expected: dict[str, tuple[int, str, str | None]],
) -> None:
    reply = replies[version][what]
    body = kind_of(reply.content)
    kind = reply.json().get("type") if body == "json" and reply.status_code >= 400 else None
    assert (reply.status_code, body, kind) == expected[version]
    media_types = {"json": "application/json; charset=UTF-8", "html": "text/html; charset=UTF-8", "0": "text/html"}
    assert reply.headers["Content-Type"] == media_types[body]
    assert reply.headers["Server"] == ("swoole-http-server" if reply.status_code == 403 else "Appwrite")
    assert reply.headers["Access-Control-Expose-Headers"] == "X-Appwrite-Session, X-Fallback-Cookies"
    assert ("no-store" in reply.headers.get("Cache-Control", "")) is (reply.status_code >= 400)


def test_a_204_has_no_body_and_says_that_it_is_html(replies: dict[str, dict[str, requests.Response]]) -> None:
    found = [replies[version]["delete row"] for version in VERSIONS]
    assert [(reply.status_code, reply.content, reply.headers["Content-Length"]) for reply in found] == [
        (204, b"", "0")
    ] * 2


def test_limits_are_shown_with_writes_of_rows_alone(replies: dict[str, dict[str, requests.Response]]) -> None:
    shown = {what for what, reply in replies["1.9.6"].items() if "X-Ratelimit-Limit" in reply.headers}
    writes = {entry[0] for entry in ASKED if entry[1] != "GET" and entry[2].startswith(ROWS)}
    assert shown == writes


def test_a_body_over_the_limit_is_refused_without_a_body(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        reply = client.session.post(f"{client.root}/v1/tablesdb", data=b" " * (13 * 2**20), timeout=20)
    assert (reply.status_code, reply.content) == (413, b"")


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings of real servers are not beside the repository")
@pytest.mark.parametrize("version", VERSIONS)
def test_every_header_is_as_the_recorded_server_sent_it(
    replies: dict[str, dict[str, requests.Response]], version: str
) -> None:
    recorded = json.loads((RECORDED / f"headers-{version}.json").read_text())
    assert [(entry["what"], entry["method"]) for entry in recorded] == [(entry[0], entry[1]) for entry in ASKED]
    for entry in recorded:
        reply = replies[version][entry["what"]]
        assert reply.status_code == entry["status"], entry["what"]
        assert kind_of(reply.content) == entry["body_bytes"], entry["what"]
        ours = {name.lower(): value for name, value in reply.headers.items()}
        theirs = {name.lower(): value for name, value in entry["headers"].items()}
        assert ours.keys() == theirs.keys(), entry["what"]
        differing = {name for name in ours.keys() - VARYING if ours[name] != theirs[name]}
        assert not differing, (entry["what"], differing)
