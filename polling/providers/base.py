"""What a provider can do, and what every adapter answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from polling.errors import PollingError
from polling.request_policy import BatchScope
from races.snapshots import LeftOut, RaceSnapshot


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's API allows, for the planning of polls.

    `batch_scope` is how much its answer for many races holds, `max_batch` how many races one poller task takes,
    `max_concurrency` how many requests it may make at once, `min_interval` the least time between two polls of a race.
    """

    batch_scope: BatchScope
    max_batch: int = 1
    max_concurrency: int = 1
    min_interval: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class RaceRef:
    """How a provider's race is addressed."""

    provider_race_id: str
    provider_meeting_id: str = ""


Answer = RaceSnapshot | PollingError


@dataclass(frozen=True, slots=True)
class Schedule:
    """An imported card: the races reported, how many rows were no races or could not be read, and what it cost.

    `skipped` is the number of those rows, and `left_out` counts them by what they were. `listed_ids` has the ids of all
    races on the card, also of those that could not be read or start at another time; None where the card does not say
    which there are. `unlisted_meetings` has the ids of meetings on it that do not list their races. `outside_window`
    are the races on it that start a few days before or after the window that was asked for.
    """

    races: Sequence[RaceSnapshot]
    skipped: int = 0
    requests: int = 1
    left_out: LeftOut = ()
    listed_ids: frozenset[str] | None = None
    unlisted_meetings: frozenset[str] = frozenset()
    outside_window: Sequence[RaceSnapshot] = ()


class Provider(Protocol):
    """One racing data provider. `deadline` is an instant of time.monotonic() by which the answer must have come.

    A failure of the whole request is raised as a PollingError; the failure of one race is its answer. Snapshots are
    observed at `now`.
    """

    name: str
    capabilities: Capabilities

    def fetch_schedule(self, since: datetime, until: datetime, *, now: datetime, deadline: float) -> Schedule:
        """The status and start of every race that is advertised to start from `since` to `until`."""

    def fetch_statuses(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, RaceSnapshot]:
        """The races by their ids, in as few requests as the provider allows; what it left out is absent.

        What a snapshot holds is the provider's `batch_scope`: status and start, or all there is.
        """

    def fetch_races(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, Answer]:
        """All there is of each race, by race id: a snapshot, or the error of its request."""
