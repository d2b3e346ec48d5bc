"""Which slots a race had, and which it missed."""

from datetime import timedelta

import pytest

from bench.race_slots import KnownStart, RaceSlots, slots_of_races
from tests.factories import START, make_race

STEP = timedelta(seconds=15)
LAST_FIVE = [START - timedelta(minutes=5) + STEP * count for count in range(20)]


def race_slots(polled: list[int]) -> RaceSlots:
    """A race with the twenty slots of its last five minutes, polled a second after those of these numbers."""
    late = timedelta(seconds=1)
    known = KnownStart(START - timedelta(hours=2), START, waiting=True)
    return RaceSlots([known], START, LAST_FIVE, [LAST_FIVE[i] + late for i in polled])


def test_a_slot_is_missed_if_no_poll_began_before_the_next() -> None:
    assert race_slots(list(range(20))).missed == []
    assert race_slots([i for i in range(20) if i not in (3, 19)]).missed == [LAST_FIVE[3], LAST_FIVE[19]]


def test_a_race_without_slots_missed_none() -> None:
    assert RaceSlots([KnownStart(START, START, waiting=True)], START, [], []).missed == []


@pytest.mark.django_db
def test_the_slots_of_a_race_that_waits_past_its_start_are_planned_until_it_is_known_to_have_jumped() -> None:
    race = make_race()
    jump = START + timedelta(seconds=70)
    starts = {race.pk: [KnownStart(START, START, waiting=True), KnownStart(jump, START, waiting=False)]}
    [slots] = slots_of_races(starts, until=START + timedelta(minutes=11))
    held = [START + timedelta(seconds=15 * number) for number in range(5)]
    assert slots.planned == [*held, START + timedelta(minutes=5), START + timedelta(minutes=10)]
