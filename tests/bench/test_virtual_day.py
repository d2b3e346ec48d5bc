"""A virtual clock over the real tick."""

from datetime import timedelta
from random import Random
from typing import cast

import pytest

from bench.provider import Provider
from bench.virtual_day import VirtualDay
from polling.models import Tick
from tests.factories import START, make_race

STEP = timedelta(seconds=15)


@pytest.mark.django_db
def test_a_day_goes_on_where_its_tick_sleeps_and_ends_where_another_took_the_slot() -> None:
    day = VirtualDay(cast(Provider, None), Random(1))  # which nothing asks between two imports
    assert day.step(START + STEP) == day.ticked[-1]
    make_race(start=START, next_poll_at=START)
    Tick.objects.create(slot_at=START + 2 * STEP, started_at=START)
    with pytest.raises(AssertionError, match="this slot has been ticked already"):
        day.step(START + 2 * STEP)
