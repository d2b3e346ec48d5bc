"""What a race day will ask of its providers: what the planner would plan, walked through ahead of time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from polling.cadence import Cadence, RaceFacts, floor, next_poll

MINUTE = timedelta(minutes=1)
ANSWERED_IN = timedelta(milliseconds=300)
UNTIL_OFFICIAL = timedelta(minutes=9)  # from the jump, as long as recorded races took


@dataclass(frozen=True, slots=True)
class Entry:
    """A race of the card, polled from `known_at` on; `ends_at` where it has ended already."""

    provider: str
    advertised_start: datetime
    known_at: datetime
    ends_at: datetime | None = None
    thin_to: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known ahead: how long after the advertised start races jump, and (`detail`) RACE_DETAIL."""

    late: timedelta = timedelta()
    detail: str = "until_start"


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll to come; `whole` where it costs a request of its own, else many share one for their statuses."""

    at: datetime
    whole: bool


def polls(entry: Entry, cadence: Cadence, *, assume: Assumptions) -> Iterator[Poll]:
    """The polls of a race by the planner's own rule, each of them answered, and the end met by the first after it."""
    jumps_at = entry.advertised_start + assume.late
    ends_at = entry.ends_at or jumps_at + UNTIL_OFFICIAL
    now, covered, ended_at = entry.known_at, None, None
    while True:
        facts = RaceFacts(
            entry.advertised_start, waiting=now < jumps_at, finalized=ended_at is not None, ended_at=ended_at,
            covered=covered, asked=covered, thin_to=entry.thin_to,
        )  # fmt: skip
        at = next_poll(facts, cadence=cadence, now=now)
        if at is None:
            return
        meets_end = ended_at is None and at >= ends_at
        before_start = assume.detail == "until_start" and at < entry.advertised_start
        yield Poll(
            at, covered is None or meets_end or ended_at is not None or assume.detail == "always" or before_start
        )
        now, covered = at + ANSWERED_IN, at
        ended_at = now if meets_end else ended_at


@dataclass(frozen=True, slots=True)
class Load:
    """What one provider is asked: polls, and requests by minute against its quota of requests a minute."""

    provider: str
    races: int
    polls: int
    by_minute: Mapping[datetime, int]
    quota: int

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.by_minute.values())

    @property
    def peak(self) -> tuple[datetime | None, int]:
        """The first of the fullest minutes, and its requests."""
        return max(self.by_minute.items(), key=lambda pair: (pair[1], -pair[0].timestamp()), default=(None, 0))

    @property
    def over(self) -> Mapping[datetime, int]:
        """The minutes above the quota, with how many requests they are above it."""
        return {minute: asked - self.quota for minute, asked in self.by_minute.items() if asked > self.quota}


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant on, before another."""

    since: datetime
    until: datetime


def loads(
    entries: Iterable[Entry], cadence: Cadence, span: Span, *, quota: int, max_batch: int, assume: Assumptions
) -> Sequence[Load]:
    """The load of each provider within the span; by name. `max_batch` races share a request for their statuses."""
    races, made = Counter[str](), Counter[str]()
    whole, shared = defaultdict[str, Counter[datetime]](Counter), defaultdict[str, Counter[datetime]](Counter)
    for entry in entries:
        races[entry.provider] += 1
        for poll in polls(entry, cadence, assume=assume):
            if span.since <= poll.at < span.until:
                made[entry.provider] += 1
                (whole if poll.whole else shared)[entry.provider][poll.at] += 1
    return [
        Load(name, races[name], made[name], _requests_by_minute(whole[name], shared[name], max_batch), quota)
        for name in sorted(races)
    ]


def _requests_by_minute(whole: Counter[datetime], shared: Counter[datetime], max_batch: int) -> dict[datetime, int]:
    by_minute = Counter[datetime]()
    for at, polled in whole.items():
        by_minute[floor(at, MINUTE)] += polled
    for at, polled in shared.items():
        by_minute[floor(at, MINUTE)] += -(-polled // max_batch)
    return dict(sorted(by_minute.items()))
