"""What a payload of the TAB affiliates API does not say, says twice, or says so that it cannot be read."""

import json
from typing import Any

import pytest

from polling.errors import Unavailable
from polling.providers.tab_payloads import parse_event, parse_meetings
from tests.providers.payloads import WHO, fixture


def test_a_result_that_is_null_is_unknown_and_not_empty() -> None:
    payload = fixture("event_open")
    payload["data"] |= {"runners": None, "results": None, "dividends": None}
    answer = parse_event(payload, **WHO)
    assert (answer.runners, answer.results, answer.dividends) == (None, None, None)


@pytest.mark.parametrize(
    "payload",
    [
        {"header": {"error": "no such backend"}, "data": {}},
        {"header": {"error": "no such backend"}, "data": {"race": None}},
        {"error": "no such backend", "data": None},
        {"data": {"error": "no such backend"}},
    ],
    ids=str,
)
def test_an_error_in_place_of_a_race_is_no_answer_and_says_which(payload: Any) -> None:
    with pytest.raises(
        Unavailable, match="^the provider reports an error inside its answer: no such backend$"
    ) as caught:
        parse_event(payload, **WHO)
    assert (caught.value.http_status, caught.value.sample) == (200, json.dumps(payload))


def test_what_of_a_race_cannot_be_read_is_counted_on_it() -> None:
    payload = fixture("event_final")
    payload["header"]["error"] = "one pool is late"
    payload["data"]["runners"] += ["junk", {"runner_number": None, "name": "Nobody"}]
    payload["data"]["runners"][0]["name"] = "Caf\ufffd"
    payload["data"]["dividends"].append({"dividend": 7.5, "positions": []})
    payload["data"]["results"].append({"position": 9})
    counts = {"characters": 1, "dividends": 1, "errors": 1, "results": 1, "runners": 2}
    assert parse_event(payload, **WHO).left_out == tuple(counts.items())
    assert parse_event(fixture("event_final"), **WHO).left_out == ()


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_rows_with_one_id_the_one_that_says_more_counts(turned: bool) -> None:
    payload = fixture("meetings")
    races = payload["data"]["meetings"][0]["races"]
    poor = {**races[3], "status": None, "distance": None, "name": "Old Name"}
    races.insert(0 if turned else len(races), poor)
    card, expected = parse_meetings(payload, **WHO), parse_meetings(fixture("meetings"), **WHO)
    assert {race.provider_race_id: race for race in card.races} == {
        race.provider_race_id: race for race in expected.races
    }
    assert dict(card.left_out)["races reported twice"] == 1


def test_specials_and_rows_that_cannot_be_read_are_counted_apart() -> None:
    payload = fixture("meetings")
    payload["data"]["meetings"][0]["races"][0]["start_time"] = "noon"
    assert parse_meetings(payload, **WHO).left_out == (("rows", 1), ("rows that are no races", 1))


@pytest.mark.parametrize(("state", "zone"), [("WA", "Australia/Perth"), (None, ""), ("??", "")])
def test_a_track_whose_zone_a_row_does_not_say_keeps_the_one_that_is_known(state: str | None, zone: str) -> None:
    payload = fixture("event_open")
    payload["data"]["race"] |= {"country": "AUS", "state": state}
    meeting = parse_event(payload, **WHO).meeting
    assert meeting
    assert meeting.timezone == zone
