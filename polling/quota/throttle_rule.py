"""When the far windows of a provider are throttled, because its tokens run short, and when they are released.

A burst is no shortage: a first import, an outage or a 429 leave many races due at once, and a few ticks work them off.
Far windows are throttled after tokens were short at every tick for minutes, and released as soon as all polls would
fit into the quota again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST = 4
TICKS_APART = 1.7  # shortages no further apart were found at ticks in a row
LASTING = timedelta(minutes=3)
BEFORE_MORE = timedelta(minutes=2)
BEFORE_LESS = timedelta(minutes=1)
LONGEST_CALM = timedelta(minutes=10)  # without a shortage, though more polls were wanted than fit: many share requests


@dataclass(frozen=True, slots=True)
class Shortage:
    """From when to when tokens were found short, tick after tick; None where they never were."""

    since: datetime | None = None
    at: datetime | None = None

    def lasts(self, *, now: datetime, tick: timedelta) -> bool:
        """Whether it has lasted so long, up to now, that far windows are throttled for it."""
        if self.since is None or self.at is None:
            return False
        return now - self.at <= tick * TICKS_APART and now - self.since >= LASTING

    def calm(self, *, now: datetime) -> timedelta:
        """For how long tokens have not been short."""
        return now - self.at if self.at else LONGEST_CALM


def next_stretch(
    stretch: int, *, changed_at: datetime | None, shortage: Shortage, fits: bool, now: datetime, tick: timedelta
) -> int:
    """Of how many slots before T-5 one is polled from now on: half as many while a shortage lasts, all of them when it
    has ended and `fits`: all polls that are wanted, those left out included, keep within the quota."""
    since_change = now - changed_at if changed_at else LONGEST_CALM
    if shortage.lasts(now=now, tick=tick):
        return min(stretch * 2, MOST) if since_change >= BEFORE_MORE else stretch
    calm = min(shortage.calm(now=now), since_change)
    if calm >= BEFORE_LESS and fits:
        return 1
    return max(stretch // 2, 1) if calm >= LONGEST_CALM else stretch
