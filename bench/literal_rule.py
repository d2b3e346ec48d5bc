"""The brief's rule to the letter, to compare with: `now - last_poll_time >= interval`, looked at on every tick."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import NamedTuple

from polling.cadence import Cadence


class LastFiveMinutes(NamedTuple):
    """The polls of a race in its last five minutes: how many, and the longest gap in seconds."""

    polls: int
    longest_gap: float


def polls(
    start: datetime, *, ticks: Iterable[datetime], until: datetime, cadence: Cadence, random: Random
) -> list[datetime]:
    """When the rule polls a race; `last_poll_time` is stamped at the answer, 0.4 to 0.8 s after the question."""
    polled: list[datetime] = []
    last_poll_time: datetime | None = None
    for now in ticks:
        window = cadence.window(start, now=now)
        if window is None or now >= until:
            continue
        if last_poll_time is None or now - last_poll_time >= window.step:
            polled.append(now)
            last_poll_time = now + timedelta(seconds=random.uniform(0.4, 0.8))
    return polled


def last_five_minutes(polled: Iterable[datetime], start: datetime) -> LastFiveMinutes:
    """The count and the longest gap of polls at these instants. The gaps from T-5 and up to the start count too."""
    opens = start - timedelta(minutes=5)
    inside = sorted(at for at in polled if opens <= at < start)
    marks = [opens, *inside, start]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(marks)]
    return LastFiveMinutes(len(inside), max(gaps))
