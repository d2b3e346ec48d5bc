"""How long to wait after which error."""

from datetime import timedelta

import pytest

from polling.appwrite.api.errors import MissingResource
from polling.appwrite.push.race_push import wait_after
from polling.errors import Ambiguous, Blocked, RateLimited, Unavailable

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "attempts", "least", "most"),
    [
        pytest.param(Unavailable(), 1, 1, 2, id="the first failure"),
        pytest.param(Unavailable(), 5, 1, 32, id="the limit doubles"),
        pytest.param(Ambiguous(), 8, 1, 256, id="a lost answer too"),
        pytest.param(Unavailable(), 9, 1, 300, id="up to five minutes"),
        pytest.param(Unavailable(), 10_000, 1, 300, id="for ever"),
        pytest.param(ValueError("a bug"), 1, 1, 2, id="an error of our own"),
        pytest.param(RateLimited(), 3, 1, 8, id="a limit that does not say how long"),
        pytest.param(RateLimited(retry_after=40 * SECOND), 3, 40, 40, id="a limit that does"),
        pytest.param(Blocked(), 7, 60, 60, id="a person must act"),
        pytest.param(MissingResource(), 7, 60, 60, id="a table is missing"),
    ],
)
def test_the_wait_goes_by_the_error_and_grows_with_the_attempts(
    error: Exception, attempts: int, least: int, most: int
) -> None:
    waits = [wait_after(error, attempts) for _ in range(200)]
    assert all(least * SECOND <= wait <= most * SECOND for wait in waits)
    assert least == most or len(set(waits)) > 100, "by chance, so that hosts do not come at once"
