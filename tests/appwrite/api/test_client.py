"""The client: what each odd answer means, that a call ends in time, and that no message shows a secret."""

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from appwrite.exception import AppwriteException
from pytest_httpserver import HTTPServer

from polling.appwrite.api.client import SyncClient, TablesDB, error_of_sdk, sdk_errors_translated
from polling.appwrite.api.errors import InvalidRequest, MissingResource, MissingScope
from polling.errors import (
    Ambiguous,
    Blocked,
    Conflict,
    Malformed,
    NotFound,
    OutOfTime,
    PollingError,
    RateLimited,
    Unavailable,
)
from tests.appwrite.api.conftest import KEY, PATH, raised_by


def refusal_body(kind: str) -> str:
    return json.dumps({"message": f"no, {KEY}", "code": 400, "type": kind, "version": "1.9.6"})


@pytest.mark.parametrize(
    ("method", "status", "kind", "meaning"),
    [
        pytest.param("get", 401, "user_unauthorized", Blocked, id="a wrong key"),
        pytest.param("get", 401, "general_unauthorized_scope", MissingScope, id="a scope is missing"),
        pytest.param("get", 403, "project_id_missing", Blocked, id="no project"),
        pytest.param("patch", 404, "row_not_found", NotFound, id="a row is gone"),
        pytest.param("patch", 404, "document_not_found", NotFound, id="a document is gone"),
        pytest.param("get", 404, "table_not_found", MissingResource, id="no table"),
        pytest.param("get", 404, "database_not_found", MissingResource, id="no database"),
        pytest.param("get", 404, "project_not_found", MissingResource, id="no such project"),
        pytest.param("get", 404, "general_route_not_found", MissingResource, id="no such route"),
        pytest.param("patch", 409, "row_update_conflict", Conflict, id="the row changed"),
        pytest.param("post", 409, "row_already_exists", Conflict, id="the row exists"),
        pytest.param("post", 400, "row_invalid_structure", InvalidRequest, id="a bad row"),
        pytest.param("post", 413, "", InvalidRequest, id="too large"),
        pytest.param("post", 400, "", Malformed, id="a 400 that is not Appwrite's"),
        pytest.param("get", 408, "database_timeout", Unavailable, id="a read that took the server too long"),
        pytest.param("patch", 408, "database_timeout", Ambiguous, id="a write that took the server too long"),
        pytest.param("get", 502, "", Unavailable, id="a gateway lost a read"),
        pytest.param("post", 504, "", Ambiguous, id="a gateway lost a write"),
        pytest.param("post", 500, "general_unknown", Unavailable, id="the server broke"),
        pytest.param("post", 503, "", Unavailable, id="the server is closed"),
        pytest.param("get", 402, "plan_limit", Blocked, id="the plan is used up"),
    ],
)
def test_a_status_means_what_happens_next(
    server: HTTPServer, client: SyncClient, method: str, status: int, kind: str, meaning: type[PollingError]
) -> None:
    body, media_type = (refusal_body(kind), "application/json") if kind else ("<h1>oops</h1>", "text/html")
    server.expect_request("/v1" + PATH).respond_with_data(body, status, content_type=media_type)
    error = raised_by(client, method)
    assert type(error) is meaning
    assert error.http_status == status
    assert getattr(error, "kind", kind) == kind


