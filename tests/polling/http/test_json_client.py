"""The HTTP client against a real local server: what it sends, and what each answer becomes."""

import gzip
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer

from polling.errors import Blocked, Malformed, NotFound, PollingError, RateLimited, Unavailable
from polling.http import json_client
from polling.http.json_client import HttpClient

PATH = "/racing/meetings"
BASE = "/affiliates/v1"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def client(httpserver: HTTPServer) -> HttpClient:
    return HttpClient(httpserver.url_for(BASE), headers={"X-Partner": "racepoll tests", "X-Partner-ID": ""})


def error_of(client: HttpClient, path: str = PATH, **params: str | int) -> PollingError:
    with pytest.raises(PollingError) as caught:
        client.get_json(path, params, deadline=soon())
    return caught.value


# --- what is asked ---


def test_a_request_says_who_asks_and_what_for(httpserver: HTTPServer, client: HttpClient) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_json({"data": {}})
    assert client.get_json(PATH, {"ids": "a,b", "limit": 200}, deadline=soon()) == {"data": {}}
    request, _ = httpserver.log[0]
    assert request.args.to_dict() == {"ids": "a,b", "limit": "200"}
    assert request.headers["X-Partner"] == "racepoll tests"
    assert request.headers["User-Agent"] == "racepoll"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert "X-Partner-ID" not in request.headers


def test_a_base_url_keeps_its_user_and_its_query(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH, query_string="key=k&limit=1").respond_with_json({})
    url = httpserver.url_for("/?key=k").replace("http://", "http://user:word@")
    HttpClient(url, headers={}).get_json(PATH, {"limit": 1}, deadline=soon())
    request, _ = httpserver.log[0]
    assert request.authorization is not None
    assert request.authorization.password == "word"


def test_the_environment_may_not_send_us_through_a_proxy(
    httpserver: HTTPServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    httpserver.expect_request(BASE + PATH).respond_with_json({})
    assert client.get_json(PATH, {}, deadline=soon()) == {}


def test_a_cookie_is_not_sent_back(httpserver: HTTPServer, client: HttpClient) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_json({}, headers={"Set-Cookie": "a=b"})
    for _ in range(2):
        client.get_json(PATH, {}, deadline=soon())
    assert [request.headers.get("Cookie") for request, _ in httpserver.log] == [None, None]


def test_a_forked_process_opens_its_own_connections(client: HttpClient) -> None:
    session_of = client._transport._own_session
    own = session_of()
    assert session_of() is own
    if (child := os.fork()) == 0:
        os._exit(0 if session_of() is not own else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- what an answer becomes ---


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, Blocked),
        (302, Blocked),
        (304, Blocked),
        (307, Blocked),
        (400, Malformed),
        (401, Blocked),
        (403, Blocked),
        (404, NotFound),
        (408, Unavailable),
        (410, Malformed),
        (422, Malformed),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (999, Malformed),
    ],
)
def test_each_http_status_is_an_error_by_what_happens_next(
    httpserver: HTTPServer, client: HttpClient, status: int, expected: type[PollingError]
) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_data("why not", status=status)
    error = error_of(client)
    assert type(error) is expected
    assert error.http_status == status
    assert str(error) == f"{PATH}: HTTP {status}"
    assert error.sample == ("" if status == 304 else "why not")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"<!DOCTYPE html><p>Checking your browser", "not JSON", id="HTML"),
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b'{"data": ', "not JSON", id="cut short"),
        pytest.param(b"\xff\xfe\xff", "not JSON", id="no text"),
        pytest.param(b"[" * 100_000, "more than 64 levels deep", id="too deep"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "not JSON", id="a number of thousands of digits"),
        pytest.param(b"[]", "not a JSON object", id="a list"),
        pytest.param(b"null", "not a JSON object", id="null"),
    ],
)
def test_a_body_that_is_no_json_object_is_malformed_with_a_sample(
    httpserver: HTTPServer, client: HttpClient, body: bytes, message: str
) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_data(body)
    error = error_of(client)
    assert type(error) is Malformed
    assert (str(error), error.http_status) == (f"{PATH}: {message}", 200)
    assert error.sample == body.decode(errors="replace")[:2000]


def test_a_compressed_answer_is_read(httpserver: HTTPServer, client: HttpClient) -> None:
    body = gzip.compress(b'{"data": {}}')
    httpserver.expect_request(BASE + PATH).respond_with_data(body, headers={"Content-Encoding": "gzip"})
    assert client.get_json(PATH, {}, deadline=soon()) == {"data": {}}


def test_an_answer_compressed_wrongly_is_malformed(httpserver: HTTPServer, client: HttpClient) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_data(b"{}", headers={"Content-Encoding": "gzip"})
    error = error_of(client)
    assert type(error) is Malformed
    assert error.http_status == 200


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "compressed to very little"])
def test_a_body_above_the_cap_is_refused(
    httpserver: HTTPServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(json_client, "MAX_BODY_BYTES", 1024**2)
    headers = {"Content-Encoding": "gzip"} if compress is gzip.compress else {}
    body = compress(b'{"data": "' + b" " * 1024**2 + b'"}')
    httpserver.expect_request(BASE + PATH).respond_with_data(body, headers=headers)
    error = error_of(client)
    assert type(error) is Malformed
    assert str(error) == f"{PATH}: more than 1 MB"
    assert error.sample.startswith('{"data": "')


def test_a_key_in_the_url_is_in_no_message(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data("", status=403)
    for url in (httpserver.url_for("/?key=SECRET"), "http://user:SECRET@127.0.0.1:9/?key=SECRET", "SECRET://x"):
        error = error_of(HttpClient(url, headers={}), token="SECRET")
        assert "SECRET" not in str(error) + error.sample
        assert PATH in str(error)


@pytest.mark.parametrize("base_url", ["", "no-scheme", "ftp://127.0.0.1/", "http://", "http://[::1"])
def test_a_base_url_that_cannot_be_used_is_blocked(base_url: str) -> None:
    with pytest.raises(Blocked):
        HttpClient(base_url, headers={}).get_json(PATH, {}, deadline=soon())


@pytest.mark.parametrize("value", ["two\nlines", "snow ☃"])
def test_a_header_that_cannot_be_sent_is_blocked(httpserver: HTTPServer, value: str) -> None:
    assert type(error_of(HttpClient(httpserver.url_for("/"), headers={"X-Partner": value}))) is Blocked


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_that_says_how_long_to_wait_is_a_rate_limit(
    httpserver: HTTPServer, client: HttpClient, status: int
) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_data("slow", status=status, headers={"Retry-After": "12"})
    error = error_of(client)
    assert isinstance(error, RateLimited)
    assert error.retry_after == timedelta(seconds=12)


def test_a_refused_connection_is_unavailable_and_named(unused_port: int) -> None:
    error = error_of(HttpClient(f"http://127.0.0.1:{unused_port}", headers={}))
    assert type(error) is Unavailable
    assert (str(error), error.http_status) == (f"{PATH}: NewConnectionError", None)
    assert isinstance(error.__cause__, requests.ConnectionError)


def test_an_answer_is_any_json_object(httpserver: HTTPServer, client: HttpClient) -> None:
    answer: dict[str, Any] = {"data": {"name": "Kererū", "odds": 2.35}}
    httpserver.expect_request(BASE + PATH).respond_with_json(answer)
    assert client.get_json(PATH, {}, deadline=soon()) == answer
