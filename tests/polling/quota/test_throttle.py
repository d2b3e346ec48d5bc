"""When far windows are throttled, and when they are released: for a shortage that lasts, and no longer than it does."""

from datetime import datetime, timedelta

import pytest

from polling.cadence import DEFAULT_WINDOWS, Cadence, read_windows
from polling.quota.throttle import Shortage, next_factor
from tests.factories import START

TICK = timedelta(seconds=15)
CADENCE = Cadence(DEFAULT_WINDOWS, TICK)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else START - timedelta(seconds=seconds)


def following(
    factor: int, *, changed: float | None = None, since: float | None = None, at: float | None = None, fits: bool
) -> int:
    """The factor that follows; seconds before now."""
    shortage = Shortage(ago(since), ago(at))
    return next_factor(factor, changed_at=ago(changed), shortage=shortage, fits=fits, now=START, tick=TICK)


@pytest.mark.parametrize(
    ("since", "at", "wanted"),
    [
        pytest.param(None, None, 1, id="never short"),
        pytest.param(0, 0, 1, id="short at this tick"),
        pytest.param(45, 0, 1, id="short for a few ticks, as after a first import, an outage or a 429"),
        pytest.param(179, 10, 1, id="almost three minutes"),
        pytest.param(180, 10, 2, id="three minutes, tick after tick"),
        pytest.param(180, 26, 1, id="ended a tick ago"),
        pytest.param(600, 300, 1, id="long over"),
    ],
)
def test_far_windows_are_throttled_for_a_shortage_that_lasted(
    since: float | None, at: float | None, wanted: int
) -> None:
    assert following(1, since=since, at=at, fits=False) == wanted


@pytest.mark.parametrize(
    ("factor", "changed", "wanted"),
    [
        pytest.param(2, 119, 2, id="changed only now"),
        pytest.param(2, 120, 4, id="short still after two minutes"),
        pytest.param(4, 600, 4, id="no further than one in four"),
    ],
)
def test_a_shortage_that_goes_on_throttles_more(factor: int, changed: float, wanted: int) -> None:
    assert following(factor, changed=changed, since=900, at=5, fits=False) == wanted


@pytest.mark.parametrize(
    ("factor", "changed", "at", "fits", "wanted"),
    [
        pytest.param(4, 600, 59, True, 4, id="calm for less than a minute"),
        pytest.param(4, 600, 60, True, 1, id="calm for a minute, and all polls would fit"),
        pytest.param(2, 59, 600, True, 2, id="changed less than a minute ago"),
        pytest.param(4, 600, 300, False, 4, id="calm, because slots are left out"),
        pytest.param(4, 600, 600, False, 2, id="calm for so long that polls must share requests"),
        pytest.param(2, 600, 600, False, 1, id="one step at a time"),
        pytest.param(1, 600, 600, True, 1, id="and no further"),
    ],
)
def test_far_windows_are_released_soon_after_it_ends(
    factor: int, changed: float, at: float, fits: bool, wanted: int
) -> None:
    assert following(factor, changed=changed, since=at + 200, at=at, fits=fits) == wanted


def kept(cadence: Cadence, factor: int, min_interval: timedelta = timedelta()) -> list[datetime]:
    slots = cadence.plan(START, until=START + timedelta(hours=1), min_interval=min_interval)
    return [slot for slot in slots if cadence.keeps(START, slot, factor=factor, min_interval=min_interval)]


@pytest.mark.parametrize("factor", [2, 4])
def test_a_throttle_leaves_slots_out_and_adds_none_and_keeps_the_last_five_minutes_and_all_after_the_start(
    factor: int,
) -> None:
    whole = CADENCE.plan(START, until=START + timedelta(hours=1))
    left = kept(CADENCE, factor)
    last = START - timedelta(minutes=5)
    assert [slot for slot in left if slot >= last] == [slot for slot in whole if slot >= last]
    assert len([slot for slot in left if slot < last]) == {2: 4 + 3 + 3, 4: 2 + 2 + 2}[factor]


def test_no_throttle_leaves_out_nothing() -> None:
    assert kept(CADENCE, 1) == CADENCE.plan(START, until=START + timedelta(hours=1))


def test_a_window_that_opens_before_the_last_five_minutes_is_not_throttled_within_them() -> None:
    cadence = Cadence(read_windows("60:300,10:15,0:300"), TICK)
    last = START - timedelta(minutes=5)
    left = [slot for slot in kept(cadence, 4) if slot < START]
    assert [slot for slot in left if slot >= last] == cadence.plan(START, until=START)[-20:]
    assert len([slot for slot in left if last - timedelta(minutes=5) <= slot < last]) == 5


def test_of_a_grid_that_the_provider_thins_slots_are_left_out_too() -> None:
    min_interval = timedelta(seconds=150)
    whole = CADENCE.plan(START, until=START - timedelta(minutes=5, seconds=1), min_interval=min_interval)
    left = [slot for slot in kept(CADENCE, 2, min_interval) if slot in whole]
    assert len(whole) / 2 <= len(left) < len(whole)
