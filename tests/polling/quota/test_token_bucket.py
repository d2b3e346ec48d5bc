"""The token bucket as arithmetic: what flows in, what is kept from whom."""

from datetime import timedelta

import pytest

from polling.quota.token_bucket import Bucket, Need
from tests.factories import START

BUCKET = Bucket(per_minute=60, burst=20, reserve=4)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("full_in", "need", "left"),
    [
        pytest.param(-3600, Need.FORCED, 20, id="full: staff may take all of it"),
        pytest.param(0, Need.URGENT, 16, id="full: urgent races leave the reserve"),
        pytest.param(0, Need.FAR, 11, id="full: far races leave a quarter more"),
        pytest.param(10, Need.FORCED, 10, id="half empty"),
        pytest.param(10.5, Need.FORCED, 9, id="a token that has not quite flowed in"),
        pytest.param(10, Need.URGENT, 6, id="half empty, urgent"),
        pytest.param(10, Need.FAR, 1, id="half empty, far"),
        pytest.param(16, Need.URGENT, 0, id="only the reserve is left"),
        pytest.param(16, Need.FORCED, 4, id="which staff may take"),
        pytest.param(30, Need.FORCED, 0, id="overdrawn"),
    ],
)
def test_what_is_left_depends_on_the_time_and_on_who_asks(full_in: float, need: Need, left: int) -> None:
    full_at = START + full_in * SECOND
    assert BUCKET.left(full_at, need, now=START) == left
    may = [full_at <= BUCKET.latest(tokens, need, now=START) for tokens in range(1, BUCKET.most(need) + 1)]
    assert sum(may) == left, "the condition of the UPDATE decides as the count says"


def test_a_bucket_of_the_default_limits_serves_a_full_tick_of_races_about_to_start() -> None:
    assert Bucket(240, 60, 5).left(START, Need.URGENT, now=START) >= 8 * 2
