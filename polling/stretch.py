"""How far a provider's far windows are stretched when its tokens run short, and when they are let go again.

Slow to change in both directions (hysteresis): a plan that flips with every tick is worse than a coarse one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST = 4
SHORT_LATELY = timedelta(seconds=45)
LASTING = timedelta(seconds=30)  # a first import asks for a whole day at once, and that passes
BEFORE_MORE = timedelta(seconds=60)
BEFORE_LESS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Shortage:
    """From when to when tokens were found short, again and again; None where they never were."""

    since: datetime | None = None
    at: datetime | None = None


def next_stretch(stretch: int, *, changed_at: datetime | None, shortage: Shortage, now: datetime) -> int:
    """The factor by which steps before T-5 are stretched from now on: twice as far while a shortage lasts, half as far
    after five minutes without one."""
    since_change = now - changed_at if changed_at else BEFORE_LESS
    since_short = now - shortage.at if shortage.at else BEFORE_LESS
    lasts = shortage.since is not None and now - shortage.since >= LASTING and since_short <= SHORT_LATELY
    if lasts and since_change >= BEFORE_MORE:
        return min(stretch * 2, MOST)
    if since_short >= BEFORE_LESS and since_change >= BEFORE_LESS:
        return max(stretch // 2, 1)
    return stretch
