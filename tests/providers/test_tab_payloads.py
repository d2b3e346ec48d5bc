"""The TAB affiliates API's payloads, read on invented ones of the same shape."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from polling.errors import Malformed
from polling.providers.base import Schedule
from polling.providers.tab_payloads import (
    STATUSES,
    echoed_param,
    listed_ids,
    parse_event,
    parse_meetings,
)
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope
from races.status import Outcome, RaceStatus, ResultState
from tests.providers.payloads import NOW, NZ_MEETING, OHIO_MEETING, QLD_MEETING, WHO, fixture, race_id

SCHEDULED, IN_PROGRESS, FINALIZED = RaceStatus
NO_RESULT, INTERIM, FINAL = ResultState


def by_id(schedule: Schedule) -> dict[str, RaceSnapshot]:
    return {race.provider_race_id: race for race in schedule.races}


# --- statuses ---


@pytest.mark.parametrize(
    ("written", "status", "outcome", "result_state"),
    [
        ("Open", SCHEDULED, None, NO_RESULT),
        ("Closed", IN_PROGRESS, None, NO_RESULT),
        ("Live", IN_PROGRESS, None, NO_RESULT),
        ("Interim", IN_PROGRESS, None, INTERIM),
        ("Final", FINALIZED, Outcome.RESULTED, FINAL),
        ("Abandoned", FINALIZED, Outcome.ABANDONED, NO_RESULT),
        ("FINAL", FINALIZED, Outcome.RESULTED, FINAL),
        (" interim ", IN_PROGRESS, None, INTERIM),
        ("Cancelled", FINALIZED, Outcome.ABANDONED, NO_RESULT),
        ("Void", FINALIZED, Outcome.VOID, NO_RESULT),
        ("No Race", FINALIZED, Outcome.VOID, NO_RESULT),
        ("Postponed", FINALIZED, Outcome.POSTPONED, NO_RESULT),
        ("Parading", None, None, None),
        ("", None, None, None),
        (None, None, None, None),
        (7, None, None, None),
    ],
)
def test_each_status_of_the_provider_has_its_meaning(
    written: Any, status: RaceStatus | None, outcome: Outcome | None, result_state: ResultState | None
) -> None:
    payload = fixture("event_open")
    payload["data"]["race"]["status"] = written
    race = parse_event(payload, **WHO)
    assert (race.status, race.outcome, race.result_state) == (status, outcome, result_state)


def test_every_status_that_the_provider_documents_is_mapped_and_each_way_to_call_a_race_off() -> None:
    documented = {"open", "closed", "abandoned", "live", "interim", "final"}
    assert set(STATUSES) - documented == {"cancelled", "canceled", "void", "voided", "no race", "norace", "postponed"}
    assert set(STATUSES) > documented
    assert {meaning.outcome for meaning in STATUSES.values()} == {None, *Outcome}


@pytest.mark.parametrize(("written", "unknown"), [("Parading", "Parading"), ("", None), (None, None), ("open", None)])
def test_only_a_status_without_a_meaning_is_unknown(written: Any, unknown: str | None) -> None:
    payload = fixture("event_open")
    payload["data"]["race"]["status"] = written
    assert parse_event(payload, **WHO).unknown_status == unknown


# --- meetings ---


def test_meetings_have_the_status_and_start_of_every_race_and_count_specials() -> None:
    card = parse_meetings(fixture("meetings"), **WHO)
    assert [(race.number, race.provider_status, race.status) for race in card.races] == [
        (1, "Final", FINALIZED),
        (2, "Interim", IN_PROGRESS),
        (3, "Closed", IN_PROGRESS),
        (4, "Open", SCHEDULED),
        (1, "OPEN", SCHEDULED),
        (2, "Abandoned", FINALIZED),
        (3, "Parading", None),
        (1, None, None),
        (2, "Live", IN_PROGRESS),
    ]
    assert card.skipped == 1


def test_a_race_of_a_meeting_is_read_whole() -> None:
    assert by_id(parse_meetings(fixture("meetings"), **WHO))[race_id(1)] == RaceSnapshot(
        provider="tab",
        provider_race_id=race_id(1),
        scope=Scope.STATUS,
        observed_at=NOW,
        source_time=datetime(2026, 11, 23, 3, 0, 11, 805562, tzinfo=UTC),
        meeting=MeetingSnapshot(
            provider="tab",
            provider_meeting_id=NZ_MEETING,
            name="Kererū Park",
            country="NZ",
            state="NZ",
            code="thoroughbred",
            provider_day=date(2026, 11, 23),
            timezone="Pacific/Auckland",
        ),
        number=1,
        name="Tussock Maiden",
        distance_m=1200,
        advertised_start=datetime(2026, 11, 23, 0, 10, tzinfo=UTC),
        status=FINALIZED,
        provider_status="Final",
        outcome=Outcome.RESULTED,
        result_state=FINAL,
        protest=True,
    )


def test_meetings_have_their_code_and_zone() -> None:
    meetings = {race.meeting for race in parse_meetings(fixture("meetings"), **WHO).races if race.meeting}
    assert {(m.provider_meeting_id, m.code, m.timezone) for m in meetings} == {
        (NZ_MEETING, "thoroughbred", "Pacific/Auckland"),
        (QLD_MEETING, "greyhound", "Australia/Brisbane"),
        (OHIO_MEETING, "harness", "America/New_York"),
    }


def test_one_unreadable_row_costs_no_other_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    payload = fixture("meetings")
    payload["data"]["meetings"][0]["races"][0]["start_time"] = "noon"
    payload["data"]["meetings"][0]["races"][1] = "a race"
    payload["data"]["meetings"] += ["a meeting", {"meeting": "m", "races": "none"}]
    with caplog.at_level(logging.WARNING):
        card = parse_meetings(payload, **WHO)
    assert len(card.races) == 7
    assert card.skipped == 5
    assert [record.getMessage() for record in caplog.records] == [
        "tab: 4 rows could not be read, the first: not an instant: 'noon'"
    ]


def test_specials_alone_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    parse_meetings(fixture("meetings"), **WHO)
    assert not caplog.records


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda row: row.update(race_number=0), id="number 0"),
        pytest.param(lambda row: row.pop("race_number"), id="no number"),
        pytest.param(lambda row: row.pop("id"), id="no id"),
        pytest.param(lambda row: row.update(id=""), id="a blank id"),
        pytest.param(lambda row: row.update(id="x" * 81), id="an id too long to store"),
    ],
)
def test_a_row_that_is_no_race_is_skipped_and_counted(bend: Callable[[dict[str, Any]], Any]) -> None:
    payload = fixture("meetings")
    bend(payload["data"]["meetings"][0]["races"][3])
    card = parse_meetings(payload, **WHO)
    assert race_id(4) not in by_id(card)
    assert (len(card.races), card.skipped) == (8, 2)


def test_of_two_rows_with_one_id_the_later_counts() -> None:
    payload = fixture("meetings")
    payload["data"]["meetings"][1]["races"][0]["id"] = race_id(4)
    card = parse_meetings(payload, **WHO)
    assert len(card.races) == 8
    assert by_id(card)[race_id(4)].name == "Dust Devil Dash"


@pytest.mark.parametrize("empty", [{}, {"meetings": None}, {"meetings": []}], ids=str)
def test_a_page_without_meetings_has_no_races(empty: dict[str, Any]) -> None:
    assert parse_meetings({"data": empty}, **WHO) == Schedule(())


def test_a_meeting_without_races_or_id_costs_nothing() -> None:
    payload = fixture("meetings")
    payload["data"]["meetings"][0].pop("meeting")
    payload["data"]["meetings"][1].pop("races")
    card = parse_meetings(payload, **WHO)
    assert by_id(card)[race_id(4)].meeting is None
    assert (len(card.races), card.skipped) == (6, 1)


def test_a_page_has_its_meetings_and_the_parameters_that_the_provider_took() -> None:
    page = fixture("meetings")
    assert listed_ids(page).meetings == {NZ_MEETING, QLD_MEETING, OHIO_MEETING}
    assert echoed_param(page, "limit") == 200
    assert echoed_param(page, "date") is None


# --- one race ---


def test_an_open_race_has_not_started_though_its_actual_start_is_set() -> None:
    race = parse_event(fixture("event_open"), **WHO)
    assert race.scope is Scope.FULL
    assert race.advertised_start == datetime(2026, 11, 23, 3, 40, tzinfo=UTC)
    assert race.actual_start is None
    assert (race.results, race.dividends) == ((), ())


@pytest.mark.parametrize(
    ("status", "minutes_late", "started"),
    [
        ("Open", 0, False),
        ("Open", 2, True),
        ("Closed", 0, True),
        ("Live", 2, True),
        ("Interim", 0, True),
        ("Final", 0, True),
        ("Abandoned", 0, False),
        ("Mystery", 0, False),
        ("Mystery", 2, True),
        (None, 0, False),
    ],
)
def test_an_actual_start_is_reported_once_it_says_something(
    status: str | None, minutes_late: int, started: bool
) -> None:
    payload = fixture("event_open")
    race = payload["data"]["race"]
    race.update(status=status, actual_start=race["advertised_start"] + 60 * minutes_late)
    assert (parse_event(payload, **WHO).actual_start is not None) is started


def test_the_start_is_read_from_its_text_where_the_seconds_are_missing() -> None:
    payload = fixture("event_open")
    payload["data"]["race"]["advertised_start"] = 0
    assert parse_event(payload, **WHO).advertised_start == datetime(2026, 11, 23, 3, 40, tzinfo=UTC)


def test_an_event_has_its_meeting_but_not_its_day() -> None:
    meeting = parse_event(fixture("event_open"), **WHO).meeting
    assert meeting == MeetingSnapshot(
        provider="tab",
        provider_meeting_id=NZ_MEETING,
        name="Kererū Park",
        country="NZ",
        state="NZ",
        code="thoroughbred",
        provider_day=None,
        timezone="Pacific/Auckland",
    )


def test_runners_that_are_left_out_are_unknown() -> None:
    payload = fixture("event_open")
    payload["data"].pop("runners")
    assert parse_event(payload, **WHO).runners is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Open", ()), ("Closed", ()), ("Abandoned", ()), ("Interim", None), ("Final", None), ("Mystery", None)],
)
def test_a_result_that_is_left_out_is_empty_before_it_and_unknown_after(
    status: str, expected: tuple[()] | None
) -> None:
    payload = fixture("event_open")
    payload["data"]["race"]["status"] = status
    race = parse_event(payload, **WHO)
    assert (race.results, race.dividends) == (expected, expected)


@pytest.mark.parametrize("field", ["race_number", "distance", "description", "type", "country"])
def test_a_race_asked_for_by_id_may_lack_optional_fields(field: str) -> None:
    payload = fixture("event_open")
    payload["data"]["race"].pop(field)
    assert parse_event(payload, **WHO).provider_race_id == race_id(4)


def test_a_track_without_a_country_leaves_its_zone_blank() -> None:
    payload = fixture("event_open")
    payload["data"]["race"].update(country="", state="")
    meeting = parse_event(payload, **WHO).meeting
    assert meeting is not None
    assert meeting.timezone == ""


# --- shapes that cannot be read ---


@pytest.mark.parametrize("parse", [parse_event, parse_meetings])
@pytest.mark.parametrize("payload", [{}, {"data": None}, {"data": []}, [], "no", None], ids=repr)
def test_an_answer_without_data_is_malformed_and_leaves_a_sample(parse: Callable[..., Any], payload: Any) -> None:
    with pytest.raises(Malformed) as caught:
        parse(payload, **WHO)
    assert caught.value.sample == json.dumps(payload)
    assert caught.value.http_status == 200


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"race": None},
        {"race": ["no"]},
        {"race": {}},
        {"race": {"event_id": "r", "advertised_start": "noon"}},
        {"race": {"event_id": "r"}, "runners": "no"},
        {"race": {"event_id": "r"}, "results": {}},
        {"race": {"event_id": "r"}, "dividends": 7},
    ],
    ids=str,
)
def test_an_event_of_a_wrong_shape_is_malformed(data: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        parse_event({"data": data}, **WHO)
    assert json.loads(caught.value.sample) == {"data": data}


def test_a_list_of_a_wrong_shape_is_malformed() -> None:
    with pytest.raises(Malformed, match="meetings is not a list"):
        parse_meetings({"data": {"meetings": {"0": {}}}}, **WHO)
