"""What follows from which error, and how long to wait after it."""

from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite.api.errors import InvalidRequest, MissingResource
from polling.appwrite.push.failure_policy import (
    TRIES_TOGETHER,
    Response,
    UnmappableRow,
    after_call,
    after_row,
    failed_rows,
    wait_after,
)
from polling.appwrite.schema.table_faults import TableRefuses
from polling.appwrite.sync_state import MOST_ATTEMPTS
from polling.errors import (
    Ambiguous,
    Blocked,
    Conflict,
    Malformed,
    NotFound,
    OutOfTime,
    PollingError,
    RateLimited,
    Unavailable,
)

SECOND = timedelta(seconds=1)
LOST = Ambiguous("no answer", 500)


@pytest.mark.parametrize(
    ("error", "rows", "attempts", "response"),
    [
        pytest.param(InvalidRequest(), 100, 0, Response.HALVE, id="one row of many is invalid"),
        pytest.param(InvalidRequest(), 1, 0, Response.MARK_DEAD, id="it is this row"),
        pytest.param(Conflict(), 2, 0, Response.HALVE, id="a conflict with no row behind it"),
        pytest.param(Conflict(), 1, 0, Response.WAIT, id="of one row"),
        pytest.param(Conflict(), 1, MOST_ATTEMPTS - 1, Response.MARK_DEAD, id="of one row, again and again"),
        pytest.param(TableRefuses(every_row=True), 100, 0, Response.WAIT_FOR_TABLE, id="the table takes no row"),
        pytest.param(TableRefuses(), 100, 0, Response.HALVE, id="the table refuses some rows"),
        pytest.param(TableRefuses(), 1, MOST_ATTEMPTS, Response.WAIT_FOR_TABLE, id="the table refuses this row"),
        pytest.param(LOST, 100, TRIES_TOGETHER - 1, Response.STOP, id="an answer was lost"),
        pytest.param(LOST, 100, TRIES_TOGETHER, Response.ONE_BY_ONE, id="again, as if one row were at fault"),
        pytest.param(LOST, 1, TRIES_TOGETHER, Response.STOP, id="again, of one row"),
        pytest.param(Unavailable("", 503), 100, TRIES_TOGETHER, Response.STOP, id="the server is overloaded"),
        pytest.param(Blocked(), 100, TRIES_TOGETHER, Response.STOP, id="the key is refused"),
        pytest.param(Malformed(), 100, TRIES_TOGETHER, Response.STOP, id="an answer that cannot be read"),
    ],
)
def test_what_follows_from_a_failed_call(error: PollingError, rows: int, attempts: int, response: Response) -> None:
    assert after_call(error, rows=rows, attempts=attempts) is response


@pytest.mark.parametrize(
    ("error", "attempts", "response"),
    [
        pytest.param(LOST, 0, Response.WAIT, id="a lost answer"),
        pytest.param(LOST, MOST_ATTEMPTS - 2, Response.WAIT, id="the last but one try"),
        pytest.param(LOST, MOST_ATTEMPTS - 1, Response.MARK_DEAD, id="the last try"),
        pytest.param(KeyError("a bug"), 0, Response.WAIT, id="an error of our own"),
        pytest.param(UnmappableRow(), 0, Response.MARK_DEAD, id="a row that cannot be read"),
        pytest.param(InvalidRequest(), 0, Response.MARK_DEAD, id="a row that is refused"),
        pytest.param(TableRefuses(), MOST_ATTEMPTS, Response.WAIT_FOR_TABLE, id="a row that its table refuses"),
    ],
)
def test_what_follows_for_one_row_while_others_succeed(error: Exception, attempts: int, response: Response) -> None:
    assert after_row(error, attempts=attempts) is response


@pytest.mark.parametrize(
    ("answers", "failed"),
    [
        pytest.param([{}, LOST], [LOST], id="one of two"),
        pytest.param([Conflict(), LOST], [LOST], id="a conflict is an answer of a server that works"),
        pytest.param([{}, Conflict(), NotFound(), InvalidRequest()], [], id="what the caller deals with"),
        pytest.param([OutOfTime(), None], [], id="what found no time"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_rows_that_failed_while_others_succeeded(answers: list[Any], failed: list[PollingError]) -> None:
    assert [error for _, error in failed_rows([*enumerate(answers)])] == failed


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([{}, Blocked()], id="what every row would fail with"),
        pytest.param([LOST, LOST], id="nothing that was tried succeeded"),
        pytest.param([LOST, OutOfTime(), None], id="nor what found no time"),
    ],
)
def test_a_failure_that_stops_the_push(answers: list[Any]) -> None:
    with pytest.raises(PollingError):
        failed_rows([*enumerate(answers)])


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
        pytest.param(MissingResource(), 7, 60, 60, id="something of the set-up is missing"),
    ],
)
def test_the_wait_goes_by_the_error_and_grows_with_the_attempts(
    error: Exception, attempts: int, least: int, most: int
) -> None:
    waits = [wait_after(error, attempts) for _ in range(200)]
    assert all(least * SECOND <= wait <= most * SECOND for wait in waits)
    assert least == most or len(set(waits)) > 100, "by chance, so that hosts do not come at once"
