"""The books of polling: which slots a race had, by its plan and the starts it was known with, and which were polled."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from polling.models import PollLog, PollState
from polling.planning import cadence, min_interval
from races.models import Race

Starts = dict[int, list[tuple[datetime, datetime]]]  # by race: since when it was known to start when


@dataclass(frozen=True, slots=True)
class Account:
    """One race: the slots planned while it was known and not finalized, and when polls of it began that answered."""

    starts: list[tuple[datetime, datetime]]
    until: datetime
    planned: list[datetime]
    polled: list[datetime]

    @property
    def start(self) -> datetime:
        """The advertised start as it was known last."""
        return self.starts[-1][1]

    @property
    def missed(self) -> list[datetime]:
        """The planned slots after which no poll began before the next one."""
        spans = pairwise([*self.planned, self.until])
        return [slot for slot, end in spans if not _any_within(self.polled, slot, end)]

    @property
    def is_whole(self) -> bool:
        """Whether the race was known from T-60 with the start that it kept, and polled past it."""
        [(known, start), *moves] = self.starts
        return not moves and known <= start - timedelta(minutes=60) and self.until > start


def _any_within(instants: list[datetime], since: datetime, until: datetime) -> bool:
    place = bisect_left(instants, since)
    return place < len(instants) and instants[place] < until


def note_starts(starts: Starts, *, at: datetime) -> None:
    """Adds the starts that are not as noted last."""
    for race, start in Race.objects.open().values_list("pk", "advertised_start"):
        known = starts.setdefault(race, [])
        if not known or known[-1][1] != start:
            known.append((at, start))


def of_the_day(starts: Starts, *, until: datetime) -> list[Account]:
    """An account for every race known, from the stored facts alone."""
    polled: dict[int, list[datetime]] = {race: [] for race in starts}
    answered = PollLog.objects.filter(state=PollState.OK.value, started_at__isnull=False).order_by("started_at")
    for race, began in answered.values_list("race", "started_at"):
        if began is not None:
            polled.setdefault(race, []).append(began)
    ends = dict(Race.objects.values_list("pk", "finalized_at"))
    providers = dict(Race.objects.values_list("pk", "provider"))
    return [
        _account(known, min(ends[race] or until, until), polled[race], providers[race])
        for race, known in starts.items()
    ]


def _account(known: list[tuple[datetime, datetime]], until: datetime, polled: list[datetime], name: str) -> Account:
    planned: list[datetime] = []
    for (since, start), (following, _) in pairwise([*known, (until, until)]):
        planned += cadence().between(start, since=since, until=min(following, until), thin_to=min_interval(name))
    return Account(known, until, planned, polled)
