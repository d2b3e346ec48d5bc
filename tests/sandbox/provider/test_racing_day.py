"""The cards of whole racing days: how many races, how they are spread, and how a server shows them."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import pytest
from django.core.management import CommandError, call_command

from sandbox.provider.cards import CARDS
from sandbox.provider.race import Race
from sandbox.provider.race_state import state_of
from sandbox.provider.racing_day import (
    BUSY,
    HUGE,
    MARGIN,
    PERIOD,
    RACING,
    Day,
    DayCard,
    begin_of,
    day_number,
    racing_day,
)
from sandbox.provider.rolling_card import ADDRESSABLE
from tests.sandbox.provider_api import SEED, START, serving

REPOSITORY = Path(__file__).resolve().parents[3]
MINUTE = timedelta(minutes=1)
TICK = timedelta(seconds=15)
NUMBER = day_number(START)
BEGIN, END = begin_of(NUMBER), begin_of(NUMBER) + RACING


def inside_the_last_five_minutes(races: tuple[Race, ...]) -> list[int]:
    """How many races are there at each tick of the day; an abandoned race is nowhere any more."""
    counts: Counter[int] = Counter()
    for race in races:
        for tick in range(40 * 4):  # starts move by four minutes at most
            now = race.first_start - 30 * MINUTE + tick * TICK
            to_start = race.advertised_start(now) - now
            if timedelta() < to_start <= 5 * MINUTE and race.status(now) != "Abandoned":
                counts[(now - BEGIN) // TICK] += 1
    return [counts[tick] for tick in range(-20, RACING // TICK + 20)]


@pytest.mark.parametrize("seed", range(12))
def test_a_busy_day_has_750_races_in_27_hours_and_8_at_most_in_their_last_five_minutes(seed: int) -> None:
    races = racing_day(seed, NUMBER, BUSY).races
    assert len({race.id for race in races}) == 750
    assert (races[0].first_start, races[-1].first_start) == (BEGIN, END)
    assert all(before.first_start <= after.first_start for before, after in pairwise(races))
    assert max(inside_the_last_five_minutes(races)) == 8


def test_the_hours_of_a_busy_day_differ_as_those_of_a_real_one() -> None:
    hours = Counter((race.first_start - BEGIN) // (60 * MINUTE) for race in racing_day(SEED, NUMBER, BUSY).races)
    assert max(hours.values()) >= 45
    assert sum(count <= 20 for count in hours.values()) >= 8
    assert set(hours) == set(range(28))


def test_races_of_a_busy_day_are_as_late_as_those_of_the_rolling_card() -> None:
    late = [race.lateness.total_seconds() for race in racing_day(SEED, NUMBER, BUSY).races]
    assert 58 <= median(late) <= 75
    assert 235 <= quantiles(late, n=10)[-1] <= 320


def races_by_meeting(day: Day) -> dict[str, list[Race]]:
    meetings: dict[str, list[Race]] = {}
    for race in day.races:
        meetings.setdefault(race.meeting.id, []).append(race)
    return meetings


def test_meetings_of_a_busy_day_run_their_races_in_order() -> None:
    day = racing_day(SEED, NUMBER, BUSY)
    meetings = races_by_meeting(day)
    assert 70 <= len(meetings) <= 80
    for races in meetings.values():
        assert [race.number for race in races] == list(range(1, races[0].meeting.size + 1))
        assert len({race.meeting for race in races}) == 1
        assert all(before.first_start < after.first_start for before, after in pairwise(races))
    assert {race.meeting.track.code for race in day.races} == {"T", "H", "G"}


def test_a_day_is_a_function_of_seed_and_number_alone() -> None:
    known = racing_day(SEED, NUMBER, BUSY)
    program = (
        "from sandbox.provider.racing_day import BUSY, racing_day;"
        f"print(repr(racing_day({SEED}, {NUMBER}, BUSY).races))"
    )
    other = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert other.stdout == f"{known.races!r}\n"
    others = (racing_day(SEED + 1, NUMBER, BUSY), racing_day(SEED, NUMBER + 1, BUSY), racing_day(SEED, NUMBER, HUGE))
    for day in others:
        assert not day.by_id.keys() & known.by_id.keys()
        assert not races_by_meeting(day).keys() & races_by_meeting(known).keys()


def test_a_day_is_listed_whole_until_the_next_takes_its_place() -> None:
    card = DayCard(SEED, BUSY)
    day = racing_day(SEED, NUMBER, BUSY).races
    for now in (BEGIN - MARGIN, BEGIN, END, END + MARGIN - TICK):
        assert card.listed(now=now) == day
    assert card.listed(now=END + MARGIN) == racing_day(SEED, NUMBER + 1, BUSY).races


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_races_of_yesterday_today_and_tomorrow_are_found_if_they_are_within_36_hours(days: int) -> None:
    card = DayCard(SEED, BUSY)
    races = racing_day(SEED, NUMBER + days, BUSY).races
    near = [race for race in races if abs(race.first_start - BEGIN) <= ADDRESSABLE]
    assert len(near) > 30
    assert {card.find_race(race.id, now=BEGIN) for race in races} - {None} == set(near)


def test_a_race_is_found_the_next_day_and_with_its_meeting_but_not_for_ever() -> None:
    card, race = DayCard(SEED, BUSY), racing_day(SEED, NUMBER, BUSY).races[700]
    assert card.find_race(race.id, now=race.first_start + PERIOD) is race
    assert card.find_race(race.id, now=race.first_start + ADDRESSABLE + TICK) is None
    assert race in card.find_meeting(race.meeting.id, now=END + 10 * MARGIN)
    assert card.find_meeting("nobody", now=END) == ()


def test_a_server_shows_a_busy_day_from_first_to_last() -> None:
    with serving(card="busy", clock=lambda: BEGIN + RACING / 2) as provider:
        rows = provider.race_rows(limit=200)
        assert {row["id"] for row in rows} == racing_day(SEED, NUMBER, BUSY).by_id.keys()
        assert {row["status"] for row in rows} >= {"Open", "Interim", "Final", "Abandoned"}
        race = next(race for race in racing_day(SEED, NUMBER, BUSY).races if race.number == 1)
        assert provider.event(race)["race"]["race_number"] == 1
        provider.control("POST", f"races/{race.id}", {"status": "Live"})
        assert provider.event(race)["race"]["status"] == "Live"


def test_a_huge_card_of_5000_races_is_paged_by_200_meetings() -> None:
    with serving(card="huge") as provider:
        pages = [
            provider.data("/racing/meetings", limit=200, offset=offset).get("meetings", []) for offset in (0, 200, 400)
        ]
        assert [len(page) for page in pages[:2]] == [200, 200]
        assert 0 < len(pages[2]) < 200
        ids = [race["id"] for page in pages for row in page for race in row["races"] if race["race_number"]]
        assert len(ids) == len(set(ids)) == 5000


@pytest.mark.parametrize("card", CARDS)
def test_every_card_shows_races_whenever_it_is_asked(card: str) -> None:
    for hours in range(0, 40, 8):
        now = START + timedelta(hours=hours)
        assert any(state_of(race, now=now).status == "Open" for race in CARDS[card](SEED).listed(now=now))


def test_a_card_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice: 'tiny'"):
        call_command("sandbox", "provider", "--port", "0", "--card", "tiny")
