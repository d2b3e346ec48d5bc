"""What a race day will ask of its providers: what the planner would plan, walked through ahead of time."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from polling.cadence import Cadence, floor
from polling.next_poll import RaceFacts, next_poll
from polling.request_policy import Asked, chunks, wants_detail

MINUTE = timedelta(minutes=1)
ANSWERED_IN = timedelta(milliseconds=300)
WAITING, RUNNING, INTERIM, ENDED = range(4)


@dataclass(frozen=True, slots=True)
class Entry:
    """A race of the card as it stands at `known_at`, from which on it is polled; `ends_at` where that is known."""

    provider: str
    facts: RaceFacts
    known_at: datetime
    has_detail: bool = False
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known ahead: how long after the advertised start races jump, and (`detail`) RACE_DETAIL.

    From the jump to the interim result and to the official one, as long as recorded races took.
    """

    late: timedelta = timedelta()
    until_interim: timedelta = timedelta(minutes=4)
    until_official: timedelta = timedelta(minutes=9)
    detail: str = "until_start"


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll to come; `listed` where it shares a request for statuses, `detailed` where it costs one of its own."""

    at: datetime
    urgent: bool
    listed: bool
    detailed: bool


def polls(entry: Entry, cadence: Cadence, *, assume: Assumptions) -> Iterator[Poll]:
    """The polls of a race by the planner's own rule, each of them answered, and each move met by the first after it."""
    moves = _moves(entry, assume)
    facts, now, has_detail = entry.facts, entry.known_at, entry.has_detail
    told = WAITING if facts.waiting else RUNNING
    while (at := next_poll(facts, cadence=cadence, now=now)) is not None:
        met = bisect_right(moves, at)
        singly = facts.finalized or wants_detail(
            facts.advertised_start, waiting=facts.waiting, policy=assume.detail, has_detail=has_detail,
            wanted=facts.detail_wanted, now=at,
        )  # fmt: skip
        urgent = cadence.is_urgent(facts.advertised_start, waiting=facts.waiting, now=at)
        yield Poll(at, urgent, listed=not singly, detailed=singly or met != told or met == INTERIM)
        now, told, has_detail = at + ANSWERED_IN, met, True
        facts = replace(facts, covered=at, asked=at, detail_wanted=False, waiting=met == WAITING)
        if met == ENDED and not facts.finalized:
            facts = replace(facts, finalized=True, ended_at=now)


def _moves(entry: Entry, assume: Assumptions) -> tuple[datetime, datetime, datetime]:
    """When the race starts, is interim and has ended: as assumed, but for what is known."""
    jumps_at = entry.facts.advertised_start + assume.late
    jumps_at = max(jumps_at, entry.known_at) if entry.facts.waiting else min(jumps_at, entry.known_at)
    ends_at = entry.ends_at or jumps_at + assume.until_official
    return min(jumps_at, ends_at), min(jumps_at + assume.until_interim, ends_at), ends_at


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
    entries: Iterable[Entry],
    cadence: Cadence,
    span: Span,
    *,
    quota: int,
    max_batch: Callable[[str], int],
    assume: Assumptions,
) -> Sequence[Load]:
    """The load of each provider within the span, by name; polls of one instant share requests as dispatch has it."""
    races, due = Counter[str](), defaultdict[datetime, list[tuple[Entry, Poll]]](list)
    for entry in entries:
        races[entry.provider] += 1
        for poll in polls(entry, cadence, assume=assume):
            if span.since <= poll.at < span.until:
                due[poll.at].append((entry, poll))
    made, by_minute = Counter[str](), defaultdict[str, Counter[datetime]](Counter)
    for at in sorted(due):
        for chunk in chunks(due[at], _asked_of, max_batch=max_batch, now=at):
            provider, shared = chunk[0][0].provider, [poll for _, poll in chunk]
            made[provider] += len(shared)
            asked = any(poll.listed for poll in shared) + sum(poll.detailed for poll in shared)
            by_minute[provider][floor(at, MINUTE)] += asked
    return [Load(name, races[name], made[name], dict(by_minute[name]), quota) for name in sorted(races)]


def _asked_of(due: tuple[Entry, Poll]) -> Asked:
    entry, poll = due
    return Asked(entry.provider, entry.facts.advertised_start, poll.urgent)
