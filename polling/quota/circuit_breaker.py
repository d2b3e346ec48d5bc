"""When a failing provider is left alone: a breaker of three states.

    closed     requests are sent               → open after FAILURES requests failed in a row, or we are refused
    open       none is sent, until retry_at    → half-open: one request is let through
    half-open  that request is under way       → closed if it is answered, else open again, for twice as long

Any answer closes it: `Breaker()`. We are refused where a list is, or two races in a row: `refused_races` has the rule.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from polling.models import BreakerState

FAILURES = 5
FIRST_WAIT = timedelta(seconds=10)  # the next tick finds out
LONGEST_WAIT = timedelta(minutes=1)
# A provider that blocks us does not lift the block within a minute, and counts our tries.
FIRST_WAIT_BLOCKED = timedelta(minutes=5)
LONGEST_WAIT_BLOCKED = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` requests failed in a row; `trips` times in a row it opened; `retry_at` lets the next one through."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    trips: int = 0
    retry_at: datetime | None = None


def after_failures(breaker: Breaker, requests: int, *, blocked: bool, now: datetime) -> Breaker:
    """The breaker after so many requests none of which was answered; `blocked` where it refused us."""
    counted = replace(breaker, failures=breaker.failures + requests)
    if breaker.state is BreakerState.CLOSED and counted.failures < FAILURES and not blocked:
        return counted
    # A request that was under way when it opened is no new failure.
    if breaker.state is BreakerState.OPEN and breaker.retry_at and now < breaker.retry_at and not blocked:
        return counted
    first, longest = (FIRST_WAIT_BLOCKED, LONGEST_WAIT_BLOCKED) if blocked else (FIRST_WAIT, LONGEST_WAIT)
    wait = min(first * 2 ** min(breaker.trips, 16), longest)
    return replace(counted, state=BreakerState.OPEN, trips=breaker.trips + 1, retry_at=now + wait)
