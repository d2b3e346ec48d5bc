"""Answers as real servers send them, types and headers included, and those of what stands before a server."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from polling.appwrite.api.client import SyncClient
from polling.appwrite.api.errors import InvalidRequest, MissingResource, MissingScope
from polling.errors import Ambiguous, Blocked, Conflict, NotFound, PollingError, Unavailable
from tests.appwrite.api.conftest import PATH, raised_by

RECORDED = Path(__file__).resolve().parents[3] / "../shared/data/appwrite"

# As both recorded servers send with every reply; a 204 says that it is HTML.
OWN = {
    "Server": "Appwrite",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Expose-Headers": "X-Appwrite-Session, X-Fallback-Cookies",
    "X-Debug-Speed": "0.02",
}
EMPTY_204 = {**OWN, "Content-Type": "text/html", "Content-Length": "0"}


# What each answer of a real server means: by its status and the type in its body. None is a success.
SUCCESSES = [
    pytest.param("get", 200, '{"total": 0, "rows": []}', id="list rows"),
    pytest.param("get", 200, '{"$id": "r1"}', id="read row"),
    pytest.param("post", 201, '{"total": 1, "rows": [{"$id": "r1"}]}', id="create rows"),
    pytest.param("post", 202, '{"status": "processing"}', id="create column"),
    pytest.param("patch", 200, '{"$id": "r1"}', id="change row"),
    pytest.param("delete", 200, '{"total": 1, "rows": []}', id="delete in bulk"),
    pytest.param("delete", 204, "", id="delete row"),
]
REFUSALS = [
    pytest.param("get", 404, "database_not_found", MissingResource, id="missing database"),
    pytest.param("get", 404, "project_not_found", MissingResource, id="unknown project"),
    pytest.param("get", 404, "general_route_not_found", MissingResource, id="unknown route"),
    pytest.param("get", 404, "row_not_found", NotFound, id="missing row"),
    pytest.param("delete", 404, "row_not_found", NotFound, id="delete missing row"),
    pytest.param("post", 409, "row_already_exists", Conflict, id="create row again"),
    pytest.param("patch", 409, "row_update_conflict", Conflict, id="stale timestamp"),
    pytest.param("patch", 400, "row_invalid_structure", InvalidRequest, id="unknown attribute"),
    pytest.param("patch", 400, "row_missing_payload", InvalidRequest, id="malformed JSON"),
    pytest.param("get", 400, "general_query_invalid", InvalidRequest, id="bad query"),
    pytest.param("get", 401, "user_unauthorized", Blocked, id="wrong key"),
    pytest.param("get", 401, "general_unauthorized_scope", MissingScope, id="missing scope"),
    pytest.param("get", 403, "project_id_missing", Blocked, id="no project"),
]


@pytest.mark.parametrize(("method", "status", "body"), SUCCESSES)
def test_every_success_of_a_real_server_is_one(
    server: HTTPServer, client: SyncClient, method: str, status: int, body: str
) -> None:
    headers = {**OWN, "Content-Type": "application/json; charset=UTF-8"} if body else EMPTY_204
    server.expect_request("/v1" + PATH).respond_with_response(Response(body, status, headers))
    assert client.exchange(method, PATH).body == json.loads(body or "{}")


@pytest.mark.parametrize(("method", "status", "kind", "meaning"), REFUSALS)
def test_every_refusal_of_a_real_server_means_what_happens_next(
    server: HTTPServer, client: SyncClient, method: str, status: int, kind: str, meaning: type[PollingError]
) -> None:
    body = {"message": "no", "code": status, "type": kind, "version": "1.9.6"}
    headers = {**OWN, "Content-Type": "application/json; charset=UTF-8"}
    server.expect_request("/v1" + PATH).respond_with_response(Response(json.dumps(body), status, headers))
    assert type(raised_by(client, method)) is meaning


def test_an_empty_413_of_a_body_that_is_too_large_is_a_refusal(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1" + PATH).respond_with_response(Response("", 413))
    assert type(raised_by(client, "post")) is InvalidRequest


def _recorded_answers() -> list[Any]:
    if not RECORDED.is_dir():
        return [pytest.param("", {}, marks=pytest.mark.skip(reason="no recordings are beside the repository"))]
    return [
        pytest.param(version, entry, id=f"{version} {entry['what']}")
        for version in ("1.9.6", "1.8.1")
        for entry in json.loads((RECORDED / f"headers-{version}.json").read_text())
    ]


@pytest.mark.parametrize(("version", "entry"), _recorded_answers())
def test_every_recorded_answer_is_understood(
    server: HTTPServer, client: SyncClient, version: str, entry: dict[str, Any]
) -> None:
    """The recording has all headers, and of bodies what they are."""
    error = {"message": "no", "code": entry["status"], "type": entry["type"], "version": version}
    bodies = {"0": "", "html": "<!DOCTYPE html><html></html>", "json": json.dumps(error if entry["type"] else {})}
    unsent = ("Content-Length", "Content-Encoding", "Date", "Connection")
    headers = {name: value for name, value in entry["headers"].items() if name not in unsent and "\u2026" not in value}
    reply = Response(bodies[entry["body_bytes"]], entry["status"], headers)
    server.expect_request("/v1" + PATH).respond_with_response(reply)
    if entry["status"] < 300:
        assert client.exchange(entry["method"], PATH).body == {}
        return
    error_class = type(raised_by(client, entry["method"]))
    meanings = {400: InvalidRequest, 401: Blocked, 403: Blocked, 404: MissingResource, 409: Conflict}
    narrower = {"row_not_found": NotFound, "general_unauthorized_scope": MissingScope}
    assert error_class is narrower.get(entry["type"], meanings[entry["status"]])


@pytest.mark.parametrize("media_type", ["text/html", "text/html; charset=UTF-8", "text/plain", "application/json"])
@pytest.mark.parametrize("method", ["delete", "patch", "get"])
def test_a_204_is_a_success_whatever_its_type(
    server: HTTPServer, client: SyncClient, method: str, media_type: str
) -> None:
    server.expect_request("/v1" + PATH).respond_with_data("", 204, EMPTY_204, content_type=media_type)
    assert client.exchange(method, PATH).body == {}


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "application/octet-stream"])
def test_an_answer_is_read_by_its_body_whatever_its_type(
    server: HTTPServer, client: SyncClient, media_type: str
) -> None:
    server.expect_request("/v1" + PATH).respond_with_data('{"total": 0}', 200, content_type=media_type)
    assert client.call("get", PATH) == {"total": 0}


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "text/plain"])
def test_a_web_page_is_known_by_its_body(server: HTTPServer, client: SyncClient, media_type: str) -> None:
    page = "\n <!DOCTYPE html><html><body>Log in</body></html>"
    server.expect_request("/v1" + PATH).respond_with_data(page, 200, content_type=media_type)
    error = raised_by(client)
    assert type(error) is Blocked
    assert "web page" in str(error)
    assert "APPWRITE_ENDPOINT" in str(error)


def test_the_page_of_an_unknown_route_is_appwrites_own_by_its_headers(server: HTTPServer, client: SyncClient) -> None:
    page = "<!DOCTYPE html><html><body>Page not found</body></html>"
    server.expect_request("/v1" + PATH).respond_with_data(page, 404, OWN, content_type="text/html; charset=UTF-8")
    error = raised_by(client)
    assert type(error) is MissingResource
    assert "APPWRITE_ENDPOINT must end in /v1" in str(error)


@pytest.mark.parametrize("server_header", ["nginx", ""])
def test_it_is_known_behind_a_proxy_too(server: HTTPServer, client: SyncClient, server_header: str) -> None:
    headers = {**OWN, "Server": server_header}
    server.expect_request("/v1" + PATH).respond_with_data("<html>", 404, headers, content_type="text/html")
    assert type(raised_by(client)) is MissingResource


@pytest.mark.parametrize(
    ("status", "method", "meaning"),
    [
        pytest.param(404, "get", Unavailable, id="no route to it"),
        pytest.param(404, "patch", Unavailable, id="no route to it for a write"),
        pytest.param(502, "get", Unavailable, id="a bad gateway"),
        pytest.param(502, "patch", Ambiguous, id="a bad gateway lost a write"),
        pytest.param(503, "post", Unavailable, id="no server behind it"),
        pytest.param(401, "get", Unavailable, id="a login of its own"),
        pytest.param(403, "get", Unavailable, id="forbidden"),
        pytest.param(409, "patch", Unavailable, id="a conflict that is not of a row"),
    ],
)
def test_a_proxys_plain_answer_is_not_appwrites(
    server: HTTPServer, client: SyncClient, status: int, method: str, meaning: type[PollingError]
) -> None:
    server.expect_request("/v1" + PATH).respond_with_data("404 page not found\n", status, content_type="text/plain")
    error = raised_by(client, method)
    assert type(error) is meaning
    assert isinstance(error, Unavailable) and error.foreign
    assert "APPWRITE_" not in str(error)


def test_the_answer_of_another_region_names_the_endpoint(server: HTTPServer, client: SyncClient) -> None:
    body = {
        "message": "Project is not accessible in this region. Please make sure you are using the correct endpoint",
        "code": 401,
        "type": "general_access_forbidden",
    }
    server.expect_request("/v1" + PATH).respond_with_json(body, 401, OWN)
    error = raised_by(client)
    assert type(error) is Blocked
    assert str(error).startswith("APPWRITE_ENDPOINT must name the region")
    assert "APPWRITE_API_KEY" not in str(error)
