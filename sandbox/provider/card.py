"""What a card is, the rolling one, and what the provider says of a race at an instant.

Everything here is a pure function of the seed and `now`: a restarted process shows the same races further on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from sandbox.provider.field import Places, Runner, finish
from sandbox.provider.grid import EPOCH, STEP, meeting_at, position_at, positions_of, race_id, session_of
from sandbox.provider.life import Race, race_at
from sandbox.provider.names import PROTESTS

LISTED = timedelta(hours=3)
ADDRESSABLE = timedelta(hours=36)
AFTER_THE_JUMP = frozenset({"Closed", "Live", "Interim", "Final"})
WITH_RESULTS = frozenset({"Interim", "Final"})
INTERIM_PLACES = 4


@dataclass(frozen=True)
class Override:
    """What a test says of a race since `set_at`; None leaves the card's word, any other value wins over it."""

    set_at: datetime
    status: str | None = None
    advertised_start: datetime | None = None
    scratched: frozenset[int] | None = None
    results: Places | None = None
    dividends: Mapping[str, float] | None = None
    protest: bool | None = None
    protest_reason: str | None = None
    vanished: bool = False


@dataclass(frozen=True)
class RaceState:
    """A race at `now`.

    `scratched` holds the scratching instants by runner number, `paid` the dividends that a test wants, by
    product; `protest` is the reason of a protest, None without one.
    """

    race: Race
    now: datetime
    status: str
    advertised_start: datetime
    actual_start: datetime
    scratched: Mapping[int, datetime]
    places: Places
    paid: Mapping[str, float]
    protest: str | None

    def runner(self, number: int) -> Runner:
        return self.race.runners[number - 1]


class Card(Protocol):
    """The races that a provider has at an instant: those in its lists, and those found by an id."""

    def listed(self, *, now: datetime) -> Sequence[Race]: ...

    def find_race(self, wanted: str, *, now: datetime) -> Race | None: ...

    def find_meeting(self, wanted: str, *, now: datetime) -> Sequence[Race]: ...


@dataclass(frozen=True)
class RollingCard:
    """A race every two minutes, whatever the hour."""

    seed: int

    def listed(self, *, now: datetime) -> Sequence[Race]:
        return listed(self.seed, now=now)

    def find_race(self, wanted: str, *, now: datetime) -> Race | None:
        return find_race(self.seed, wanted, now=now)

    def find_meeting(self, wanted: str, *, now: datetime) -> Sequence[Race]:
        return find_meeting(self.seed, wanted, now=now)


def listed(seed: int, *, now: datetime) -> list[Race]:
    """The races first advertised within three hours of `now`, by start."""
    return [race_at(seed, position) for position in _positions(now, LISTED)]


def find_race(seed: int, wanted: str, *, now: datetime) -> Race | None:
    """A race within 36 hours of `now`, by its id."""
    for day in _days(now):
        position = _races_of(seed, day).get(wanted)
        if position is not None and position in _positions(now, ADDRESSABLE):
            return race_at(seed, position)
    return None


def find_meeting(seed: int, wanted: str, *, now: datetime) -> list[Race]:
    """All races of a meeting of about the last and the next day and a half; empty for an unknown id."""
    positions = next(filter(None, (_meetings_of(seed, day).get(wanted) for day in _days(now))), [])
    return [race_at(seed, position) for position in positions]


def state(race: Race, *, now: datetime, override: Override | None = None) -> RaceState:
    override = override or Override(set_at=now)
    if override.advertised_start is not None:
        race = replace(race, first_start=override.advertised_start, moves=())
    status = override.status or race.status(now)
    start = race.advertised_start(now)
    has_jumped = status in AFTER_THE_JUMP and race.jump_at <= now
    scratched = _scratched(race, min(now, race.jump_at), override)
    return RaceState(
        race=race,
        now=now,
        status=status,
        advertised_start=start,
        # Before the jump the API repeats the advertised start here.
        actual_start=race.jump_at if has_jumped else start,
        scratched=scratched,
        places=_places(race, status, scratched, override, is_corrected=race.is_corrected(now)),
        paid=override.dividends or {},
        protest=_protest(race, status, now, override),
    )


def _positions(now: datetime, reach: timedelta) -> range:
    return range(position_at(now - reach) + 1, position_at(now + reach) + 1)


def _days(now: datetime) -> Iterator[date]:
    day = (now - ADDRESSABLE).date()
    while day <= (now + ADDRESSABLE).date():
        yield day
        day += timedelta(days=1)


def _positions_of(day: date) -> range:
    races_a_day = timedelta(days=1) // STEP
    first = (day - EPOCH.date()).days * races_a_day
    return range(first, first + races_a_day)


@lru_cache(maxsize=8)
def _races_of(seed: int, day: date) -> dict[str, int]:
    return {race_id(seed, position): position for position in _positions_of(day)}


@lru_cache(maxsize=8)
def _meetings_of(seed: int, day: date) -> dict[str, list[int]]:
    """The positions of each meeting that has a race on this day of UTC, by its id."""
    sessions = {session_of(position)[:2] for position in _positions_of(day)}
    return {meeting_at(seed, *session).id: positions_of(*session) for session in sessions}


def _scratched(race: Race, at: datetime, override: Override) -> dict[int, datetime]:
    if override.scratched is not None:
        return dict.fromkeys(sorted(override.scratched), override.set_at)
    return {
        runner.number: runner.scratched_at
        for runner in race.runners
        if runner.scratched_at is not None and runner.is_scratched(at)
    }


def _places(
    race: Race, status: str, scratched: Mapping[int, datetime], override: Override, *, is_corrected: bool
) -> Places:
    if status not in WITH_RESULTS:
        return ()
    if override.results is not None:
        return override.results
    ran = tuple((runner.number, runner.strength) for runner in race.runners if runner.number not in scratched)
    places = finish(race.seed, race.position, ran)
    if status == "Interim":
        return places[:INTERIM_PLACES]
    return (*places[1::-1], *places[2:]) if is_corrected else places


def _protest(race: Race, status: str, now: datetime, override: Override) -> str | None:
    raised = status in WITH_RESULTS and race.has_protest(now) if override.protest is None else override.protest
    if not raised:
        return None
    return override.protest_reason or (race.protest.reason if race.protest else PROTESTS[0])
