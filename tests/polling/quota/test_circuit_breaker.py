"""The breaker's moves, as a table."""

from datetime import timedelta

import pytest

from polling.models import BreakerState
from polling.quota.circuit_breaker import Breaker, after_failures
from tests.factories import START

SECOND = timedelta(seconds=1)
CLOSED, OPEN, HALF_OPEN = BreakerState
JUST_OPENED = Breaker(OPEN, failures=5, trips=1, retry_at=START + 15 * SECOND)


@pytest.mark.parametrize(
    ("before", "requests", "blocked", "after"),
    [
        pytest.param(Breaker(), 1, False, Breaker(CLOSED, 1), id="one failure opens nothing"),
        pytest.param(Breaker(CLOSED, 3), 1, False, Breaker(CLOSED, 4), id="the fourth in a row neither"),
        pytest.param(Breaker(CLOSED, 4), 1, False, Breaker(OPEN, 5, 1, START + 10 * SECOND), id="the fifth does"),
        pytest.param(Breaker(), 20, False, Breaker(OPEN, 20, 1, START + 10 * SECOND), id="a batch that fails whole"),
        pytest.param(Breaker(), 1, True, Breaker(OPEN, 1, 1, START + 300 * SECOND), id="a refusal opens at once"),
        pytest.param(JUST_OPENED, 3, False, Breaker(OPEN, 8, 1, START + 15 * SECOND), id="what was under way"),
        pytest.param(
            Breaker(HALF_OPEN, 5, 1, START + 3 * SECOND), 1, False, Breaker(OPEN, 6, 2, START + 20 * SECOND),
            id="a failed try waits twice as long",
        ),
        pytest.param(
            Breaker(HALF_OPEN, 9, 9, START), 1, False, Breaker(OPEN, 10, 10, START + 60 * SECOND), id="a minute at most"
        ),
        pytest.param(
            Breaker(HALF_OPEN, 9, 9, START), 1, True, Breaker(OPEN, 10, 10, START + 1800 * SECOND),
            id="half an hour at most where we are refused",
        ),
    ],
)  # fmt: skip
def test_failures_open_the_breaker(before: Breaker, requests: int, blocked: bool, after: Breaker) -> None:
    assert after_failures(before, requests, blocked=blocked, now=START) == after
