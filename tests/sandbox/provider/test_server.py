"""The simulated provider over real HTTP: routes, queries and the request log."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from sandbox.provider.race import Race
from tests.sandbox.provider_api import CARD, START, Provider, a_race, serving

MINUTE = timedelta(minutes=1)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("prefix", ["", "/affiliates/v1"])
def test_the_api_answers_with_and_without_its_prefix(provider: Provider, prefix: str) -> None:
    body = provider.get(f"{prefix}/racing/meetings").json()
    assert body["header"]["url"] == f"{prefix}/racing/meetings"
    assert len(body["data"]["meetings"]) > 8


@pytest.mark.parametrize("path", ["events/nobody", "list", "nothing", "events"])
def test_what_is_unknown_is_404_with_an_error_in_the_header(provider: Provider, path: str) -> None:
    response = provider.get(f"/racing/{path}")
    assert response.status_code == 404
    assert response.json()["header"]["error"]
    assert "data" not in response.json()


def test_one_connection_serves_many_requests(provider: Provider) -> None:
    ports = set()
    with closing(http.client.HTTPConnection(provider.host, provider.port, timeout=120)) as connection:
        for _ in range(3):
            connection.request("GET", "/racing/meetings")
            connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
    assert len(ports) == 1


def test_a_stopped_server_no_longer_answers_on_kept_connections() -> None:
    with serving() as running:
        connection = http.client.HTTPConnection(running.host, running.port, timeout=120)
        connection.request("GET", "/racing/meetings")
        connection.getresponse().read()
    connection.auto_open = 0
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.request("GET", "/racing/meetings")
        connection.getresponse()


def test_instants_clip_the_races_and_days_choose_meetings_by_their_racing_day(provider: Provider) -> None:
    window = {"date_from": START.isoformat(), "date_to": (START + 10 * MINUTE).isoformat()}
    starts = [datetime.fromisoformat(row["start_time"]) for row in provider.race_rows(**window)]
    assert 4 <= len(starts) <= 6
    assert all(START <= start <= START + 10 * MINUTE for start in starts)
    days = {meeting["date"] for meeting in provider.data("/racing/meetings")["meetings"]}
    assert days == {"2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"}
    tomorrow = provider.data("/racing/meetings", date_from="2026-11-24", date_to="2026-11-24")
    assert {meeting["date"] for meeting in tomorrow["meetings"]} == {"2026-11-24T00:00:00Z"}


def test_a_bare_date_parameter_is_silently_ignored(provider: Provider) -> None:
    body = provider.get("/racing/meetings", params={"date": "2020-01-01"}).json()
    assert body["data"] == provider.data("/racing/meetings")
    assert body["params"]["date_from"] == "2026-11-23T09:00:00Z"


def test_an_empty_list_is_left_out(provider: Provider) -> None:
    assert provider.data("/racing/meetings", date_to="2020-01-01") == {}


@pytest.mark.parametrize(
    "query", ["date_from=soon", "date_from=2026-11-23T09:00:00", "limit=many", "date_to=2026-13-01"]
)
def test_what_cannot_be_read_is_400(provider: Provider, query: str) -> None:
    assert provider.get(f"/racing/meetings?{query}").status_code == 400


def test_meetings_are_paged(provider: Provider) -> None:
    every = provider.data("/racing/meetings")["meetings"]
    page = provider.get("/racing/meetings", params={"limit": 3, "offset": 2}).json()
    assert page["data"]["meetings"] == every[2:5]
    assert (page["params"]["limit"], page["params"]["offset"]) == (3, 2)
    assert provider.get("/racing/meetings?limit=900").json()["params"]["limit"] == 200


def test_meetings_asked_by_id_come_whole(provider: Provider) -> None:
    first, second = (row["meeting"] for row in provider.data("/racing/meetings")["meetings"][:2])
    asked = provider.data("/racing/meetings", ids=f"{second},{first},nobody")["meetings"]
    assert {row["meeting"] for row in asked} == {first, second}
    for row in asked:
        assert [race["race_number"] for race in row["races"] if race["race_number"]] == list(range(1, 13))


def test_the_api_is_read_only(provider: Provider) -> None:
    assert requests.post(f"{provider.url}/racing/meetings", json={}, timeout=120).status_code == 405


def test_every_answer_of_the_api_takes_the_delay() -> None:
    with serving(delay_ms=80) as provider:
        provider.data("/racing/meetings")
        assert provider.log()[0]["duration_ms"] >= 80


def test_a_restarted_server_shows_the_same_card(provider: Provider) -> None:
    with serving() as other:
        for path in ("/racing/meetings", f"/racing/events/{a_race('Final').id}"):
            assert other.get(path).json() == provider.get(path).json()


def test_each_request_of_the_api_is_logged_once_and_control_requests_are_not(
    tmp_path: Path,
) -> None:
    race = a_race("Open")
    file = tmp_path / "requests.jsonl"
    with serving(request_log=file) as provider:
        provider.get(f"/racing/events/{race.id}?enc=json", headers={"From": "a@example.org", "X-Partner": "A"})
        provider.get("/racing/nothing")
        entries = provider.log()
        provider.control("DELETE", "requests")
        assert provider.log() == []
    first = {key: value for key, value in entries[0].items() if key != "duration_ms"}
    assert first == {
        "at": "2026-11-23T09:00:07.000+00:00",
        "method": "GET",
        "path": f"/racing/events/{race.id}",
        "query": "enc=json",
        "status": 200,
        "race_id": race.id,
        "from": "a@example.org",
        "x_partner": "A",
    }
    assert [entry["status"] for entry in entries] == [200, 404]
    assert [json.loads(line) for line in file.read_text().splitlines()] == entries


def test_requests_at_the_same_time_are_all_answered_and_logged(provider: Provider) -> None:
    card = CARD.listed(now=START)[:24]
    statuses: list[int] = []

    def ask(races: list[Race]) -> None:
        own = Provider((provider.host, provider.port))
        statuses.extend(own.get(f"/racing/events/{race.id}").status_code for race in races)

    threads = [threading.Thread(target=ask, args=(card[k::6],)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 24
    assert {entry["race_id"] for entry in provider.log()} == {race.id for race in card}
