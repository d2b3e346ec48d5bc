"""How far a provider's far windows are stretched when its tokens run short, and when they are let go again.

Slow to change in both directions (hysteresis): a plan that flips with every tick is worse than a coarse one.
"""

from datetime import datetime, timedelta

MOST = 4
SHORT_LATELY = timedelta(seconds=45)
BEFORE_MORE = timedelta(seconds=60)
BEFORE_LESS = timedelta(minutes=5)


def next_stretch(stretch: int, *, changed_at: datetime | None, short_at: datetime | None, now: datetime) -> int:
    """The factor by which steps before T-5 are stretched from now on: twice as far while tokens run short, half
    as far after five minutes in which they did not."""
    since_change = now - changed_at if changed_at else BEFORE_LESS
    since_short = now - short_at if short_at else BEFORE_LESS
    if since_short <= SHORT_LATELY and since_change >= BEFORE_MORE:
        return min(stretch * 2, MOST)
    if since_short >= BEFORE_LESS and since_change >= BEFORE_LESS:
        return max(stretch // 2, 1)
    return stretch
