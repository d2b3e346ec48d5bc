"""Which requests a poll makes: which polls share a list of statuses, and which ask for their race's detail. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")


class BatchScope(StrEnum):
    """What one request of a provider for many races answers: it has no such request, their status, or all there is."""

    NONE = "none"
    STATUS = "status"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class PollTarget:
    """The provider that a poll asks, the advertised start of its race, and whether it must wait behind no far race."""

    provider: str
    start: datetime
    urgent: bool


def chunks(
    polls: Iterable[T], target_of: Callable[[T], PollTarget], *, max_batch: Callable[[str], int], now: datetime
) -> Iterator[list[T]]:
    """The polls in the groups that share a task: by provider and urgency, the nearest to their start first.

    Urgent groups come first and hold no far race, so that a race about to start never waits behind a far one.
    `target_of` says what a poll asks; `max_batch` is how many polls of a provider fit into one task.
    """

    def place(poll: T) -> tuple[bool, str]:
        target = target_of(poll)
        return not target.urgent, target.provider

    nearest_first = sorted(polls, key=lambda poll: abs(target_of(poll).start - now))
    for (_, provider), group in groupby(sorted(nearest_first, key=place), key=place):
        rest, size = list(group), max_batch(provider)
        for first in range(0, len(rest), size):
            yield rest[first : first + size]


def asks_singly(
    scope: BatchScope, start: datetime, *, waiting: bool, policy: str, has_detail: bool, wanted: bool, now: datetime
) -> bool:
    """Whether a race is asked by a request of its own from the outset, and not by the list of many.

    Where the list answers all there is (`BatchScope.FULL`) no race is; where there is no list each one is. Where it
    answers their status, the detail is asked until the race has started, by the clock and by the provider's report
    (`waiting`), as the odds are the point till then; also where none is stored, or news calls for it (`wanted`).
    `policy` is the setting RACE_DETAIL: always, until_start, or changed.
    """
    if scope is not BatchScope.STATUS:
        return scope is BatchScope.NONE
    if policy == "always" or wanted or not has_detail:
        return True
    return policy == "until_start" and (waiting or now < start)
