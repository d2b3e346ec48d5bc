"""Cards of whole racing days, spread over the hours as real ones are: a busy day and one too big to be true.

A day has 27 hours of racing, as the recorded one had. It is listed whole from 90 minutes before its first
start until 90 minutes after its last, when the next day takes its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import accumulate, count, pairwise

from sandbox.provider.names import track
from sandbox.provider.race import Move, Race, abandoned_at, draw_race, moves
from sandbox.provider.race_grid import EPOCH, Meeting, nz_day
from sandbox.provider.rolling_card import ADDRESSABLE
from sandbox.provider.seeded_random import between, chance, uid

MINUTE = timedelta(minutes=1)
RACING, MARGIN = timedelta(hours=27), timedelta(minutes=90)
PERIOD = RACING + 2 * MARGIN
WINDOW = timedelta(minutes=5)

# (share of meetings, share of the day by which they have begun): few at night, most within the seven hours
# in which New Zealand's afternoon overlaps Australia's, an evening after it.
BEGUN = ((0.0, 0.0), (0.14, 0.25), (0.24, 0.4), (0.66, 0.62), (0.84, 0.76), (1.0, 1.0))
# Races of a meeting and minutes between them, by code.
FEWEST, MOST = 8, 12
INTERVALS = {"T": (30, 40), "H": (24, 32), "G": (17, 22)}


@dataclass(frozen=True)
class Plan:
    """What a day is to hold. `first_position` keeps its races apart from those of every other card.

    `most_at_once` is how many races are inside the five minutes before their start at the busiest instant,
    exactly; None where nothing depends on it.
    """

    races: int
    first_position: int
    most_at_once: int | None = None

    def allows(self, places: "Sequence[Place]") -> bool:
        return self.most_at_once is None or most_at_once(places) == self.most_at_once


BUSY = Plan(races=750, first_position=10**9, most_at_once=8)
HUGE = Plan(races=5000, first_position=2 * 10**9)


@dataclass(frozen=True)
class Day:
    """One racing day; `races` by their first start."""

    races: tuple[Race, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Race]:
        return {race.id: race for race in self.races}

    @cached_property
    def by_meeting(self) -> Mapping[str, list[Race]]:
        meetings: dict[str, list[Race]] = {}
        for race in self.races:
            meetings.setdefault(race.meeting.id, []).append(race)
        return meetings


@dataclass(frozen=True)
class DayCard:
    """The racing days of a plan, one after the other."""

    seed: int
    plan: Plan

    def listed(self, *, now: datetime) -> Sequence[Race]:
        return racing_day(self.seed, day_number(now), self.plan).races

    def find_race(self, wanted: str, *, now: datetime) -> Race | None:
        found = next((day.by_id[wanted] for day in self._days(now) if wanted in day.by_id), None)
        return found if found and abs(found.first_start - now) <= ADDRESSABLE else None

    def find_meeting(self, wanted: str, *, now: datetime) -> Sequence[Race]:
        return next((day.by_meeting[wanted] for day in self._days(now) if wanted in day.by_meeting), ())

    def _days(self, now: datetime) -> Iterator[Day]:
        """Today's first, where nearly every race is that is asked for, then yesterday's and tomorrow's."""
        today = day_number(now)
        return (racing_day(self.seed, number, self.plan) for number in (today, today - 1, today + 1))


def day_number(now: datetime) -> int:
    """The racing day that is listed at `now`."""
    return (now - EPOCH) // PERIOD


def begin_of(number: int) -> datetime:
    """The first start of a racing day; the last is 27 hours later."""
    return EPOCH + number * PERIOD + MARGIN


@lru_cache(maxsize=6)
def racing_day(seed: int, number: int, plan: Plan) -> Day:
    """A whole racing day, the same in every process.

    Its races go as those of the rolling card do, LATENESS of `race` included: two in four are up to 157 s late,
    one in four 157 to 720 s, and of the last fourth one in five is on time.
    """
    places = next(filter(plan.allows, (_place_races(plan, seed, number, attempt) for attempt in count())))
    races = (draw_race(seed, place.position, place.meeting, place.number, place.start) for place in places)
    return Day(tuple(races))


@dataclass(frozen=True)
class Place:
    """Where and when a race of the day is to be run."""

    seed: int
    position: int
    meeting: Meeting
    number: int
    start: datetime

    def last_minutes(self) -> Iterator[tuple[datetime, datetime]]:
        """The intervals in which the start that is reported then is less than five minutes away."""
        key = (self.seed, self.position)
        start, since, never = self.start, EPOCH, self.start + PERIOD
        ended_at = abandoned_at(key, start) or never
        for move in (*moves(key, start), Move(never, timedelta())):
            yield max(since, start - WINDOW), min(move.at, ended_at, start)
            since, start = move.at, start + move.by


def most_at_once(places: Sequence[Place]) -> int:
    """How many races are inside their last five minutes at the busiest instant, by the starts reported then."""
    spans = [span for place in places for span in place.last_minutes() if span[0] < span[1]]
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate(step for _, step in edges))


def _place_races(plan: Plan, seed: int, number: int, attempt: int) -> list[Place]:
    """The day's races by start."""
    key = (seed, plan.first_position, number, attempt)
    sizes = list(_meeting_sizes(plan.races, *key))
    rows = [_wanted_starts(row, size, row / (len(sizes) - 1), number, *key) for row, size in enumerate(sizes)]
    meetings = [
        Meeting(uid("meeting", *key, row), track(row), nz_day(starts[0]), len(starts))
        for row, starts in enumerate(rows)
    ]
    wanted = sorted((start, row, index) for row, starts in enumerate(rows) for index, start in enumerate(starts))
    starts = _spread_starts([start for start, _, _ in wanted], plan.most_at_once or plan.races)
    first = plan.first_position + number * plan.races
    return [
        Place(seed, first + order, meetings[row], index + 1, start)
        for order, (start, (_, row, index)) in enumerate(zip(starts, wanted, strict=True))
    ]


def _meeting_sizes(races: int, *key: object) -> Iterator[int]:
    """How many races each meeting has."""
    for row in count():
        size = min(races, FEWEST + int((MOST - FEWEST + 1) * chance(*key, "size", row)))
        if not size:
            return
        yield size
        races -= size


def _wanted_starts(row: int, size: int, share: float, number: int, *key: object) -> list[datetime]:
    """When a meeting would run its races; the first begins the day and the last ends it."""
    interval = round(between(*INTERVALS[track(row).code], *key, "interval", row))
    (before, low), (after, high) = next(pair for pair in pairwise(BEGUN) if share <= pair[1][0])
    part = low + (high - low) * (share - before) / (after - before)
    first = round(part * (RACING / MINUTE - interval * (size - 1)))
    return [begin_of(number) + (first + interval * index) * MINUTE for index in range(size)]


def _spread_starts(wanted: Sequence[datetime], most: int) -> list[datetime]:
    """Starts that keep their order, postponed where more than `most` would fall into five minutes."""
    starts: list[datetime] = []
    for start in wanted:
        earliest = starts[-most] + WINDOW if len(starts) >= most else start
        starts.append(max(start, earliest, *starts[-1:]))
    return starts
