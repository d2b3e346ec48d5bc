"""When a race is polled next: from what is known of it, and which slot a due race gets."""

from datetime import datetime, timedelta

import pytest

from polling.cadence import DEFAULT_WINDOWS, Cadence
from polling.next_poll import DueSlot, RaceFacts, backoff, due_slot, next_poll
from tests.factories import START

TICK = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
CADENCE = Cadence(DEFAULT_WINDOWS, TICK)
HOLDING = Cadence(DEFAULT_WINDOWS, TICK, hold=MINUTE * 5)


def at(minutes: float, seconds: float = 0) -> datetime:
    """An instant relative to the start: negative before it."""
    return START + timedelta(minutes=minutes, seconds=seconds)


def test_jittered_ticks_poll_twenty_times_in_the_last_five_minutes() -> None:
    jitter = [timedelta(milliseconds=(index * 377) % 1000) for index in range(400)]
    planned, polled = at(-60), []
    for index in range(-60 * 4, 1):
        now = START + index * TICK + jitter[index]
        if planned <= now:
            want = due_slot(START, planned_at=planned, cadence=CADENCE, now=now)
            assert not want.missed
            polled.append(want.slot_at)
            planned = CADENCE.next_slot(START, after=now)
    assert len([slot for slot in polled if at(-5) <= slot < START]) == 20
    assert len(polled) == 39


@pytest.mark.parametrize(
    ("facts", "now", "planned"),
    [
        pytest.param({}, at(-90), at(-60), id="known early: the first slot"),
        pytest.param({}, at(-37), at(-37, 15), id="found late: at the next tick"),
        pytest.param({"covered_at": at(-40)}, at(-37), at(-35), id="covered: the next slot"),
        pytest.param({"covered_at": at(-55)}, at(-37), at(-37, 15), id="a start that moved nearer: at the next tick"),
        pytest.param({"covered_at": at(0)}, at(0, 1), at(5), id="polled at the start"),
        pytest.param({"finalized": True}, at(1), None, id="finalized"),
        pytest.param({"paused": True}, at(-30), None, id="paused"),
        pytest.param({"snoozed_until": at(-10)}, at(-30), at(-10), id="snoozed: when it ends"),
        pytest.param({"covered_at": at(-40), "failures": 1}, at(-39, 50), at(-38), id="failed once: the next tick"),
        pytest.param({"covered_at": at(-40), "failures": 3}, at(-39, 50), at(-38, 45), id="failed thrice: backoff"),
        pytest.param(
            {"covered_at": at(-40), "failures": 9}, at(-39, 50), at(-35), id="failing: no later than the slot"
        ),
        pytest.param({"covered_at": at(-4), "failures": 9}, at(-4, 2), at(-4, 15), id="failing near the start"),
        pytest.param(
            {"covered_at": at(-40), "failures": 1, "not_before": at(-37, 5)}, at(-39, 50), at(-37, 15), id="held off"
        ),
        pytest.param({"covered_at": at(5), "detail_wanted": True}, at(6), at(6, 15), id="a final without its result"),
        pytest.param({}, at(120), at(125), id="found long after the start: its next slot"),
        pytest.param({"detail_wanted": True}, at(120), at(125), id="found final long after the start: its next slot"),
        pytest.param(
            {"covered_at": at(120), "asked_at": at(120), "detail_wanted": True},
            at(121),
            at(121, 15),
            id="news long after it",
        ),
        pytest.param({"detail_wanted": True}, at(-90), at(-60), id="news long before the first slot"),
        pytest.param(
            {"detail_wanted": True, "unproven_final_at": at(-90)},
            at(-90),
            at(-90, 15),
            id="an unproven Final before the first",
        ),
        pytest.param(
            {"covered_at": at(2), "asked_at": at(2), "detail_wanted": True, "unproven_final_at": at(-2)},
            at(2, 1),
            at(4),
            id="an unproven Final of four minutes: two later",
        ),
        pytest.param(
            {"covered_at": at(-4), "failures": 1, "refused": True}, at(-4, 2), at(-3, -45), id="refused: the next tick"
        ),
        pytest.param(
            {"covered_at": at(-4), "failures": 5, "refused": True},
            at(-4, 2),
            at(0),
            id="refused: backoff, not the grid",
        ),
        pytest.param(
            {"covered_at": at(-4), "failures": 3, "unknown": True}, at(-4, 2), at(1), id="unknown: five minutes"
        ),
        pytest.param(
            {"covered_at": at(-4), "failures": 3, "unknown": True, "snoozed_until": at(3)},
            at(-4, 2),
            at(3),
            id="unknown, and snoozed",
        ),
        pytest.param({"covered_at": at(-30)}, at(-40), at(-25), id="the clock stepped back: no slot twice"),
        pytest.param(
            {"covered_at": at(-40), "planned_at": at(-35)}, at(-35, 0.1), at(-35), id="due, its tick still to come"
        ),
        pytest.param({"covered_at": at(-40), "planned_at": at(-35)}, at(-34), at(-35), id="due, its tick long overdue"),
        pytest.param(
            {"covered_at": at(-35), "planned_at": at(-35)}, at(-35, 0.1), at(-30), id="due and claimed: plans on"
        ),
        pytest.param(
            {"covered_at": at(-40), "planned_at": at(-35)}, at(-35, -1), at(-35), id="not due yet: its next slot"
        ),
        pytest.param({"planned_at": at(-35), "paused": True}, at(-35, 1), None, id="due, but paused since"),
        pytest.param({"planned_at": at(-35), "snoozed_until": at(-20)}, at(-34), at(-20), id="due, but snoozed since"),
    ],
)
def test_the_plan_follows_from_the_facts(facts: dict, now: datetime, planned: datetime | None) -> None:
    known = RaceFacts(advertised_start=START, **facts)
    assert next_poll(known, cadence=CADENCE, now=now) == planned


