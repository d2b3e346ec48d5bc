"""The books of polling: which slots a race had, by its plan and the starts it was known with, and which were polled."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from polling.models import PollLog, PollState
from polling.planning import cadence_of, min_interval_of
from races.models import Race


@dataclass(frozen=True, slots=True)
class Known:
    """From `since` on: when the race was to start, and whether it had not (`waiting`), as our database had it."""

    since: datetime
    start: datetime
    waiting: bool


Starts = dict[int, list[Known]]  # by race


@dataclass(frozen=True, slots=True)
class Account:
    """One race: the slots planned while it was known and not finalized, and when polls of it began that answered."""

    starts: list[Known]
    until: datetime
    planned: list[datetime]
    polled: list[datetime]

    @property
    def start(self) -> datetime:
        """The advertised start as it was known last."""
        return self.starts[-1].start

    @property
    def missed(self) -> list[datetime]:
        """The planned slots after which no poll began before the next one."""
        spans = pairwise([*self.planned, self.until])
        return [slot for slot, end in spans if not _any_within(self.polled, slot, end)]

    @property
    def is_whole(self) -> bool:
        """Whether the race was known from T-60 with the start that it kept, and polled past it."""
        first, *others = self.starts
        has_moved = any(known.start != first.start for known in others)
        return not has_moved and first.since <= first.start - timedelta(minutes=60) and self.until > first.start


def _any_within(instants: list[datetime], since: datetime, until: datetime) -> bool:
    place = bisect_left(instants, since)
    return place < len(instants) and instants[place] < until


def note_starts(starts: Starts, *, at: datetime) -> None:
    """Adds the starts, and whether the races wait for them, that are not as noted last."""
    for race in Race.objects.open().only("pk", "advertised_start", "status"):
        known = starts.setdefault(race.pk, [])
        if not known or (known[-1].start, known[-1].waiting) != (race.advertised_start, race.is_waiting):
            known.append(Known(at, race.advertised_start, race.is_waiting))


def of_the_day(starts: Starts, *, until: datetime) -> list[Account]:
    """An account for every race known, from the stored facts alone."""
    polled: dict[int, list[datetime]] = {race: [] for race in starts}
    answered = PollLog.objects.filter(state=PollState.OK.value, started_at__isnull=False).order_by("started_at")
    for race, began in answered.values_list("race", "started_at"):
        if began is not None:
            polled.setdefault(race, []).append(began)
    races = {race.pk: race for race in Race.objects.all()}
    return [
        _account(known, min(races[race].finalized_at or until, until), polled[race], races[race])
        for race, known in starts.items()
    ]


def _account(known: list[Known], until: datetime, polled: list[datetime], race: Race) -> Account:
    planned: list[datetime] = []
    interval = min_interval_of(race.provider)
    for this, following in zip(known, [*(later.since for later in known[1:]), until], strict=True):
        grid = cadence_of(race).for_race(waiting=this.waiting, min_interval=interval)
        span = {"since": this.since, "until": min(following, until)}
        planned += grid.between(this.start, **span, min_interval=interval)
    return Account(known, until, planned, polled)
