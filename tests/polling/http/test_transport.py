"""The transport itself: whose failure an end of time is, what a lost write means, and what no error carries."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from math import inf
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from polling.errors import Ambiguous, Blocked, Malformed, OutOfTime, PollingError, Unavailable
from polling.http.route import Route
from polling.http.transport import Transport

KEY = "standard_0123456789abcdef"
ROUTE = Route("SIDE", "SIDE_URL")
FAR = 600.0


def failure(
    url: str, method: str = "GET", *, patience: float = FAR, deadline: float = inf, **request: Any
) -> PollingError:
    """The error of a request whose patience and deadline end so many seconds from now."""
    now, transport = time.monotonic(), Transport(ROUTE, {})
    with (
        pytest.raises(PollingError) as caught,
        transport.request(
            method, url, subject="side", patience_until=now + patience, deadline=now + deadline, **request
        ) as answer,
    ):
        answer.body(at_most=10)
    return caught.value


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize(("method", "meaning"), [("GET", Unavailable), ("POST", Ambiguous), ("DELETE", Ambiguous)])
def test_a_server_that_outlasts_its_patience_has_failed(silent: str, method: str, meaning: type[PollingError]) -> None:
    error = failure(silent, method, patience=0.3)
    assert (type(error), str(error)) == (meaning, "side: ReadTimeoutError")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_silence_that_is_too_long_is_the_servers_failure(silent: str, method: str) -> None:
    assert isinstance(failure(silent, method, deadline=FAR / 2, silence_seconds=0.3), Unavailable)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_deadline_of_our_own_is_nobodys_failure(silent: str, method: str) -> None:
    error = failure(silent, method, deadline=0.3)
    assert isinstance(error, OutOfTime)
    assert error.waited_seconds >= 0.2
    assert str(error) == "side: no answer in the time that was left"


@pytest.mark.parametrize(
    ("patience", "deadline", "meaning"), [(-1.0, inf, Unavailable), (FAR, -1.0, OutOfTime), (-1.0, -1.0, OutOfTime)]
)
def test_nothing_is_sent_when_the_time_is_over(
    httpserver: HTTPServer, patience: float, deadline: float, meaning: type[PollingError]
) -> None:
    error = failure(httpserver.url_for("/"), patience=patience, deadline=deadline)
    assert (type(error), str(error)) == (meaning, "side: no time left to ask")
    assert httpserver.log == []


def test_a_write_that_was_never_sent_did_not_land(unused_port: int) -> None:
    error = failure(f"http://127.0.0.1:{unused_port}/", "POST")
    assert (type(error), str(error)) == (Unavailable, "side: NewConnectionError")


def test_a_body_above_its_limit_is_not_read_on(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("x" * 11)
    error = failure(httpserver.url_for("/"))
    assert (type(error), error.http_status, error.sample) == (Malformed, 200, "x" * 11)


@pytest.mark.parametrize("header", [f"two\nlines {KEY}", f"snow ☃ {KEY}"])
def test_a_header_that_cannot_be_sent_is_quoted_nowhere(httpserver: HTTPServer, header: str) -> None:
    error = failure(httpserver.url_for("/"), headers={"X-Key": header})
    assert type(error) is Blocked
    assert KEY not in f"{error!r} {error.sample} {error.__cause__!r}"
    assert error.__suppress_context__