def test_a_start_moved_into_the_past_is_polled_at_the_next_tick() -> None:
    moved = RaceFacts(advertised_start=at(-10), covered_at=at(-9))
    assert next_poll(moved, cadence=CADENCE, now=at(-4)) == at(-3, -45)


@pytest.mark.parametrize(
    ("planned", "now", "expected"),
    [
        pytest.param(at(-55), at(-55, 0.04), DueSlot(at(-55), on_grid=True), id="on time"),
        pytest.param(at(-37), at(-37, 0.1), DueSlot(at(-37), on_grid=False), id="found late"),
        pytest.param(at(-4), at(-3, -30), DueSlot(at(-3, -30), True, (at(-4), at(-4, 15))), id="two were missed"),
        pytest.param(at(-56), at(-55), DueSlot(at(-55), on_grid=True), id="a retry gives way to a slot"),
    ],
)
def test_a_due_race_wants_its_newest_slot_and_names_those_missed(
    planned: datetime, now: datetime, expected: DueSlot
) -> None:
    assert due_slot(START, planned_at=planned, cadence=CADENCE, now=now) == expected


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (99, 300)]
)
def test_backoff_doubles_up_to_five_minutes(failures: int, seconds: int) -> None:
    assert backoff(failures, tick=TICK) == timedelta(seconds=seconds)


def test_a_race_that_has_started_goes_over_to_the_slow_step_at_once() -> None:
    running = RaceFacts(advertised_start=START, waiting=False, covered_at=at(1, 15))
    assert next_poll(running, cadence=HOLDING, now=at(1, 16)) == at(5)
    open_still = RaceFacts(advertised_start=START, waiting=True, covered_at=at(1, 15))
    assert next_poll(open_still, cadence=HOLDING, now=at(1, 16)) == at(1, 30)


def test_a_race_that_was_reopened_is_polled_at_the_next_tick() -> None:
    reopened = RaceFacts(advertised_start=START, waiting=True, covered_at=at(0))
    assert next_poll(reopened, cadence=HOLDING, now=at(3, 2)) == at(3, 15)


FIRST = {"covered_at": at(5), "asked_at": at(5)}
SECOND = {"covered_at": at(22, 15), "asked_at": at(22, 15)}
ENDED = {"finalized": True, "ended_at": at(7, 3)}


@pytest.mark.parametrize(
    ("facts", "now", "planned"),
    [
        pytest.param({**FIRST}, at(7, 4), at(22, 15), id="a quarter of an hour after the end"),
        pytest.param({**SECOND}, at(22, 16), at(67, 15), id="then an hour after it"),
        pytest.param({"covered_at": at(67, 15), "asked_at": at(67, 15)}, at(67, 16), None, id="then no more"),
        pytest.param({**FIRST}, at(90), at(90, 15), id="an outage swallowed both: made up for at once"),
        pytest.param({**FIRST}, at(200), None, id="after two hours no more"),
        pytest.param(
            {**SECOND, "failures": 1},
            at(22, 16),
            at(22, 30),
            id="one that failed is repeated",
        ),
        pytest.param({**FIRST, "paused": True}, at(8), None, id="not while paused"),
        pytest.param(
            {"covered_at": at(22, 15), "asked_at": at(5)},
            at(22, 16),
            at(27, 15),
            id="a skipped one is made later",
        ),
        pytest.param({**FIRST, "ended_at": None}, at(8), None, id="not what staff ended"),
        pytest.param({**FIRST, "detail_wanted": True}, at(8), at(8, 15), id="news: at the next tick"),
        pytest.param(
            {**FIRST, "ended_at": None, "detail_wanted": True}, at(500), at(500, 15), id="news of an abandoned race"
        ),
        pytest.param(
            {"covered_at": at(8), "asked_at": at(5), "detail_wanted": True},
            at(8, 1),
            at(13),
            id="news that was skipped",
        ),
        pytest.param(
            {**FIRST, "ended_at": None, "detail_wanted": True, "failures": 24}, at(500), None, id="news given up"
        ),
        pytest.param(
            {"covered_at": at(27), "asked_at": at(27), "detail_wanted": True, "unproven_final_at": at(7)},
            at(27, 1),
            at(32),
            id="an unproven Final of twenty minutes: five later",
        ),
        pytest.param(
            {**FIRST, "ended_at": None, "detail_wanted": True, "unproven_final_at": at(7)},
            at(7) + MINUTE * 60 * 25,
            None,
            id="an unproven Final of a day is left to staff",
        ),
    ],
)
def test_a_result_is_polled_again_twice(facts: dict, now: datetime, planned: datetime | None) -> None:
    assert next_poll(RaceFacts(advertised_start=START, **(ENDED | facts)), cadence=CADENCE, now=now) == planned
