"""The ping to the outside monitor: sent while ticks come on time, and its failures reported."""

import socket
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from polling.models import Tick
from polling.monitoring import heartbeat, ping
from tests.factories import START

pytestmark = pytest.mark.django_db(transaction=True)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_monitor_is_pinged_while_ticks_come_and_not_when_they_do_not(settings: Any, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/ping/secret").respond_with_data("OK")
    settings.MONITOR_PING_URL = httpserver.url_for("/ping/secret")
    heartbeat.record(now=START)
    ping.ping_monitor(now=after(10))
    assert len(httpserver.log) == 1
    ping.ping_monitor(now=after(100))
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("ticked", [False, True], ids=["none yet", "none that ended well"])
def test_the_monitor_is_not_pinged_where_no_tick_ever_ended_well(
    ticked: bool, settings: Any, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/ping/secret").respond_with_data("OK")
    settings.MONITOR_PING_URL = httpserver.url_for("/ping/secret")
    if ticked:
        Tick.objects.create(slot_at=START, started_at=START, error="no such table")
    for seconds in (10, 24 * 3600):
        ping.ping_monitor(now=after(seconds))
    assert httpserver.log == []


def test_a_monitor_that_does_not_answer_is_reported_without_its_url(
    settings: Any, caplog: pytest.LogCaptureFixture, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/ping/secret").respond_with_data("no", status=500)
    settings.MONITOR_PING_URL = httpserver.url_for("/ping/secret")
    heartbeat.record(now=START)
    ping.ping_monitor(now=after(10))
    [reported] = [record.getMessage() for record in caplog.records if record.name == "polling.monitoring.ping"]
    assert reported == "the outside monitor cannot be reached: HTTPError"


def test_a_monitor_that_cannot_be_reached_is_reported_when_that_begins_and_when_it_ends(
    settings: Any, caplog: pytest.LogCaptureFixture, httpserver: HTTPServer
) -> None:
    settings.MONITOR_PING_URL = httpserver.url_for("/ping")
    answers = [("no", 500)] * 3 + [("OK", 200)] * 2
    for count, (body, status) in enumerate(answers):
        httpserver.expect_ordered_request("/ping").respond_with_data(body, status=status)
        heartbeat.record(now=after(60 * count))
        ping.ping_monitor(now=after(60 * count))
    reported = [record.getMessage() for record in caplog.records if record.name == "polling.monitoring.ping"]
    assert reported == [
        "the outside monitor cannot be reached: HTTPError",
        "the outside monitor can be reached again, after 0:03:00",
    ]


def test_a_monitor_that_never_answers_holds_the_worker_for_a_moment_only(
    settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it never answers, and nothing resets the connection
        settings.MONITOR_PING_URL = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        heartbeat.record(now=START)
        ping.ping_monitor(now=after(10))
    assert "the outside monitor cannot be reached" in caplog.text
