"""Faults in how an answer is sent, answers to another question, and a provider whose clock is wrong."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from sandbox.provider.race_state import AFTER_THE_JUMP
from tests.sandbox.provider_api import CARD, START, Provider, a_race, serving


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 120
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def dripping(provider: Provider) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A request of its own connection, whose first byte has come."""
    connection = http.client.HTTPConnection(provider.host, provider.port, timeout=120)
    connection.request("GET", "/racing/meetings")
    response = connection.getresponse()
    assert response.read(1) == b"{"
    return connection, response


def test_a_dripping_answer_comes_byte_by_byte_and_is_whole_in_the_end(provider: Provider) -> None:
    provider.fault("drip", delay_ms=1, path_contains="/events/", times=1)
    race = a_race("Open")
    started = time.monotonic()
    body = provider.get(f"/racing/events/{race.id}?enc=json")
    assert body.json()["data"]["race"]["event_id"] == race.id
    assert time.monotonic() - started >= len(body.content) / 1000


def test_a_dripping_thread_ends_when_the_caller_hangs_up(provider: Provider) -> None:
    provider.fault("drip", delay_ms=20, times=1)
    before = set(threading.enumerate())
    connection, response = dripping(provider)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 1
    response.close()
    connection.close()
    assert eventually(lambda: not any(thread.is_alive() for thread in threads))


def test_a_dripping_thread_ends_when_the_server_stops() -> None:
    before = set(threading.enumerate())
    with serving() as running:
        running.fault("drip", delay_ms=60_000, times=1)
        connection, response = dripping(running)
        threads = set(threading.enumerate()) - before
        assert len(threads) >= 3
    assert eventually(lambda: not any(thread.is_alive() for thread in threads))
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_a_cut_answer_is_reset_in_the_middle_of_its_body(provider: Provider) -> None:
    provider.fault("cut", times=1)
    connection = http.client.HTTPConnection(provider.host, provider.port, timeout=120)
    connection.request("GET", "/racing/meetings")
    response = connection.getresponse()
    length, got = int(response.headers["Content-Length"]), b""
    with pytest.raises(ConnectionResetError):
        while chunk := response.read1():
            got += chunk
    assert response.status == 200
    assert len(got) < length
    assert provider.get("/racing/meetings").status_code == 200
    assert [entry["status"] for entry in provider.log()] == [200, 200]
    connection.close()


def test_a_wrong_race_is_answered_to_events_only(provider: Provider) -> None:
    race = CARD.listed(now=START)[0]
    provider.fault("wrong_race", times=1)
    assert provider.get("/racing/meetings").status_code == 200
    reported = [provider.event(race)["race"] for _ in range(2)]
    assert reported[0]["event_id"] != race.id == reported[1]["event_id"]
    assert reported[0]["event_id"] in {other.id for other in CARD.listed(now=START)}
    assert [entry["race_id"] for entry in provider.log()] == [None, race.id, race.id]


@pytest.mark.parametrize("skew", [timedelta(hours=-2), timedelta(seconds=95), timedelta(days=1)])
def test_all_that_a_provider_reports_follows_its_clock(provider: Provider, skew: timedelta) -> None:
    race = a_race("Open")
    provider.now = there = START + skew
    for _ in range(2):
        response = provider.get(f"/racing/events/{race.id}")
        assert response.json()["header"]["generated_time"].startswith(f"{there:%Y-%m-%dT%H:%M:%S}")
        assert parsedate_to_datetime(response.headers["Date"]) == there
        assert response.json()["data"]["race"]["status"] == race.status(there)
    assert race.status(START + timedelta(days=1)) in AFTER_THE_JUMP | {"Abandoned"}
