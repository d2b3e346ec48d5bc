"""How many requests a provider may be sent: a token bucket, told by the instant at which it is full again.

A request takes a token and puts that instant off by one spacing; the bucket is empty when it lies a whole burst ahead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum


class Need(IntEnum):
    """Who asks, the most important first: staff who force a poll, races about to start, all others."""

    FORCED = 0
    URGENT = 1
    FAR = 2


@dataclass(frozen=True, slots=True)
class Bucket:
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

    def kept_from(self, need: Need) -> int:
        """The tokens that this need must leave for those above it."""
        return {Need.FORCED: 0, Need.URGENT: self.reserve, Need.FAR: self.reserve + self.burst // 4}[need]

    def most(self, need: Need) -> int:
        """The tokens that this need may take of a full bucket."""
        return self.burst - self.kept_from(need)

    def latest(self, tokens: int, need: Need, *, now: datetime) -> datetime:
        """The latest instant of being full again at which so many tokens may still be taken."""
        return now + self.spacing * (self.most(need) - tokens)

    def is_absurd(self, full_at: datetime, *, now: datetime) -> bool:
        """Whether no spending can have brought this about, only a clock that was set back since."""
        return full_at - now > self.spacing * self.burst * 1.5

    def left(self, full_at: datetime, need: Need, *, now: datetime) -> int:
        """How many tokens this need may take now."""
        missing = max(full_at - now, timedelta())
        return max(0, self.most(need) + (-missing // self.spacing))
