"""Which slots the races of a day had, by their plans and the starts they were known with, and which were polled."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from polling.models import PollLog, PollState
from polling.planning import cadence_of, min_interval_of
from races.models import Race


@dataclass(frozen=True, slots=True)
class KnownStart:
    """From `since` on: when the race was to start, and whether it had not (`waiting`), as our database had it."""

    since: datetime
    start: datetime
    waiting: bool


Starts = dict[int, list[KnownStart]]  # by race


@dataclass(frozen=True, slots=True)
class RaceSlots:
    """One race: the slots planned while it was known and not finalized, and when polls of it began that answered."""

    starts: list[KnownStart]
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
        missed = []
        for slot, end in pairwise([*self.planned, self.until]):
            place = bisect_left(self.polled, slot)
            if place == len(self.polled) or self.polled[place] >= end:
                missed.append(slot)
        return missed

    @property
    def is_whole(self) -> bool:
        """Whether the race was known from T-60 with the start that it kept, and polled past it."""
        first, *others = self.starts
        has_moved = any(known.start != first.start for known in others)
        return not has_moved and first.since <= first.start - timedelta(minutes=60) and self.until > first.start


def note_starts(starts: Starts, *, at: datetime) -> None:
    """Adds the starts that differ from those noted last, and whether the races still wait for them."""
    for race in Race.objects.open().only("pk", "advertised_start", "status"):
        known = starts.setdefault(race.pk, [])
        if not known or (known[-1].start, known[-1].waiting) != (race.advertised_start, race.is_waiting):
            known.append(KnownStart(at, race.advertised_start, race.is_waiting))


def slots_of_races(starts: Starts, *, until: datetime) -> list[RaceSlots]:
    """The slots of every race known, from the stored facts alone."""
    polled: dict[int, list[datetime]] = {race: [] for race in starts}
    answered = PollLog.objects.filter(state=PollState.OK.value, started_at__isnull=False).order_by("started_at")
    for race, began in answered.values_list("race", "started_at"):
        if began is not None:
            polled.setdefault(race, []).append(began)
    races = {race.pk: race for race in Race.objects.all()}
    return [
        _slots_of_race(known, min(races[race].finalized_at or until, until), polled[race], races[race])
        for race, known in starts.items()
    ]


def _slots_of_race(known: list[KnownStart], until: datetime, polled: list[datetime], race: Race) -> RaceSlots:
    planned: list[datetime] = []
    interval = min_interval_of(race.provider)
    for this, following in zip(known, [*(later.since for later in known[1:]), until], strict=True):
        grid = cadence_of(race).for_race(waiting=this.waiting, min_interval=interval)
        span = {"since": this.since, "until": min(following, until)}
        planned += grid.between(this.start, **span, min_interval=interval)
    return RaceSlots(known, until, planned, polled)
