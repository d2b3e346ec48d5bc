"""The rolling card: a race every two minutes, whatever the hour.

It is a pure function of the seed and `now`: a restarted process shows the same races further on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from sandbox.provider.race import Race, race_at
from sandbox.provider.race_grid import EPOCH, STEP, meeting_at, position_at, positions_of, race_id, session_of

LISTED = timedelta(hours=3)
ADDRESSABLE = timedelta(hours=36)


@dataclass(frozen=True)
class RollingCard:
    """The races first advertised within three hours of `now`, by start.

    Within 36 hours each race is found by its id, and each meeting by its own.
    """

    seed: int

    def listed(self, *, now: datetime) -> Sequence[Race]:
        return [race_at(self.seed, position) for position in _positions_within(LISTED, now)]

    def find_race(self, wanted: str, *, now: datetime) -> Race | None:
        for day in _addressable_days(now):
            position = _positions_by_race_id(self.seed, day).get(wanted)
            if position is not None and position in _positions_within(ADDRESSABLE, now):
                return race_at(self.seed, position)
        return None

    def find_meeting(self, wanted: str, *, now: datetime) -> Sequence[Race]:
        """All races of a meeting; none for an unknown id."""
        meetings = (_positions_by_meeting_id(self.seed, day) for day in _addressable_days(now))
        positions = next((found[wanted] for found in meetings if wanted in found), [])
        return [race_at(self.seed, position) for position in positions]


def _positions_within(reach: timedelta, now: datetime) -> range:
    return range(position_at(now - reach) + 1, position_at(now + reach) + 1)


def _addressable_days(now: datetime) -> Iterator[date]:
    day = (now - ADDRESSABLE).date()
    while day <= (now + ADDRESSABLE).date():
        yield day
        day += timedelta(days=1)


@lru_cache(maxsize=8)
def _positions_by_race_id(seed: int, day: date) -> dict[str, int]:
    return {race_id(seed, position): position for position in _positions_of_day(day)}


@lru_cache(maxsize=8)
def _positions_by_meeting_id(seed: int, day: date) -> dict[str, list[int]]:
    """The positions of each meeting that has a race on this day of UTC."""
    sessions = {session_of(position)[:2] for position in _positions_of_day(day)}
    return {meeting_at(seed, *session).id: positions_of(*session) for session in sessions}


def _positions_of_day(day: date) -> range:
    races_a_day = timedelta(days=1) // STEP
    first = (day - EPOCH.date()).days * races_a_day
    return range(first, first + races_a_day)
