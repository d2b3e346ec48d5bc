"""How a test steers the simulated provider: faults and single races, over real HTTP."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from sandbox.provider.race import Race
from sandbox.provider.race_state import AFTER_THE_JUMP
from tests.sandbox.provider_api import START, Provider, a_race, serving

MINUTE = timedelta(minutes=1)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


def test_the_card_moves_on_with_the_clock(provider: Provider) -> None:
    race = a_race("Open")
    provider.now = race.jump_at + timedelta(seconds=1)
    reported = provider.event(race)["race"]
    assert reported["status"] in AFTER_THE_JUMP
    assert reported["actual_start"] == race.jump_at.timestamp()


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"kind": "rate_limited"}, 429), ({"kind": "error"}, 500), ({"kind": "error", "status": 503}, 503)],
)
def test_an_error_is_answered_as_often_as_asked_for(provider: Provider, fault: dict[str, Any], status: int) -> None:
    provider.fault(**fault, times=2)
    responses = [provider.get("/racing/meetings") for _ in range(3)]
    assert [response.status_code for response in responses] == [status, status, 200]
    assert responses[0].json()["header"]["error"]
    assert "Retry-After" not in responses[0].headers


@pytest.mark.parametrize("retry_after", [7, "Mon, 23 Nov 2026 09:01:00 GMT"])
def test_a_rate_limit_can_say_when_to_come_back(provider: Provider, retry_after: int | str) -> None:
    provider.fault("rate_limited", retry_after=retry_after)
    assert provider.get("/racing/meetings").headers["Retry-After"] == str(retry_after)


@pytest.mark.parametrize(("kind", "status"), [("blocked", 403), ("html", 200)])
def test_a_page_comes_from_in_front_of_the_api(provider: Provider, kind: str, status: int) -> None:
    provider.fault(kind)
    response = provider.get("/racing/meetings")
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html")


def test_a_malformed_answer_is_json_that_breaks_off(provider: Provider) -> None:
    provider.fault("malformed")
    response = provider.get("/racing/meetings")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.text.startswith('{"header":')
    with pytest.raises(ValueError, match="JSON|delimiter|Unterminated|Expecting"):
        json.loads(response.text)


def test_a_dropped_request_gets_no_answer_and_is_logged(provider: Provider) -> None:
    provider.fault("drop", times=1)
    with pytest.raises(requests.ConnectionError):
        provider.get("/racing/meetings")
    assert provider.get("/racing/meetings").status_code == 200
    assert [entry["status"] for entry in provider.log()] == [None, 200]


def test_a_slow_request_is_answered_late_and_can_fail_as_well(provider: Provider) -> None:
    provider.fault("slow", delay_ms=90, times=2)
    provider.fault("error", times=1)
    assert [provider.get("/racing/meetings").status_code for _ in range(2)] == [500, 200]
    assert all(entry["duration_ms"] >= 90 for entry in provider.log())


def test_a_fault_is_only_for_the_paths_and_races_that_it_names(provider: Provider) -> None:
    race, other = a_race("Open"), a_race("Final")
    provider.fault("error", path_contains="/events/", race_id=race.id)
    paths = [f"/racing/events/{race.id}", f"/racing/events/{other.id}", "/racing/meetings"]
    assert [provider.get(path).status_code for path in paths] == [500, 200, 200]
    provider.control("DELETE", "faults")
    assert provider.get(paths[0]).status_code == 200


def test_a_missing_race_is_left_out_of_lists_only(provider: Provider) -> None:
    race = a_race("Open")
    provider.fault("missing_race", race_id=race.id)
    rows = provider.race_rows()
    assert race.id not in {row["id"] for row in rows}
    assert len(rows) == 179
    assert provider.event(race)["race"]["event_id"] == race.id


def test_a_duplicate_race_is_there_twice_in_lists(provider: Provider) -> None:
    race = a_race("Open")
    provider.fault("duplicate_race", race_id=race.id)
    assert [row["id"] for row in provider.race_rows()].count(race.id) == 2


def test_an_unknown_status_is_reported_for_one_race_and_counts_only_where_it_shows(provider: Provider) -> None:
    race, other = a_race("Open"), a_race("Final")
    provider.fault("unknown_status", race_id=race.id, value="Protest", times=1)
    assert provider.event(other)["race"]["status"] == "Final"
    assert [provider.event(race)["race"]["status"] for _ in range(2)] == ["Protest", "Open"]


@pytest.mark.parametrize("body", [{"kind": "flood"}, {"kind": "error", "often": 3}, {"kind": "error", "times": 0}, {}])
def test_an_unknown_fault_is_refused(provider: Provider, body: dict[str, Any]) -> None:
    response = requests.post(f"{provider.url}/sandbox/faults", json=body, timeout=120)
    assert response.status_code == 400
    assert provider.get("/racing/meetings").json()["data"]["meetings"]


def steer(provider: Provider, race: Race, **changes: Any) -> None:
    provider.control("POST", f"races/{race.id}", changes)


def test_a_steered_status_wins_over_the_card_until_it_is_taken_back(provider: Provider) -> None:
    race = a_race("Open")
    steer(provider, race, status="Final", results=[[2], [1, 4], [3]])
    data = provider.event(race)
    assert data["race"]["status"] == "Final"
    assert [(row["position"], row["runner_number"]) for row in data["results"]] == [
        (1, 2),
        (2, 1),
        (2, 4),
        (4, 3),
    ]
    assert {row["status"] for row in data["dividends"]} == {"Interim", "Final"}
    assert next(row for row in provider.race_rows() if row["id"] == race.id)["status"] == "Final"
    steer(provider, race, status=None, results=None)
    assert provider.event(race)["race"]["status"] == "Open"
    assert "results" not in provider.event(race)


def test_a_steered_start_moves_all_that_follows_from_it(provider: Provider) -> None:
    race = a_race("Final")
    later = (START + 30 * MINUTE).replace(second=0)
    steer(provider, race, advertised_start=later.isoformat())
    assert provider.event(race)["race"]["advertised_start"] == later.timestamp()
    assert provider.event(race)["race"]["status"] == "Open"
    steer(provider, race, advertised_start=None)
    assert provider.event(race)["race"]["status"] == "Final"


def rows_of(provider: Provider, race: Race) -> list[dict[str, Any]]:
    """The race as an event and in its meeting."""
    return [provider.event(race)["race"], *(row for row in provider.race_rows() if row["id"] == race.id)]


def test_a_protest_is_reported_wherever_the_race_is_and_left_out_without_one(provider: Provider) -> None:
    race = a_race("Interim")
    steer(provider, race, protest=True, protest_reason="Crossed")
    rows = rows_of(provider, race)
    assert len(rows) == 2
    assert {(row["protest"], row["protest_reason"]) for row in rows} == {(True, "Crossed")}
    steer(provider, race, protest=False)
    assert not any({"protest", "protest_reason"} & row.keys() for row in rows_of(provider, race))


def test_a_final_result_can_be_corrected(provider: Provider) -> None:
    race = a_race("Final")
    first, second = (row["runner_number"] for row in provider.event(race)["results"][:2])
    steer(provider, race, results=[[second], [first]], dividends={"Pool Win": 7.7})
    data = provider.event(race)
    assert data["race"]["status"] == "Final"
    assert [row["runner_number"] for row in data["results"]] == [second, first]
    wins = {row["status"]: row for row in data["dividends"] if row["product_name"] == "Pool Win"}
    assert wins["Final"]["dividend"] == 7.7 != wins["Interim"]["dividend"]
    assert wins["Final"]["description"] == str(second)


def test_a_race_can_be_started_early(provider: Provider) -> None:
    race = a_race("Open")
    steer(provider, race, status="Closed")
    reported = provider.event(race)["race"]
    assert (reported["status"], reported["advertised_start"]) == ("Closed", race.advertised_start(START).timestamp())


def test_steered_scratchings_are_exactly_those_named(provider: Provider) -> None:
    race = a_race("Open")
    steer(provider, race, scratched=[2, 5])
    provider.now = START + MINUTE
    steer(provider, race, status="Open")
    runners = [runner for runner in provider.event(race)["runners"] if runner["is_scratched"]]
    scratched = [(runner["runner_number"], runner["scratch_time"]) for runner in runners]
    assert scratched == [(2, START.timestamp()), (5, START.timestamp())]
    steer(provider, race, scratched=[])
    assert not any(runner["is_scratched"] for runner in provider.event(race)["runners"])


def test_a_vanished_race_is_gone_from_lists_and_as_an_event(provider: Provider) -> None:
    race = a_race("Open")
    steer(provider, race, vanished=True)
    assert race.id not in {row["id"] for row in provider.race_rows()}
    assert provider.get(f"/racing/events/{race.id}").status_code == 404
    steer(provider, race, vanished=False)
    assert provider.get(f"/racing/events/{race.id}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "red"},
        {"scratched": [77]},
        {"results": [[1], [99]]},
        {"dividends": {"Pool Luck": 2}},
        {"advertised_start": "soon"},
    ],
)
def test_a_race_cannot_be_steered_where_it_cannot_go(provider: Provider, body: dict[str, Any]) -> None:
    url = f"{provider.url}/sandbox/races/{a_race('Open').id}"
    assert requests.post(url, json=body, timeout=120).status_code == 400


def test_a_race_that_is_not_on_the_card_cannot_be_steered(provider: Provider) -> None:
    response = requests.post(f"{provider.url}/sandbox/races/nobody", json={"status": "Final"}, timeout=120)
    assert response.status_code == 404
