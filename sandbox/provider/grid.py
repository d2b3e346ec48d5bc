"""The absolute time grid of the card: one race every two minutes, and which meeting runs it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from sandbox.provider.chance import uid
from sandbox.provider.names import TRACKS, Track

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
    """A session of twelve races at the track of one lane; races of a lane are 18 minutes apart."""

    seed: int
    lane: int
    session: int

    @cached_property
    def id(self) -> str:
        return uid(self.seed, "meeting", self.lane, self.session)

    @property
    def track(self) -> Track:
        return TRACKS[self.lane]

    @property
    def positions(self) -> list[int]:
        first_row = self.session * RACES_A_MEETING - self.lane * STAGGER
        return [(first_row + index) * len(TRACKS) + self.lane for index in range(RACES_A_MEETING)]

    @property
    def racing_day(self) -> date:
        """The day in New Zealand on which the first race starts: what the API calls the meeting's date."""
        return start_of(self.positions[0]).astimezone(NZ).date()


def meeting_of(seed: int, position: int) -> tuple[Meeting, int]:
    """The meeting of a position and the race's number in it."""
    row, lane = divmod(position, len(TRACKS))
    session, index = divmod(row + lane * STAGGER, RACES_A_MEETING)
    return Meeting(seed, lane, session), index + 1