def test_the_wait_of_a_429_is_read_from_its_headers(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1" + PATH).respond_with_data("slow down", 429, {"Retry-After": "7"})
    error = raised_by(client)
    assert isinstance(error, RateLimited)
    assert error.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_web_page_instead_of_an_answer_is_the_set_up(server: HTTPServer, client: SyncClient, method: str) -> None:
    server.expect_request("/v1" + PATH).respond_with_data("<html>Log in</html>", content_type="text/html")
    error = raised_by(client, method)
    assert type(error) is Blocked
    assert "web page" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(server: HTTPServer, client: SyncClient, status: int) -> None:
    elsewhere = {"Location": "https://appwrite.example/v1/x?secret=1"}
    server.expect_request("/v1" + PATH).respond_with_data("", status, elsewhere)
    error = raised_by(client, "post")
    assert type(error) is Blocked
    assert "redirects to appwrite.example:" in str(error)
    assert len(server.log) == 2  # the version, and the one call


@pytest.mark.parametrize("body", ["[]", '{"rows": [', "", "null", "[" * 100_000])
def test_a_success_that_cannot_be_read_is_malformed(server: HTTPServer, client: SyncClient, body: str) -> None:
    server.expect_request("/v1" + PATH).respond_with_data(body, content_type="application/json")
    assert type(raised_by(client)) is Malformed


def test_gzip_that_is_none_is_malformed(server: HTTPServer, client: SyncClient) -> None:
    lie = {"Content-Encoding": "gzip"}
    server.expect_request("/v1" + PATH).respond_with_data("{}", headers=lie, content_type="application/json")
    assert type(raised_by(client)) is Malformed


def test_sequences_are_text_whatever_the_server(server: HTTPServer, client: SyncClient) -> None:
    rows = {"total": 2, "rows": [{"$sequence": 1}, {"$sequence": "2"}, {}], "$sequence": 3}
    server.expect_request("/v1" + PATH).respond_with_json(rows)
    body = client.call("get", PATH)
    assert [row.get("$sequence") for row in body["rows"]] == ["1", "2", None]
    assert body["$sequence"] == "3"


def test_a_call_says_who_asks_and_in_which_format(
    server: HTTPServer, client: SyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    warning = {"X-Appwrite-Warning": "The current SDK is built for a newer server"}
    server.expect_request("/v1" + PATH).respond_with_data("{}", headers=warning, content_type="application/json")
    client.exchange("patch", PATH, headers={"x-appwrite-timestamp": "then"}, params={"data": {"a": 1}})
    version, call = (request for request, _ in server.log)
    assert "X-Appwrite-Key" not in version.headers
    assert call.headers["X-Appwrite-Key"] == KEY
    assert call.headers["X-Appwrite-Project"] == "project"
    assert call.headers["X-Appwrite-Timestamp"] == "then"
    assert call.headers["X-Appwrite-Response-Format"] == "1.9.6"
    assert call.get_json() == {"data": {"a": 1}}
    assert capfd.readouterr().err == ""


def test_the_version_is_asked_once(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1" + PATH).respond_with_json({})
    for _ in range(3):
        client.call("get", PATH)
    assert [request.path for request, _ in server.log].count("/v1/health/version") == 1


@pytest.mark.parametrize(
    ("version", "meaning"),
    [("1.7.4", Blocked), ("1.8.0", None), ("2.0.1", None), ("", Malformed), ("latest", Malformed)],
)
def test_a_server_that_is_too_old_is_refused(
    httpserver: HTTPServer, version: str, meaning: type[PollingError] | None
) -> None:
    httpserver.expect_request("/v1/health/version").respond_with_json({"version": version})
    client = SyncClient(httpserver.url_for("/v1"), "project", KEY)
    if meaning is None:
        assert client.server_version() == tuple(map(int, version.split(".")))
        return
    with pytest.raises(meaning):
        client.call("get", PATH)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "kéy"])
def test_a_key_that_cannot_be_a_header_is_the_set_up(key: str) -> None:
    with pytest.raises(Blocked) as caught:
        SyncClient("http://127.0.0.1:1/v1", "project", key)
    assert not key or key not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(
    server: HTTPServer, client: SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.expect_request("/v1" + PATH).respond_with_json({"total": 0})
    assert client.call("get", PATH) == {"total": 0}


# --- connections and time -------------------------------------------------------------------------------------------


@contextmanager
def talking(*scripts: list[bytes | float]) -> Iterator[int]:
    """A port where each connection is read once and then gets its script: bytes to send, seconds to wait."""
    ready = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        for script in scripts:
            connection, _ = ready.accept()
            connection.recv(65_536)
            for part in script:
                if isinstance(part, bytes):
                    try:
                        connection.sendall(part)
                    except OSError:
                        break
                else:
                    done.wait(part)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield ready.getsockname()[1]
    finally:
        done.set()
        ready.close()
        thread.join(120)


def answer(body: bytes, length: int | None = None) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length or len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


FOR_EVER = 3600.0  # by far longer than a test may take
VERSION = answer(b'{"version":"1.9.6"}')


def test_a_redirect_to_nowhere_is_the_set_up_too() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with talking([VERSION], [redirect]) as port:
        client = SyncClient(f"http://127.0.0.1:{port}/v1", "project", KEY)
        error = raised_by(client)
    assert type(error) is Blocked
    assert "redirects to another path:" in str(error)


@pytest.mark.parametrize(("method", "meaning"), [("get", Unavailable), ("post", Ambiguous), ("patch", Ambiguous)])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param([], id="the connection is closed"),
        pytest.param([answer(b'{"a"', 50)], id="the answer is cut off"),
    ],
)
def test_a_lost_answer_leaves_open_whether_a_write_landed(
    script: list[bytes | float], method: str, meaning: type[PollingError]
) -> None:
    with talking([VERSION], script) as port:
        client = SyncClient(f"http://127.0.0.1:{port}/v1", "project", KEY)
        assert client.server_version()
        with pytest.raises(PollingError) as caught:
            client.exchange(method, PATH, deadline=time.monotonic() + 30)
        assert type(caught.value) is meaning


