"""Recorded payloads of the real provider are read as a person reads them."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from polling.providers.base import Schedule
from polling.providers.tab_payloads import parse_event, parse_meetings
from races import ingest
from races.models import Race
from races.snapshots import Label, RaceSnapshot, RunnerSnapshot, Scope
from races.status import Outcome, RaceStatus, ResultState
from tests.providers.payloads import WHO, recording


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def at_track(schedule: Schedule, track: str) -> list[RaceSnapshot]:
    return [race for race in schedule.races if race.meeting and race.meeting.name == track]


def runner(race: RaceSnapshot, number: int) -> RunnerSnapshot:
    return next(runner for runner in race.runners or () if runner.number == number)


def winnings(race: RaceSnapshot, product: str) -> dict[tuple[Label, ...], Decimal]:
    return {paid.selection: paid.amount for paid in race.dividends or () if paid.product == product}


# --- TAB NZ ---


@pytest.fixture
def today() -> Schedule:
    return parse_meetings(recording("tabnz/meetings_today_trimmed.json"), **WHO)


def test_todays_card_has_every_race_with_its_status(today: Schedule) -> None:
    assert (len(today.races), today.skipped) == (124, 0)
    assert Counter(race.provider_status for race in today.races) == {
        "Final": 59,
        "Open": 43,
        "Abandoned": 17,
        "Interim": 3,
        "Closed": 2,
    }
    assert Counter(race.status for race in today.races) == {
        RaceStatus.FINALIZED: 76,
        RaceStatus.SCHEDULED: 43,
        RaceStatus.IN_PROGRESS: 5,
    }
    assert Counter(race.outcome for race in today.races)[Outcome.ABANDONED] == 17
    assert not [race for race in today.races if race.unknown_status]


def test_todays_card_has_every_track_in_its_zone(today: Schedule) -> None:
    meetings = {race.meeting for race in today.races if race.meeting}
    assert {(m.name, m.code, m.timezone) for m in meetings} == {
        ("Elazig", "thoroughbred", "Europe/Istanbul"),
        ("Thistledown", "thoroughbred", "America/New_York"),
        ("Youghal", "greyhound", "Europe/Dublin"),
        ("Presque Isle Downs", "thoroughbred", "America/New_York"),
        ("Mount Gambier", "greyhound", "Australia/Adelaide"),
        ("Tokyo City Keiba", "thoroughbred", "Asia/Tokyo"),
        ("Penrith", "harness", "Australia/Sydney"),
        ("Angle Park", "greyhound", "Australia/Adelaide"),
        ("Cherbourg", "harness", "Europe/Paris"),
        ("Turffontein", "thoroughbred", "Africa/Johannesburg"),
        ("Waterford", "greyhound", "Europe/Dublin"),
        ("Mandurah", "greyhound", "Australia/Perth"),
    }
    assert {m.provider_day for m in meetings} == {date(2025, 7, 17)}


def test_one_racing_day_spans_two_utc_dates(today: Schedule) -> None:
    starts = [race.advertised_start for race in today.races if race.advertised_start]
    assert (min(starts), max(starts)) == (utc(2025, 7, 16, 14, 15), utc(2025, 7, 17, 15, 0))
    assert {race.source_time for race in today.races} == {utc(2025, 7, 17, 10, 48, 11, 805562)}


@pytest.mark.django_db
def test_every_meeting_of_todays_card_races_on_its_own_day(today: Schedule) -> None:
    ingest.apply(today.races, now=utc(2025, 7, 17, 10, 48))
    races = list(Race.objects.select_related("meeting"))
    racing = {(race.meeting_id, race.advertised_start.astimezone(race.zone).date()) for race in races}
    assert {(race.meeting_id, race.racing_day) for race in races} <= racing
    assert {str(race.racing_day) for race in races} == {"2025-07-16", "2025-07-17"}


def test_a_meeting_abandoned_whole_and_one_in_part_differ(today: Schedule) -> None:
    assert {race.outcome for race in at_track(today, "Youghal")} == {Outcome.ABANDONED}
    assert [race.number for race in at_track(today, "Thistledown") if race.outcome is Outcome.ABANDONED] == [8]


def test_the_first_race_of_elazig_is_read_whole(today: Schedule) -> None:
    race = at_track(today, "Elazig")[0]
    assert (race.number, race.name, race.distance_m) == (1, "Race 1", 2000)
    assert (race.advertised_start, race.actual_start) == (utc(2025, 7, 16, 14, 15), None)
    assert (race.result_state, race.scope, race.runners) == (ResultState.FINAL, Scope.STATUS, None)


def test_a_meeting_asked_by_its_id_has_its_races() -> None:
    card = parse_meetings(recording("tabnz/meetings_by_id.json"), **WHO)
    assert [race.number for race in card.races] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {race.status for race in card.races} == {RaceStatus.FINALIZED}
    first = card.races[0]
    assert first.meeting is not None
    assert (first.meeting.name, first.meeting.timezone) == ("Grafton", "Australia/Sydney")
    assert (first.name, first.advertised_start) == ("Sky Racing Mother's Gift", utc(2025, 7, 17, 2, 42))


@pytest.fixture
def awapuni() -> RaceSnapshot:
    return parse_event(recording("tabnz/event_final_trimmed.json"), **WHO)


def test_a_finished_race_has_its_facts(awapuni: RaceSnapshot) -> None:
    assert (awapuni.name, awapuni.number, awapuni.distance_m) == ("PRYDA HANDICAP 1700", 1, 1700)
    assert (awapuni.status, awapuni.outcome) == (RaceStatus.FINALIZED, Outcome.RESULTED)
    assert awapuni.advertised_start == utc(2025, 7, 17, 0, 50)
    assert awapuni.actual_start == utc(2025, 7, 17, 0, 52, 46)
    assert awapuni.source_time == utc(2025, 7, 17, 11, 16, 59, 189042)
    assert awapuni.meeting is not None
    assert (awapuni.meeting.name, awapuni.meeting.timezone) == ("Awapuni Synthetic", "Pacific/Auckland")


def test_a_finished_race_has_its_order_and_margins(awapuni: RaceSnapshot) -> None:
    results = awapuni.results or ()
    assert [result.runner_number for result in results] == [2, 4, 7, 6, 5, 1, 8, 3]
    assert [result.position for result in results] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (results[0].name, results[1].margin, results[7].margin) == ("Frosbie", Decimal("0.4"), Decimal(7))


def test_a_finished_race_has_its_field_and_odds(awapuni: RaceSnapshot) -> None:
    assert [runner.number for runner in awapuni.runners or ()] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not [runner for runner in awapuni.runners or () if runner.scratched]
    ruji = runner(awapuni, 4)
    assert (ruji.name, ruji.barrier, ruji.jockey, ruji.trainer) == ("Ruji", 1, "Liam Kauri", "Suzy Gordon")
    odds = [ruji.fixed_win, ruji.fixed_place, ruji.tote_win, ruji.tote_place]
    assert [str(price) for price in odds] == ["4.20", "1.65", "4.80", "1.90"]


def test_a_finished_race_has_its_final_dividends_alone(awapuni: RaceSnapshot) -> None:
    assert len(awapuni.dividends or ()) == 7
    assert {paid.state for paid in awapuni.dividends or ()} == {ResultState.FINAL}
    assert {paid.pool for paid in awapuni.dividends or ()} == {"NZ"}
    assert winnings(awapuni, "Pool Win") == {(2,): Decimal("6.60")}
    places = {(2,): Decimal("1.70"), (4,): Decimal("1.90"), (7,): Decimal("3.70")}
    assert winnings(awapuni, "Pool Place") == places
    assert winnings(awapuni, "Pool First4") == {(2, 4, 7, 6): Decimal("1350.40")}


# --- Ladbrokes and Neds ---


def test_a_meeting_without_statuses_leaves_them_blank_and_its_special_out() -> None:
    card = parse_meetings(recording("entain_affiliates/meetings_docs_example.json"), **WHO)
    (race,) = card.races
    assert card.skipped == 1
    assert (race.name, race.number) == ("Skyview Windows Mdn Plate", 1)
    assert (race.status, race.provider_status, race.distance_m) == (None, None, None)
    assert race.meeting is not None
    assert (race.meeting.name, race.meeting.timezone) == ("Queanbeyan", "Australia/Sydney")


def test_a_finished_greyhound_race_has_a_winner_and_dividends() -> None:
    race = parse_event(recording("entain_affiliates/event_final_docs_example.json"), **WHO)
    assert race.meeting is not None
    assert (race.meeting.name, race.meeting.code, race.meeting.timezone) == (
        "Palm Beach",
        "greyhound",
        "America/New_York",
    )
    assert race.advertised_start == race.actual_start == utc(2019, 8, 18, 18, 6)
    assert [(result.position, result.name) for result in race.results or ()] == [
        (1, "Hot Dog Safari"),
        (2, "Megan Rapinoe"),
        (3, "Pj Smoke Out"),
    ]
    assert winnings(race, "Trifecta") == {(4, 7, 3): Decimal("133.71")}
    assert winnings(race, "Exacta") == {(4, 7): Decimal("30.50")}
    assert (runner(race, 1).name, runner(race, 1).jockey, runner(race, 1).fixed_place) == ("Kissa", "", Decimal("1.75"))


def test_a_race_before_its_start_has_two_scratchings_and_no_result() -> None:
    race = parse_event(recording("entain_affiliates/event_open_2026_excerpt.json"), **WHO)
    assert (race.status, race.advertised_start) == (RaceStatus.SCHEDULED, utc(2026, 8, 29, 1, 18))
    assert (race.actual_start, race.results, race.dividends) == (None, (), ())
    assert race.meeting is not None
    assert (race.meeting.name, race.meeting.timezone) == ("Eagle Farm", "Australia/Brisbane")
    assert [(runner.name, runner.scratched) for runner in race.runners or ()] == [
        ("Get Ready Lass", True),
        ("Jimmy's Brother", True),
        ("Howdoyouzou", False),
    ]
    assert runner(race, 1).scratched_at == utc(2026, 8, 26, 6, 59, 35)
    assert (runner(race, 3).fixed_win, runner(race, 3).tote_win) == (Decimal("2.30"), None)


# --- the provider's own description ---


def test_every_field_that_the_parser_relies_on_is_described_by_the_provider() -> None:
    schemas: dict[str, Any] = recording("tabnz/openapi.json")["components"]["schemas"]
    relied_on = {
        "EventRace": "event_id meeting_id meeting_name race_number status distance country state type advertised_start "
        "actual_start advertised_start_string actual_start_string description protest",
        "EventRunner": "runner_number name barrier jockey trainer_name is_scratched is_late_scratched scratch_time "
        "scr_time odds",
        "odds": "fixed_win fixed_place pool_win pool_place",
        "EventResult": "position runner_number name margin_length",
        "EventDividend": "tote product_name status dividend positions",
        "EventDividendPosition": "runner_number position",
        "MeetingData": "meeting name date category country state races",
        "MeetingRace": "id race_number name start_time distance status protest",
    }
    missing = {
        f"{name}.{field}"
        for name, fields in relied_on.items()
        for field in fields.split()
        if field not in schemas[name]["properties"]
    }
    assert missing == set()
