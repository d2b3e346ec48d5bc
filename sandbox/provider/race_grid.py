"""The time grid of the rolling card: one race every two minutes, and which meeting runs it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from sandbox.provider.names import TRACKS, Track
from sandbox.provider.seeded_random import uid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=2)
NZ = ZoneInfo("Pacific/Auckland")
RACES_A_MEETING = 12
# Rows by which each lane's sessions start before those of the lane to its left: meetings overlap.
STAGGER = 5


def position_at(instant: datetime) -> int:
    """The last position of the grid whose first advertised start is not after `instant`."""
    return (instant - EPOCH) // STEP


def start_of(position: int) -> datetime:
    return EPOCH + position * STEP


def race_id(seed: int, position: int) -> str:
    return uid(seed, "race", position)


@dataclass(frozen=True)
class Meeting:
    """`racing_day` is the day in New Zealand on which the first race starts: what the API calls its date."""

    id: str
    track: Track
    racing_day: date
    size: int


def nz_day(instant: datetime) -> date:
    return instant.astimezone(NZ).date()


def positions_of(lane: int, session: int) -> list[int]:
    """The positions of a session of twelve races at the track of one lane; its races are 18 minutes apart."""
    first_row = session * RACES_A_MEETING - lane * STAGGER
    return [(first_row + index) * len(TRACKS) + lane for index in range(RACES_A_MEETING)]


def session_of(position: int) -> tuple[int, int, int]:
    """The lane and the session of a position, and the race's number in it."""
    row, lane = divmod(position, len(TRACKS))
    session, index = divmod(row + lane * STAGGER, RACES_A_MEETING)
    return lane, session, index + 1


@lru_cache(maxsize=512)
def meeting_at(seed: int, lane: int, session: int) -> Meeting:
    return Meeting(
        id=uid(seed, "meeting", lane, session),
        track=TRACKS[lane],
        racing_day=nz_day(start_of(positions_of(lane, session)[0])),
        size=RACES_A_MEETING,
    )
