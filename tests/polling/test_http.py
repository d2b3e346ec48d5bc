"""The HTTP client against a real local server: what it sends, and what each answer becomes."""

import gzip
import inspect
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
import urllib3
from pytest_httpserver import HTTPServer

from polling import http
from polling.errors import Blocked, Malformed, NotFound, PollingError, RateLimited, Unavailable
from polling.http import HttpClient, retry_after, translate

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
    own = client._session()
    assert client._session() is own
    if (child := os.fork()) == 0:
        os._exit(0 if client._session() is not own else 1)
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
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1024**2)
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
def test_a_base_url_that_cannot_be_asked_is_for_a_person_to_mend(base_url: str) -> None:
    with pytest.raises(Blocked):
        HttpClient(base_url, headers={}).get_json(PATH, {}, deadline=soon())


@pytest.mark.parametrize("value", ["two\nlines", "snow ☃"])
def test_a_header_that_cannot_be_sent_is_for_a_person_to_mend(httpserver: HTTPServer, value: str) -> None:
    assert type(error_of(HttpClient(httpserver.url_for("/"), headers={"X-Partner": value}))) is Blocked


# --- waiting when asked to ---

DATE = "Mon, 23 Nov 2026 03:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", None, 7),
        (" 7 ", DATE, 7),
        ("0", None, 0),
        ("86400", None, 3600),
        ("9" * 5000, None, 3600),
        ("Mon, 23 Nov 2026 03:00:30 GMT", DATE, 30),
        ("Mon, 23 Nov 2026 03:00:30 -0000", DATE, 30),
        ("Mon, 23 Nov 2026 02:00:00 GMT", DATE, 0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", DATE, 3600),
        ("Mon, 23 Nov 2026 03:00:30 GMT", None, None),
        ("Mon, 23 Nov 2026 03:00:30 GMT", "today", None),
        ("-5", DATE, None),
        ("1.5", DATE, None),
        ("²", DATE, None),
        ("soon", DATE, None),
        ("", DATE, None),
        (None, DATE, None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    value: str | None, date: str | None, seconds: int | None
) -> None:
    assert retry_after(value, date) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_that_says_how_long_to_wait_is_no_failure_but_a_wish(
    httpserver: HTTPServer, client: HttpClient, status: int
) -> None:
    httpserver.expect_request(BASE + PATH).respond_with_data("slow", status=status, headers={"Retry-After": "12"})
    error = error_of(client)
    assert isinstance(error, RateLimited)
    assert error.retry_after == timedelta(seconds=12)


# --- foreign errors ---

EXPECTED = {
    "ChunkedEncodingError": Unavailable,
    "ConnectTimeout": Unavailable,
    "ConnectionError": Unavailable,
    "ContentDecodingError": Malformed,
    "HTTPError": Unavailable,
    "InvalidHeader": Blocked,
    "InvalidJSONError": Malformed,
    "InvalidProxyURL": Blocked,
    "InvalidSchema": Blocked,
    "InvalidURL": Blocked,
    "JSONDecodeError": Malformed,
    "MissingSchema": Blocked,
    "ProxyError": Unavailable,
    "ReadTimeout": Unavailable,
    "RequestException": Unavailable,
    "RetryError": Unavailable,
    "SSLError": Unavailable,
    "StreamConsumedError": Unavailable,
    "Timeout": Unavailable,
    "TooManyRedirects": Blocked,
    "URLRequired": Blocked,
    "UnrewindableBodyError": Unavailable,
}


def foreign_classes() -> list[type[requests.RequestException]]:
    found = [member for _, member in inspect.getmembers(requests.exceptions, inspect.isclass)]
    return [member for member in found if issubclass(member, requests.RequestException)]


def make(error_class: type[BaseException]) -> BaseException:
    return error_class("told", "text", 0) if issubclass(error_class, requests.JSONDecodeError) else error_class("told")


def test_no_exception_of_requests_is_left_without_a_translation() -> None:
    assert {error_class.__name__ for error_class in foreign_classes()} == set(EXPECTED)


@pytest.mark.parametrize("error_class", foreign_classes())
def test_each_exception_of_requests_becomes_ours(error_class: type[requests.RequestException]) -> None:
    error = translate(make(error_class), path=PATH, http_status=200)
    assert type(error) is EXPECTED[error_class.__name__]
    assert (str(error), error.http_status) == (f"{PATH}: {error_class.__name__}", 200)


@pytest.mark.parametrize(
    ("exc", "expected", "message"),
    [
        (urllib3.exceptions.HTTPError(), Unavailable, "HTTPError"),
        (urllib3.exceptions.ProtocolError("cut"), Unavailable, "ProtocolError"),
        (UnicodeEncodeError("latin-1", "☃", 0, 1, "no"), Blocked, "UnicodeEncodeError"),
    ],
)
def test_what_slips_through_requests_becomes_ours_too(
    exc: BaseException, expected: type[PollingError], message: str
) -> None:
    assert isinstance(exc, http.FOREIGN_ERRORS)
    assert (type(translate(exc)), str(translate(exc))) == (expected, message)


def test_a_refused_connection_is_unavailable_and_named(unused_port: int) -> None:
    error = error_of(HttpClient(f"http://127.0.0.1:{unused_port}", headers={}))
    assert type(error) is Unavailable
    assert (str(error), error.http_status) == (f"{PATH}: NewConnectionError", None)
    assert isinstance(error.__cause__, requests.ConnectionError)


def test_an_answer_is_any_json_object(httpserver: HTTPServer, client: HttpClient) -> None:
    told: dict[str, Any] = {"data": {"name": "Kererū", "odds": 2.35}}
    httpserver.expect_request(BASE + PATH).respond_with_json(told)
    assert client.get_json(PATH, {}, deadline=soon()) == told
