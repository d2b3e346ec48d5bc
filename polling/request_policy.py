"""How polls become requests: which share a list of statuses, and which want their race's detail at once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a poll asks, about a race with what advertised start, and whether it must wait behind no other."""

    provider: str
    start: datetime
    urgent: bool


def chunks(
    polls: Iterable[T], asked_of: Callable[[T], Asked], *, max_batch: Callable[[str], int], now: datetime
) -> Iterator[list[T]]:
    """By provider and urgency, the nearest first: a race about to start never waits behind a far one.

    `max_batch` is how many polls of a provider share a task.
    """

    def place(poll: T) -> tuple[bool, str]:
        asked = asked_of(poll)
        return not asked.urgent, asked.provider

    nearest_first = sorted(polls, key=lambda poll: abs(asked_of(poll).start - now))
    for (_, provider), group in groupby(sorted(nearest_first, key=place), key=place):
        rest, size = list(group), max_batch(provider)
        for first in range(0, len(rest), size):
            yield rest[first : first + size]


def wants_detail(start: datetime, *, waiting: bool, policy: str, has_detail: bool, wanted: bool, now: datetime) -> bool:
    """Until the race has started, by the clock and by the provider's word (`waiting`), the odds are the point.

    After that it is what moved; `policy` (RACE_DETAIL) may say otherwise.
    """
    if policy == "always" or wanted or not has_detail:
        return True
    return policy == "until_start" and (waiting or now < start)
