"""The token bucket as arithmetic: what flows in, what is kept for which priority."""

from datetime import timedelta

import pytest

from polling.quota.token_bucket import Priority, TokenBucket
from tests.factories import START

BUCKET = TokenBucket(per_minute=60, burst=20, reserve=4)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("full_in", "priority", "left"),
    [
        pytest.param(-3600, Priority.FORCED, 20, id="full: staff may take all of it"),
        pytest.param(0, Priority.URGENT, 16, id="full: urgent races leave the reserve"),
        pytest.param(0, Priority.FAR, 11, id="full: far races leave a quarter more"),
        pytest.param(10, Priority.FORCED, 10, id="half empty"),
        pytest.param(10.5, Priority.FORCED, 9, id="a token that has not quite flowed in"),
        pytest.param(10, Priority.URGENT, 6, id="half empty, urgent"),
        pytest.param(10, Priority.FAR, 1, id="half empty, far"),
        pytest.param(16, Priority.URGENT, 0, id="only the reserve is left"),
        pytest.param(16, Priority.FORCED, 4, id="which staff may take"),
        pytest.param(30, Priority.FORCED, 0, id="overdrawn"),
    ],
)
def test_what_is_left_depends_on_the_time_and_on_who_asks(full_in: float, priority: Priority, left: int) -> None:
    full_at = START + full_in * SECOND
    assert BUCKET.available(full_at, priority, now=START) == left
    may = [
        full_at <= BUCKET.latest_full_at(tokens, priority, now=START)
        for tokens in range(1, BUCKET.most_for(priority) + 1)
    ]
    assert sum(may) == left, "the condition of the UPDATE decides as the count says"


def test_a_bucket_of_the_default_limits_serves_a_full_tick_of_races_about_to_start() -> None:
    assert TokenBucket(240, 60, 5).available(START, Priority.URGENT, now=START) >= 8 * 2
