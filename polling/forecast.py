"""The load of a race day: which requests its providers will get, by walking through the plan ahead of time. Pure."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from polling.cadence import Cadence, floor
from polling.next_poll import RaceFacts, next_poll
from polling.request_policy import BatchScope, PollTarget, asks_singly, chunks

MINUTE = timedelta(minutes=1)
ANSWERED_IN = timedelta(milliseconds=300)
WAITING, RUNNING, INTERIM, ENDED = range(4)


@dataclass(frozen=True, slots=True)
class Entry:
    """A race of the card as it stands at `known_at`, from when on it is polled; `ends_at` where that is known.

    `cadence` is the race's own; `scope` is what a list of its provider answers.
    """

    provider: str
    facts: RaceFacts
    known_at: datetime
    cadence: Cadence
    has_detail: bool = False
    ends_at: datetime | None = None
    scope: BatchScope = BatchScope.STATUS


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known ahead: how long after the advertised start races jump, and (`detail`) RACE_DETAIL.

    The times from the jump to the interim result and to the official one are those of recorded races.
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


def polls(entry: Entry, *, assume: Assumptions) -> Iterator[Poll]:
    """The polls of a race by the planner's own rule, in order, up to its last recheck.

    Each of them is taken to be answered, and each change of status to be found by the first poll after it.
    """
    changes = _status_changes(entry, assume)
    facts, now, has_detail = entry.facts, entry.known_at, entry.has_detail
    reported = WAITING if facts.waiting else RUNNING
    while (at := next_poll(facts, cadence=entry.cadence, now=now)) is not None:
        found = bisect_right(changes, at)
        is_whole_list = entry.scope is BatchScope.FULL
        singly = (facts.finalized and not is_whole_list) or asks_singly(
            entry.scope, facts.advertised_start, waiting=facts.waiting, policy=assume.detail, has_detail=has_detail,
            wanted=facts.detail_wanted, now=at,
        )  # fmt: skip
        has_news = not is_whole_list and (found != reported or found == INTERIM)
        urgent = entry.cadence.is_urgent(facts.advertised_start, waiting=facts.waiting, now=at)
        yield Poll(at, urgent, listed=not singly, detailed=singly or has_news)
        now, reported, has_detail = at + ANSWERED_IN, found, True
        facts = replace(facts, covered_at=at, asked_at=at, detail_wanted=False, waiting=found == WAITING)
        if found == ENDED and not facts.finalized:
            facts = replace(facts, finalized=True, ended_at=now)


def _status_changes(entry: Entry, assume: Assumptions) -> tuple[datetime, datetime, datetime]:
    """When the race starts, is interim and has ended: as assumed, but for what is known."""
    jumps_at = entry.facts.advertised_start + assume.late
    jumps_at = max(jumps_at, entry.known_at) if entry.facts.waiting else min(jumps_at, entry.known_at)
    ends_at = entry.ends_at or jumps_at + assume.until_official
    return min(jumps_at, ends_at), min(jumps_at + assume.until_interim, ends_at), ends_at


@dataclass(frozen=True, slots=True)
class Load:
    """What one provider is asked: its polls, and the requests of each minute against its quota per minute."""

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
    """From an instant on, and before another."""

    since: datetime
    until: datetime


def loads(
    entries: Iterable[Entry], span: Span, *, quota: int, max_batch: Callable[[str], int], assume: Assumptions
) -> Sequence[Load]:
    """The load of each provider within the span, in the order of their names.

    Polls of one instant share requests as `dispatch` and `fetching` have it: `max_batch` is how many polls of a
    provider fit into one task. `quota` is in requests per minute, the same for each provider.
    """
    races, due = Counter[str](), defaultdict[datetime, list[tuple[Entry, Poll]]](list)
    for entry in entries:
        races[entry.provider] += 1
        for poll in polls(entry, assume=assume):
            if span.since <= poll.at < span.until:
                due[poll.at].append((entry, poll))

    def target_of(entry_and_poll: tuple[Entry, Poll]) -> PollTarget:
        entry, poll = entry_and_poll
        return PollTarget(entry.provider, entry.facts.advertised_start, poll.urgent)

    made, by_minute = Counter[str](), defaultdict[str, Counter[datetime]](Counter)
    for at in sorted(due):
        for chunk in chunks(due[at], target_of, max_batch=max_batch, now=at):
            provider, shared = chunk[0][0].provider, [poll for _, poll in chunk]
            made[provider] += len(shared)
            asked = any(poll.listed for poll in shared) + sum(poll.detailed for poll in shared)
            by_minute[provider][floor(at, MINUTE)] += asked
    return [Load(name, races[name], made[name], dict(by_minute[name]), quota) for name in sorted(races)]
