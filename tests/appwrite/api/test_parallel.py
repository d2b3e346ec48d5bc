"""How many calls go at once: as the server's answers say."""

from collections.abc import Sequence

import pytest

from polling.appwrite.api.parallel import (
    FIRST_AT_ONCE,
    LEAST_AT_ONCE,
    LEAST_SECONDS,
    MOST_AT_ONCE,
    MOST_SECONDS,
    Concurrency,
    concurrency,
    concurrency_of,
    in_parallel,
)
from polling.errors import Conflict, OutOfTime, PollingError, Unavailable


def after(*answers: float, times: int = 1) -> Concurrency:
    concurrency = Concurrency()
    for _ in range(times):
        for seconds in answers:
            concurrency.note_answer(seconds)
    return concurrency


def test_it_begins_in_the_middle() -> None:
    assert LEAST_AT_ONCE < FIRST_AT_ONCE < MOST_AT_ONCE
    assert Concurrency().limit == FIRST_AT_ONCE


@pytest.mark.parametrize(
    ("answers", "limit"),
    [
        pytest.param([0.002], MOST_AT_ONCE, id="a fast server"),
        pytest.param([0.1], MOST_AT_ONCE, id="a server that is far away"),
        pytest.param([0.028, 0.300, 0.310, 0.320], LEAST_AT_ONCE, id="two cores that are busy"),
        pytest.param([0.3, 5.0, 2.5, 4.0], LEAST_AT_ONCE, id="from 0.3 to 5 s"),
        pytest.param([2.0], LEAST_AT_ONCE, id="always 2 s"),
    ],
)
def test_the_limit_follows_the_answers(answers: Sequence[float], limit: int) -> None:
    assert after(*answers, times=200).limit == limit


def test_a_server_that_becomes_slow_gets_fewer_and_one_that_recovers_more() -> None:
    concurrency = after(0.03, times=100)
    assert concurrency.limit == MOST_AT_ONCE
    for _ in range(100):
        concurrency.note_answer(0.5)
    assert concurrency.limit == LEAST_AT_ONCE
    for _ in range(300):
        concurrency.note_answer(0.03)
    assert concurrency.limit == MOST_AT_ONCE


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.3, 5.0, 60.0])
def test_the_limit_stays_within_its_bounds(seconds: float) -> None:
    concurrency = Concurrency()
    for _ in range(500):
        concurrency.note_answer(seconds)
        assert LEAST_AT_ONCE <= concurrency.limit <= MOST_AT_ONCE
        assert LEAST_SECONDS <= concurrency.seconds_to_begin <= MOST_SECONDS


@pytest.mark.parametrize(
    ("seconds", "needed"),
    [pytest.param(0.03, LEAST_SECONDS, id="fast"), (2.0, 2.0), pytest.param(5.0, MOST_SECONDS, id="slow")],
)
def test_a_call_begins_where_an_ordinary_one_would_be_answered_in_time(seconds: float, needed: float) -> None:
    assert after(seconds, times=20).seconds_to_begin == needed


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        pytest.param(Conflict("the row changed"), FIRST_AT_ONCE, id="a refusal is quick, whatever the server's speed"),
        pytest.param(OutOfTime("no answer", waited_seconds=4), MOST_AT_ONCE, id="a call that was cut off counts"),
    ],
)
def test_only_calls_that_the_server_worked_on_show_its_speed(error: PollingError, limit: int) -> None:
    concurrency_of.cache_clear()

    def call(_: int) -> int:
        raise error

    assert [outcome for _, outcome in in_parallel(call, range(40), has_time=lambda _: True)] == [error] * 40
    assert concurrency().limit == limit


def test_after_an_error_of_the_server_no_further_call_begins() -> None:
    concurrency_of.cache_clear()
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        raise Unavailable("gone")

    outcomes = in_parallel(call, range(100), has_time=lambda _: True)
    assert len(begun) <= FIRST_AT_ONCE
    assert all(isinstance(outcome, Unavailable) for _, outcome in outcomes)


def test_what_found_no_time_is_none() -> None:
    concurrency_of.cache_clear()
    left = iter([True, True, False])
    outcomes = in_parallel(lambda number: number, range(5), has_time=lambda _: next(left, False))
    assert [outcome for _, outcome in outcomes] == [0, 1, None, None, None]
