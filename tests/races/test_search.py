"""Which races a search text finds: what the list shows, and nothing that has the same digits by chance."""

from datetime import date, timedelta

import pytest

from races.models import Meeting, Race, Runner
from races.search import search_meetings, search_races
from tests.factories import START, make_meeting, make_race

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 27)


@pytest.fixture
def card() -> dict[str, Race]:
    """Two tracks, one of them on two days; names and runners with the numbers of other races in them."""
    halloran = make_meeting(name="Mount Halloran", racing_day=date(2026, 11, 27), provider_meeting_id="mh-7-5")
    karewa = make_meeting(name="Karewa Downs", racing_day=date(2026, 11, 27))
    later = make_meeting(name="Karewa Downs", racing_day=date(2026, 11, 28))
    races = {f"H{number}": make_race(meeting=halloran, number=number, name="Plate") for number in (5, 7, 15)}
    races["K2"] = make_race(meeting=karewa, number=2, name="Maiden")
    races["K2 later"] = make_race(meeting=later, number=2, name="Rating 65 Handicap")
    races["H7"].name = "Mount Halloran 5 Furlong Cup"
    races["H7"].provider_race_id = "0a1b2c3d-5"
    races["H7"].save()
    races["H15"].provider_race_id = "0a1b2c3d-55"
    races["H15"].save()
    runners = {"H5": "Silver Fern", "K2": "Catch 22", "K2 later": "Silver Fernando", "H7": "Halloran 5"}
    for race, name in runners.items():
        Runner.objects.create(race=races[race], number=5, name=name)
    races["by hand"] = make_race(meeting=None, number=9, provider="", provider_race_id="", start=START)
    return races


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mount Halloran 5", {"H5"}),
        ("mount halloran r5", {"H5"}),
        ("Halloran R5", {"H5"}),
        ("Halloran race 5", {"H5"}),
        ("5 halloran", {"H5"}),
        ("Halloran 15", {"H15"}),
        ("Halloran 6", set()),  # never race 5 or 7 for 6
        ("Halloran 1", set()),  # nor race 15 for 1
        ("5", {"H5"}),
        ("R2", {"K2", "K2 later"}),
        ("Halloran", {"H5", "H7", "H15"}),
        ("Karewa Downs R2, 28 Nov", {"K2 later"}),
        ("Karewa Downs 27 November 2026", {"K2"}),
        ("Karewa Downs R2 2025-11-28", set()),
        ("28 Nov", {"K2 later"}),
        ("23 Nov", {"by hand"}),
        ("Silver Fern", {"H5", "K2 later"}),
        ("silver fern 5", {"H5"}),
        ("Silver Fern R7", set()),
        ("Fern", set()),  # a runner is found by how its name begins
        ("Catch 22", {"K2"}),
        ("Catch 2", {"K2"}),  # it runs in race 2
        ("Rating 65", {"K2 later"}),
        ("Rating 6", set()),
        ("Rating 65 Handicap", {"K2 later"}),
        ("rating handicap", {"K2 later"}),
        ("Maiden", {"K2"}),
        ("Karewa Maiden 2", {"K2"}),
        ("0a1b2c3d-5", {"H7"}),
        ("0A1B2C3D", {"H7", "H15"}),
        ("nobody", set()),
        ("100%", set()),
        ("", {"H5", "H7", "H15", "K2", "K2 later", "by hand"}),
    ],
)
def test_a_text_finds(text: str, found: set[str], card: dict[str, Race]) -> None:
    names = {race.pk: name for name, race in card.items()}
    assert {names[race.pk] for race in search_races(Race.objects.all(), text, today=TODAY)} == found


def test_every_race_is_found_by_the_name_that_is_shown(card: dict[str, Race]) -> None:
    for race in Race.objects.exclude(meeting=None).select_related("meeting"):
        assert race in search_races(Race.objects.all(), str(race), today=TODAY)
        others = search_races(Race.objects.all(), str(race), today=TODAY).exclude(number=race.number)
        assert list(others) == []


def test_a_name_that_begins_with_a_number_is_found(card: dict[str, Race]) -> None:
    Runner.objects.create(race=card["H15"], number=1, name="2 Be Sure")
    assert list(search_races(Race.objects.all(), "2 be sure", today=TODAY)) == [card["H15"]]


def test_a_race_near_the_turn_of_the_year_is_found_by_a_day_without_a_year() -> None:
    meeting = make_meeting(name="Te Rua", racing_day=date(2027, 1, 1))
    race = make_race(meeting=meeting, start=START + timedelta(days=39))
    assert list(search_races(Race.objects.all(), "Te Rua 1 Jan", today=date(2026, 12, 31))) == [race]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Halloran", 1), ("Karewa Downs", 2), ("Karewa Downs 2026-11-28", 1), ("Karewa 28 Nov", 1), ("mh-7", 1),
        ("mh-7-5", 1), ("7", 0), ("", 3),
    ],
)  # fmt: skip
def test_a_meeting_is_found_by_track_day_and_id(text: str, found: int, card: dict[str, Race]) -> None:
    assert search_meetings(Meeting.objects.all(), text, today=TODAY).count() == found
