"""A simulated race: the seed decides when its start moves, when it jumps, and when its result is known and amended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise

from sandbox.provider.names import CLASSES, PROTESTS, SPONSORS
from sandbox.provider.race_grid import Meeting, meeting_at, race_id, session_of, start_of
from sandbox.provider.runners import Runner, draw_runners
from sandbox.provider.seeded_random import between, chance, pick

# Four kinds of race take turns on the grid, so that every instant has something to show and each kind visits
# every track: two steady races, a very late one, and one that may be anything. The late one covers for the
# other: while it is open past its start, the next may be abandoned, move or jump on the dot.
LATE, WILD = 2, 3
KINDS = 4

# (share of races, seconds late): median 68 s, three quarters 157 s, nine in ten 275 s, as recorded.
LATENESS = ((0.0, 20), (0.5, 68), (0.75, 157), (0.9, 275), (0.95, 333), (1.0, 720))

# A steady race is Interim from these seconds after its start to those: its polls at +5 and +10 minutes
# see Interim and Final, and the Interim intervals of two in a row leave no gap that no poll falls into.
INTERIM_FROM, INTERIM_BY, STILL_INTERIM = 260, 295, 560


@dataclass(frozen=True)
class Move:
    """At `at` the advertised start changes by `by`, which is negative for an earlier start."""

    at: datetime
    by: timedelta


@dataclass(frozen=True)
class Protest:
    """Raised `after` the Interim result, it postpones the Final one by `delay`."""

    after: timedelta
    delay: timedelta
    reason: str


@dataclass(frozen=True)
class Race:
    """A race from its first listing to its last correction. An abandoned race never jumps, whatever its lateness.

    `early_by` is for the few that jump before their start; `corrected_after` counts from the Final result.
    """

    seed: int
    position: int
    id: str
    meeting: Meeting
    number: int
    name: str
    distance: int
    first_start: datetime
    moves: tuple[Move, ...]
    lateness: timedelta
    early_by: timedelta
    interim_after: timedelta
    final_after: timedelta
    protest: Protest | None
    corrected_after: timedelta | None
    abandoned_at: datetime | None
    running_status: str
    runners: tuple[Runner, ...]

    def advertised_start(self, now: datetime) -> datetime:
        start = self.first_start
        for move in self.moves:
            if move.at <= now:
                start += move.by
        return start

    def __hash__(self) -> int:
        """Of seed and position alone: a hash of all fields would cost more than the caches save."""
        return hash((self.seed, self.position))

    @cached_property
    def jump_at(self) -> datetime:
        return self.first_start + sum((move.by for move in self.moves), self.lateness - self.early_by)

    @cached_property
    def interim_at(self) -> datetime:
        return self.jump_at + self.interim_after

    @cached_property
    def final_at(self) -> datetime:
        return self.interim_at + self.final_after + (self.protest.delay if self.protest else timedelta())

    def has_protest(self, now: datetime) -> bool:
        """From when it is raised on, also after it is decided."""
        return self.protest is not None and now >= self.interim_at + self.protest.after

    def is_corrected(self, now: datetime) -> bool:
        return self.corrected_after is not None and now >= self.final_at + self.corrected_after

    def status(self, now: datetime) -> str:
        if self.abandoned_at is not None:
            return "Abandoned" if now >= self.abandoned_at else "Open"
        if now < self.jump_at:
            return "Open"
        if now < self.interim_at:
            return self.running_status
        return "Interim" if now < self.final_at else "Final"


@lru_cache(maxsize=2048)
def race_at(seed: int, position: int) -> Race:
    """The race of the rolling card at this position of its grid."""
    lane, session, number = session_of(position)
    return draw_race(seed, position, meeting_at(seed, lane, session), number, start_of(position))


def draw_race(seed: int, position: int, meeting: Meeting, number: int, start: datetime) -> Race:
    """The race that the seed makes first advertised for `start`; `position` keeps the races of a seed apart."""
    key = (seed, position)
    lateness = _draw_lateness(key)
    interim_after, final_after = _draw_result_delays(key, lateness)
    return Race(
        seed=seed,
        position=position,
        id=race_id(seed, position),
        meeting=meeting,
        number=number,
        name=f"{pick(SPONSORS, *key, 'sponsor')} {pick(CLASSES, *key, 'class')}",
        distance=pick(meeting.track.distances, *key, "distance"),
        first_start=start,
        moves=moves(key, start),
        lateness=lateness,
        early_by=_draw_early_jump(key, start, lateness),
        interim_after=interim_after,
        final_after=final_after,
        protest=_draw_protest(key),
        corrected_after=_draw_correction(key),
        abandoned_at=abandoned_at(key, start),
        running_status=pick(("Closed", "Live"), *key, "running"),
        runners=draw_runners(seed, position, meeting.track.code, start),
    )


Key = tuple[int, int]  # seed and position


def _is_of_kind(kind: int, key: Key) -> bool:
    return key[1] % KINDS == kind


def _draw_lateness(key: Key) -> timedelta:
    if _is_of_kind(WILD, key) and chance(*key, "on time") < 0.2:
        return timedelta()
    share = chance(*key, "lateness") / 4
    share = 0.75 + share if _is_of_kind(LATE, key) else 3 * share
    below, above = next(pair for pair in pairwise(LATENESS) if share < pair[1][0])
    part = (share - below[0]) / (above[0] - below[0])
    return timedelta(seconds=round(below[1] + part * (above[1] - below[1])))


def _draw_result_delays(key: Key, lateness: timedelta) -> tuple[timedelta, timedelta]:
    """From the jump to Interim, two to four minutes, and from there to Final, two to five."""
    late = lateness.total_seconds()
    steady = not (_is_of_kind(LATE, key) or _is_of_kind(WILD, key))
    low, high = (max(120, INTERIM_FROM - late), min(240, INTERIM_BY - late)) if steady else (120, 240)
    interim = round(between(low, high, *key, "interim"))
    shortest = STILL_INTERIM - late - interim if steady else 120
    final = round(between(shortest, 300, *key, "final"))
    return timedelta(seconds=interim), timedelta(seconds=final)


def moves(key: Key, start: datetime) -> tuple[Move, ...]:
    """Its moves in the last 15 minutes: a minute earlier, or later by one to four in one or two steps."""
    if not _is_of_kind(WILD, key) or chance(*key, "moves") >= 0.4:
        return ()
    at = start - timedelta(seconds=round(between(300, 840, *key, "move")))
    if chance(*key, "earlier") < 0.2:
        return (Move(at, timedelta(minutes=-1)),)
    move = Move(at, timedelta(minutes=1 + int(3 * chance(*key, "later by"))))
    if chance(*key, "again") < 0.5:
        return (move,)
    again_at = start - timedelta(seconds=round(between(30, 240, *key, "again at")))
    return move, Move(again_at, timedelta(minutes=1))


def abandoned_at(key: Key, start: datetime) -> datetime | None:
    """When the race is abandoned, up to 20 minutes before its start or 8 after it; None for most."""
    if not _is_of_kind(WILD, key) or chance(*key, "abandoned") >= 0.16:
        return None
    return start + timedelta(seconds=round(between(-1200, 480, *key, "abandoned at")))


def _draw_early_jump(key: Key, start: datetime, lateness: timedelta) -> timedelta:
    """Of the races on time whose start stands, some jump ten to ninety seconds before it."""
    if lateness or moves(key, start) or not _is_of_kind(WILD, key) or chance(*key, "early") >= 0.5:
        return timedelta()
    return timedelta(seconds=round(between(10, 90, *key, "early by")))


def _draw_protest(key: Key) -> Protest | None:
    if not _is_of_kind(WILD, key) or chance(*key, "protest") >= 0.15:
        return None
    after, delay = between(20, 110, *key, "protest after"), between(120, 480, *key, "protest delay")
    reason = pick(PROTESTS, *key, "protest reason")
    return Protest(timedelta(seconds=round(after)), timedelta(seconds=round(delay)), reason)


def _draw_correction(key: Key) -> timedelta | None:
    """How long after the Final result the stewards swap the first two; None for most races."""
    if not _is_of_kind(WILD, key) or chance(*key, "corrected") >= 0.06:
        return None
    return timedelta(seconds=round(between(600, 3000, *key, "corrected after")))
