"""The counting of the benches: the brief's rule, and which slots a race missed."""

from datetime import timedelta
from random import Random
from typing import cast

import pytest

from bench import literal_rule, tick_lateness
from bench.catalog import BENCHES
from bench.provider import Provider
from bench.race_slots import KnownStart, RaceSlots, slots_of_races
from bench.virtual_day import VirtualDay
from polling.cadence import DEFAULT_WINDOWS, Cadence
from polling.models import Tick
from tests.factories import START, make_race
from tests.processes import ROOT

STEP = timedelta(seconds=15)
CADENCE = Cadence(DEFAULT_WINDOWS, STEP)
LAST_FIVE = [START - timedelta(minutes=5) + STEP * count for count in range(20)]


def test_the_literal_rule_skips_every_other_tick_of_the_last_five_minutes() -> None:
    ticks = [START - timedelta(minutes=8) + STEP * count for count in range(33)]
    polled = literal_rule.polls(START, ticks=ticks, until=START + timedelta(1), cadence=CADENCE, random=Random(1))
    assert literal_rule.last_five_minutes(polled, START) == (10, 30.0)


def test_the_gaps_at_both_ends_of_the_last_five_minutes_count() -> None:
    assert literal_rule.last_five_minutes(LAST_FIVE, START) == (20, 15.0)
    assert literal_rule.last_five_minutes([], START) == (0, 300.0)
    assert literal_rule.last_five_minutes(LAST_FIVE[:-2], START) == (18, 45.0)


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


def test_lateness_is_judged_only_where_all_workers_waited_nine_tenths_of_the_time() -> None:
    assert tick_lateness.doubt(0.9) == ""
    assert tick_lateness.doubt(0.85) == "all workers waited 85% of the time, not 90%"


@pytest.mark.django_db
def test_a_day_goes_on_where_its_tick_sleeps_and_ends_where_another_took_the_slot() -> None:
    day = VirtualDay(cast(Provider, None), Random(1))  # which nothing asks between two imports
    assert day.step(START + STEP) == day.ticked[-1]
    make_race(start=START, next_poll_at=START)
    Tick.objects.create(slot_at=START + 2 * STEP, started_at=START)
    with pytest.raises(AssertionError, match="this slot has been ticked already"):
        day.step(START + 2 * STEP)


def test_every_bench_of_the_catalog_has_its_module_and_its_line_in_the_readme() -> None:
    readme = (ROOT / "bench" / "README.md").read_text()
    for bench in BENCHES:
        assert (ROOT / "bench" / f"{bench.name}.py").exists()
        assert f"| `{bench.name}` |" in readme
