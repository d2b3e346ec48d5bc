"""The brief's rule to the letter, and how polls in the last five minutes are counted."""

from datetime import timedelta
from random import Random

from bench import literal_rule
from polling.cadence import DEFAULT_WINDOWS, Cadence
from tests.factories import START

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
