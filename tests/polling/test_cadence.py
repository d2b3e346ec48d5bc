"""The grid: every boundary of every window, moved starts, minimum intervals, the hold."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.cadence import DEFAULT_WINDOWS, Cadence, Window, floor, next_tick

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
TICK = timedelta(seconds=15)
CADENCE = Cadence(DEFAULT_WINDOWS, TICK)
MINUTE = timedelta(minutes=1)


def at(minutes: float, seconds: float = 0) -> datetime:
    """An instant relative to the start: negative before it."""
    return START + timedelta(minutes=minutes, seconds=seconds)


def test_a_race_that_starts_on_time_has_38_slots_before_its_start() -> None:
    assert len(CADENCE.plan(START, until=START)) == 38


@pytest.mark.parametrize(
    ("since", "until", "count", "step"),
    [
        pytest.param(-60, -20, 8, 300, id="T-60 to T-20 every five minutes"),
        pytest.param(-20, -10, 5, 120, id="T-20 to T-10 every two minutes"),
        pytest.param(-10, -5, 5, 60, id="T-10 to T-5 every minute"),
        pytest.param(-5, 0, 20, 15, id="T-5 to the start every 15 seconds"),
        pytest.param(0, 60, 12, 300, id="after the start every five minutes"),
    ],
)
def test_each_window_has_its_step_and_its_count(since: int, until: int, count: int, step: int) -> None:
    slots = CADENCE.between(START, since=at(since), until=at(until))
    assert slots == [at(since, seconds=index * step) for index in range(count)]


@pytest.mark.parametrize(
    ("now", "following"),
    [
        pytest.param(at(-90), at(-60), id="long before the first window"),
        pytest.param(at(-60, -1), at(-60), id="a second before T-60"),
        pytest.param(at(-60), at(-55), id="at T-60"),
        pytest.param(at(-25), at(-20), id="the last slot of five minutes"),
        pytest.param(at(-20), at(-18), id="at T-20"),
        pytest.param(at(-12), at(-10), id="the last slot of two minutes"),
        pytest.param(at(-10), at(-9), id="at T-10"),
        pytest.param(at(-6), at(-5), id="the last slot of one minute"),
        pytest.param(at(-5, -0.001), at(-5), id="a millisecond before T-5"),
        pytest.param(at(-5), at(-5, 15), id="at T-5"),
        pytest.param(at(0, -15), at(0), id="the last slot of 15 seconds"),
        pytest.param(at(0, -1), at(0), id="a second before the start"),
        pytest.param(at(0), at(5), id="at the start"),
        pytest.param(at(4, 59), at(5), id="a second before the second slot after it"),
        pytest.param(at(600), at(605), id="ten hours after it"),
    ],
)
def test_the_next_slot_is_the_first_one_later_than_now(now: datetime, following: datetime) -> None:
    assert CADENCE.next_slot(START, after=now) == following


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        pytest.param(at(-60, -1), None, id="none before the first window"),
        pytest.param(at(-60), at(-60), id="the first begins at T-60"),
        pytest.param(at(-37), at(-40), id="found late at T-37"),
        pytest.param(at(-5, 14), at(-5), id="just before the next"),
        pytest.param(at(-5, 15), at(-5, 15), id="as it begins"),
        pytest.param(at(0), at(0), id="the start itself"),
        pytest.param(at(7), at(5), id="after the start"),
    ],
)
def test_the_newest_slot_is_the_one_begun_last(now: datetime, newest: datetime | None) -> None:
    assert CADENCE.newest_slot(START, now=now) == newest


@pytest.mark.parametrize(
    ("now", "name", "step"),
    [
        pytest.param(at(-61), None, None, id="before"),
        pytest.param(at(-60), "T-60", 300, id="T-60"),
        pytest.param(at(-20), "T-20", 120, id="T-20"),
        pytest.param(at(-10), "T-10", 60, id="T-10"),
        pytest.param(at(-5), "T-5", 15, id="T-5"),
        pytest.param(at(0), "start", 300, id="start"),
    ],
)
def test_the_window_of_an_instant_is_the_one_it_lies_in(now: datetime, name: str | None, step: int | None) -> None:
    window = CADENCE.window(START, now=now)
    assert (window and window.name) == name
    assert (window and window.step.seconds) == step


@given(st.integers(0, 3600), st.sampled_from([1, 5, 15]))
def test_every_slot_falls_on_a_tick_whatever_the_start(seconds: int, tick_seconds: int) -> None:
    tick = timedelta(seconds=tick_seconds)
    cadence = Cadence(DEFAULT_WINDOWS, tick)
    start = START + timedelta(seconds=seconds)
    assert all(slot == floor(slot, tick) for slot in cadence.plan(start, until=start + MINUTE * 30))


@given(st.integers(0, 7200), st.integers(0, 1200))
def test_walking_slot_by_slot_gives_the_plan(before: int, thin_seconds: int) -> None:
    min_interval = timedelta(seconds=thin_seconds)
    now, walked = START - timedelta(seconds=before), []
    while (now := CADENCE.next_slot(START, after=now, min_interval=min_interval)) < at(30):
        walked.append(now)
        assert CADENCE.newest_slot(START, now=now, min_interval=min_interval) == now
    since = START - timedelta(seconds=before)
    assert walked == [slot for slot in CADENCE.plan(START, until=at(30), min_interval=min_interval) if slot > since]


@given(st.integers(0, 1800))
def test_no_two_slots_are_nearer_than_the_provider_allows(seconds: int) -> None:
    least = timedelta(seconds=seconds)
    slots = CADENCE.plan(START, until=at(60), min_interval=least)
    assert START in slots
    assert all(later - sooner >= least for sooner, later in zip(slots, slots[1:], strict=False))


def test_thinning_drops_the_slot_too_near_to_the_start_not_the_start() -> None:
    slots = CADENCE.plan(START, until=at(1), min_interval=MINUTE * 5)
    assert slots[-3:] == [at(-14), at(-9), at(0)]


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param((), id="none"),
        pytest.param((Window(MINUTE, TICK),), id="none after the start"),
        pytest.param((Window(MINUTE, TICK), Window(MINUTE * 2, TICK), Window(MINUTE * 0, TICK)), id="out of order"),
        pytest.param((Window(MINUTE, timedelta(seconds=20)), Window(MINUTE * 0, MINUTE)), id="a step off the tick"),
        pytest.param((Window(timedelta(seconds=70), TICK), Window(MINUTE * 0, MINUTE)), id="an opening off the tick"),
    ],
)
def test_windows_that_make_no_grid_are_refused(windows: tuple[Window, ...]) -> None:
    with pytest.raises(ValueError, match=r"window|step"):
        Cadence(windows, TICK)


def test_ticks_are_multiples_of_the_step_on_the_wall_clock() -> None:
    assert next_tick(at(0), TICK) == at(0, 15)
    assert next_tick(at(0, 14.9), TICK) == at(0, 15)


HOLDING = Cadence(DEFAULT_WINDOWS, TICK, hold=MINUTE * 5)


def test_a_race_that_has_not_started_keeps_its_last_step_past_the_start_for_as_long_as_the_hold() -> None:
    held = HOLDING.for_race(waiting=True)
    slots = held.plan(START, until=at(21))
    assert [slot for slot in slots if slot < START] == CADENCE.plan(START, until=START)
    assert [slot for slot in slots if slot >= START] == [at(0, 15 * step) for step in range(20)] + [
        at(5), at(10), at(15), at(20),
    ]  # fmt: skip


@pytest.mark.parametrize("waiting", [False, True])
def test_without_a_hold_waiting_changes_nothing(waiting: bool) -> None:
    assert CADENCE.for_race(waiting=waiting) == CADENCE


def test_a_hold_shorter_than_the_provider_can_be_asked_is_none() -> None:
    least = MINUTE * 5
    assert HOLDING.for_race(waiting=True, min_interval=least) == HOLDING.for_race(min_interval=least)


@given(st.integers(0, 299), st.integers(0, 7200))
def test_a_held_grid_walks_as_it_is_planned(thin_seconds: int, before: int) -> None:
    min_interval = timedelta(seconds=thin_seconds)
    held = HOLDING.for_race(waiting=True, min_interval=min_interval)
    now, walked = START - timedelta(seconds=before), []
    while (now := held.next_slot(START, after=now, min_interval=min_interval)) < at(30):
        walked.append(now)
        assert held.newest_slot(START, now=now, min_interval=min_interval) == now
    assert START in walked or before == 0
    assert all(later - sooner >= min_interval for sooner, later in zip(walked, walked[1:], strict=False))


def test_a_baseline_is_one_more_window_and_leaves_the_others_as_they_are() -> None:
    with_baseline = Cadence((Window(timedelta(days=1), MINUTE * 30), *DEFAULT_WINDOWS), TICK)
    slots = with_baseline.plan(START, until=START)
    assert slots[:2] == [at(-1440), at(-1410)]
    assert slots[-38:] == CADENCE.plan(START, until=START)


def test_a_night_in_which_the_clocks_change_has_as_many_slots_as_any() -> None:
    """New Zealand's clocks went back at 2027-04-03 14:00 UTC, and go forward at 2027-09-25 14:00."""
    for change in (datetime(2027, 4, 3, 14, 10, tzinfo=UTC), datetime(2027, 9, 25, 14, 10, tzinfo=UTC)):
        local = change.astimezone(ZoneInfo("Pacific/Auckland"))
        assert CADENCE.plan(local, until=local) == CADENCE.plan(change, until=change)
        assert len(CADENCE.plan(local, until=local)) == 38


@pytest.mark.parametrize(
    ("minutes", "waiting", "urgent"),
    [
        (5.01, True, False), (5, True, True), (0.25, False, True), (0, True, True), (0, False, True),
        (-1, True, True), (-1, False, False), (-2.1, True, True), (-2.3, True, False),
    ],
)  # fmt: skip
def test_a_race_is_urgent_in_its_last_five_minutes_at_its_start_and_while_it_is_held(
    minutes: float, waiting: bool, urgent: bool
) -> None:
    cadence = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15), hold=timedelta(minutes=2))
    assert cadence.is_urgent(START, waiting=waiting, now=START - timedelta(minutes=minutes)) is urgent