@pytest.mark.parametrize("method", ["get", "post", "patch"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param([FOR_EVER], id="no answer in time"),
        pytest.param([answer(b"", 100_000), *[b" ", 0.05] * 50_000], id="an answer that drips"),
    ],
)
def test_a_call_that_our_own_deadline_ends_is_not_the_servers_failure(script: list[bytes | float], method: str) -> None:
    with talking([VERSION], script) as port:
        client = SyncClient(f"http://127.0.0.1:{port}/v1", "project", KEY)
        assert client.server_version()
        with pytest.raises(OutOfTime) as caught:
            client.exchange(method, PATH, deadline=time.monotonic() + 2)
        assert caught.value.waited_seconds > 0


@pytest.mark.parametrize(("method", "meaning"), [("get", Unavailable), ("post", Ambiguous)])
def test_a_silence_longer_than_every_calls_patience_is_the_servers(
    method: str, meaning: type[PollingError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.appwrite.api.client.SILENT_SECONDS", 0.3)
    with talking([VERSION], [FOR_EVER]) as port:
        client = SyncClient(f"http://127.0.0.1:{port}/v1", "project", KEY)
        assert client.server_version()
        with pytest.raises(PollingError) as caught:
            client.exchange(method, PATH, deadline=time.monotonic() + 30)
        assert type(caught.value) is meaning


def test_a_refused_connection_was_no_write() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = SyncClient(f"http://127.0.0.1:{port}/v1", "project", KEY)
    client._version = (1, 9, 6)
    assert type(raised_by(client, "post")) is Unavailable


def test_no_call_begins_after_the_deadline(server: HTTPServer, client: SyncClient) -> None:
    with pytest.raises(OutOfTime, match="no time left"):
        client.exchange("post", PATH, deadline=time.monotonic() - 1)
    assert len(server.log) == 1


def test_one_session_serves_call_after_call(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1" + PATH).respond_with_json({})
    for _ in range(5):
        client.call("get", PATH)
    assert len(client._transport._sessions) == 1


def _call_in_child(client: SyncClient, parents: int, results: Any) -> None:
    client.call("get", PATH)
    results.put(id(client._transport._own_session()) == parents)


def test_a_fork_opens_its_own_connection(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1" + PATH).respond_with_json({})
    client.call("get", PATH)
    session = client._transport._own_session()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_call_in_child, args=(client, id(session), results))
    child.start()
    child.join(120)
    assert results.get() is False
    assert list(client._transport._sessions.values()) == [session]


# --- the SDK ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "meaning"),
    [
        pytest.param(AppwriteException("Unable to parse response into Row"), Malformed, id="a model that does not fit"),
        pytest.param(AppwriteException("no", 401, "user_unauthorized"), Blocked, id="a wrong key"),
        pytest.param(AppwriteException("gone", 404, "row_not_found"), NotFound, id="a row is gone"),
        pytest.param(AppwriteException("newer", 409, "row_update_conflict"), Conflict, id="the row changed"),
        pytest.param(AppwriteException("bad", 400, "row_invalid_structure"), InvalidRequest, id="a bad row"),
        pytest.param(AppwriteException("slow down", 429, "general_rate_limit_exceeded"), RateLimited, id="too fast"),
        pytest.param(AppwriteException("broken", 500, "general_unknown"), Unavailable, id="the server broke"),
        *[
            pytest.param(kin("x"), Malformed, id=f"its kin {kin.__name__}")
            for kin in AppwriteException.__subclasses__()
        ],
    ],
)
def test_every_error_of_the_sdk_is_translated(exc: AppwriteException, meaning: type[PollingError]) -> None:
    assert type(error_of_sdk(exc)) is meaning


def test_the_sdks_services_run_on_this_transport(server: HTTPServer, client: SyncClient) -> None:
    row = {
        "$id": "a", "$sequence": 7, "$createdAt": "", "$updatedAt": "", "$permissions": [],
        "$databaseId": "racepoll", "$tableId": "races", "name": "Cup",
    }  # fmt: skip
    server.expect_request(f"/v1{PATH}/a").respond_with_json(row)
    assert TablesDB(client).get_row("racepoll", "races", "a").sequence == "7"


def test_a_service_that_cannot_read_its_answer_raises_one_of_ours(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1/tablesdb/racepoll").respond_with_json({"name": {"not": "a name"}})
    with pytest.raises(Malformed), sdk_errors_translated():
        TablesDB(client).get("racepoll")
