"""How many requests a provider may be sent: a token bucket, stored as the instant at which it is full again.

A request takes a token and moves that instant ahead by one spacing; the bucket is empty when it lies a whole burst
ahead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum


class Priority(IntEnum):
    """Who asks, the most important first: staff who force a poll, races about to start, all others."""

    FORCED = 0
    URGENT = 1
    FAR = 2


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """`per_minute` tokens flow in, at most `burst` are kept; the last `reserve` are for forced polls alone.

    A quarter of the burst is kept from far races, so that those about to start find tokens in any case.
    """

    per_minute: int
    burst: int
    reserve: int

    @property
    def spacing(self) -> timedelta:
        """The time in which one token flows in."""
        return timedelta(minutes=1) / self.per_minute

    def inflow(self, time: timedelta) -> int:
        """The whole tokens that flow in meanwhile."""
        return time // self.spacing

    def most_for(self, priority: Priority) -> int:
        """The tokens that this priority may take of a full bucket: all but those kept for the priorities above it."""
        kept = {Priority.FORCED: 0, Priority.URGENT: self.reserve, Priority.FAR: self.reserve + self.burst // 4}
        return self.burst - kept[priority]

    def latest_full_at(self, tokens: int, priority: Priority, *, now: datetime) -> datetime:
        """The latest instant of being full again at which so many tokens may still be taken."""
        return now + self.spacing * (self.most_for(priority) - tokens)

    def is_beyond_spending(self, full_at: datetime, *, now: datetime) -> bool:
        """Whether no spending can have moved the instant so far ahead, only a clock that was set back since."""
        return full_at - now > self.spacing * self.burst * 1.5

    def available(self, full_at: datetime, priority: Priority, *, now: datetime) -> int:
        """How many tokens this priority may take now."""
        missing = max(full_at - now, timedelta())
        return max(0, self.most_for(priority) + (-missing // self.spacing))
