"""What follows from a failure, for everything that is pushed: races, deletions, poll logs. Pure.

| error | of a call that writes many rows | of one row |
|---|---|---|
| every row would fail with it (no answer, 503, 429, 401, a missing table) | the push stops | the push stops |
| `TableRefuses` | its rows wait for the table, if it refuses every row; else halve | it waits for the table |
| `InvalidRequest` | halve | it is dead |
| `Conflict` | halve | it waits, and is dead after MOST_ATTEMPTS |
| `Unavailable`, when the rows were tried together TRIES_TOGETHER times | one by one | it waits, and is dead after … |
| any other | the push stops | it waits, and is dead after … |

Where nothing that was tried succeeded, the push stops also for the errors of single rows. A push that stops lets all
rows that it is not done with wait. `OutOfTime` is no failure: what found no time is left as it is. The rows of expired
races are removed by one call: they wait after any error, and only one that every row would fail with stops the push.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum, auto
from typing import TypeVar

from polling.appwrite.api.errors import InvalidRequest, affects_every_row, counts_as_failure
from polling.appwrite.schema.table_faults import TableRefuses
from polling.appwrite.sync_state import MOST_ATTEMPTS
from polling.errors import Blocked, Conflict, NotFound, OutOfTime, PollingError, RateLimited, Unavailable

TRIES_TOGETHER = 3  # of new rows; then one that the server cannot take must not hold up the others
WAIT_WHEN_BLOCKED = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(minutes=5)
_dice = secrets.SystemRandom()
T = TypeVar("T")


class Response(Enum):
    """What a push does about a failure."""

    STOP = auto()
    HALVE = auto()
    ONE_BY_ONE = auto()
    WAIT = auto()
    WAIT_FOR_TABLE = auto()
    MARK_DEAD = auto()


class UnmappableRow(Exception):
    """A race with a value that no row can hold, or a row with one that cannot be read."""


def after_call(error: PollingError, *, rows: int, attempts: int = 0) -> Response:
    """What follows when one call for so many rows failed; `attempts` are those of the row that failed most before."""
    if isinstance(error, InvalidRequest | Conflict | TableRefuses):
        refuses_all = isinstance(error, TableRefuses) and error.every_row
        return after_row(error, attempts=attempts) if rows == 1 or refuses_all else Response.HALVE
    is_one_rows = isinstance(error, Unavailable) and not affects_every_row(error)
    return Response.ONE_BY_ONE if is_one_rows and rows > 1 and attempts >= TRIES_TOGETHER else Response.STOP


def after_row(error: Exception, *, attempts: int) -> Response:
    """What follows when a row failed, while others succeeded, after so many failed attempts before."""
    if isinstance(error, TableRefuses):
        return Response.WAIT_FOR_TABLE
    if isinstance(error, InvalidRequest | UnmappableRow) or attempts + 1 >= MOST_ATTEMPTS:
        return Response.MARK_DEAD
    return Response.WAIT


def failed_rows(answers: Sequence[tuple[T, object]]) -> list[tuple[T, PollingError]]:
    """Of calls for one row each, those that failed; `answers` are values, errors, and None for calls not begun.

    Conflict, NotFound and InvalidRequest are not among them: they come from a server that works, and are the caller's.
    Raises the error that stops the push.
    """
    answered = [answer for _, answer in answers if answer is not None and not isinstance(answer, OutOfTime)]
    handled = (Conflict, NotFound, InvalidRequest)
    failed = [(row, answer) for row, answer in answers if counts_as_failure(answer) and not isinstance(answer, handled)]
    for _, error in failed:
        if affects_every_row(error) or len(failed) == len(answered):
            raise error
    return failed


def wait_after(error: Exception, attempts: int) -> timedelta:
    """How long to wait after an error that came so many times in a row.

    As long as the server asks for; else from a second up to a limit that doubles with each attempt, by chance, so that
    hosts do not come at once.
    """
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return error.retry_after
    if isinstance(error, Blocked):
        return WAIT_WHEN_BLOCKED
    limit_seconds = min(2.0 ** min(attempts, 16), LONGEST_BACKOFF.total_seconds())
    return timedelta(seconds=_dice.uniform(1, max(limit_seconds, 1)))
