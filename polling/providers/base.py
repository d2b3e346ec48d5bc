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
    """`max_batch` is how many races one poller task takes; `max_concurrency` how many requests at once."""

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

    `left_out` counts those rows by what they were. `listed` has the ids of all races on the card, also of those that
    were not read or start at another time; None where the card does not say which there are. `unsure` has the ids of
    meetings on it whose races it does not list. `elsewhen` are the races on it that start a few
    days before or after what was asked for.
    """

    races: Sequence[RaceSnapshot]
    skipped: int = 0
    requests: int = 1
    left_out: LeftOut = ()
    listed: frozenset[str] | None = None
    unsure: frozenset[str] = frozenset()
    elsewhen: Sequence[RaceSnapshot] = ()


class Provider(Protocol):
    """One racing data provider. `deadline` is an instant of time.monotonic() by which the answer must be here.

    A failure of the whole request is raised as a PollingError; a failure of one race is its answer.
    """

    name: str
    capabilities: Capabilities

    def fetch_schedule(self, since: datetime, until: datetime, *, now: datetime, deadline: float) -> Schedule:
        """The status and starts of every race advertised in between."""

    def fetch_statuses(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, RaceSnapshot]:
        """The races by their ids, in as few requests as the provider allows; what it left out is absent.

        What a snapshot holds is the provider's `batch_scope`: status and start, or all there is.
        """

    def fetch_races(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, Answer]:
        """All there is of each race, by race id: a snapshot, or the error that its request met."""
