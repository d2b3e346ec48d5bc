"""How polls become requests: which share a list of statuses, and which want their race's detail at once."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from polling.cadence import is_urgent

T = TypeVar("T")


def chunks(
    polls: Iterable[T], asked_of: Callable[[T], tuple[str, datetime]], *, max_batch: Callable[[str], int], now: datetime
) -> Iterator[list[T]]:
    """By provider and urgency, the nearest first: a race about to start never waits behind a far one.

    `asked_of` tells the provider and the advertised start, `max_batch` how many polls of a provider share a task.
    """

    def place(poll: T) -> tuple[bool, str]:
        provider, start = asked_of(poll)
        return not is_urgent(start, now=now), provider

    nearest_first = sorted(polls, key=lambda poll: abs(asked_of(poll)[1] - now))
    for (_, provider), group in groupby(sorted(nearest_first, key=place), key=place):
        rest, size = list(group), max_batch(provider)
        for first in range(0, len(rest), size):
            yield rest[first : first + size]


def wants_detail(start: datetime, *, policy: str, has_detail: bool, wanted: bool, now: datetime) -> bool:
    """Up to the start the odds are the point, after it what moved; `policy` (RACE_DETAIL) may say otherwise."""
    if policy == "always" or wanted or not has_detail:
        return True
    return policy == "until_start" and now < start
