"""The states of a race, and which moves between them are legal."""

from datetime import datetime, timedelta
from enum import StrEnum


class RaceStatus(StrEnum):
    """The brief's three; only the last ends polling."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    FINALIZED = "finalized"


class Outcome(StrEnum):
    """How a finalized race ended."""

    RESULTED = "resulted"
    ABANDONED = "abandoned"
    VOID = "void"
    POSTPONED = "postponed"


class ResultState(StrEnum):
    """How far the result has got; `interim` is not yet declared."""

    NONE = "none"
    INTERIM = "interim"
    FINAL = "final"


class FinalizedBy(StrEnum):
    """Who ended the race."""

    PROVIDER = "provider"
    STAFF = "staff"
    APPWRITE = "appwrite"


class Escalation(StrEnum):
    """How long a race has been without an end: an hour past its start, six hours past it."""

    NONE = ""
    LATE = "late"
    OVERDUE = "overdue"


TERMINAL = frozenset({RaceStatus.FINALIZED})

# A provider may re-open a race before it is final; a final race is re-opened by staff alone.
PROVIDER_MOVES = frozenset(
    {
        (RaceStatus.SCHEDULED, RaceStatus.IN_PROGRESS),
        (RaceStatus.SCHEDULED, RaceStatus.FINALIZED),
        (RaceStatus.IN_PROGRESS, RaceStatus.SCHEDULED),
        (RaceStatus.IN_PROGRESS, RaceStatus.FINALIZED),
    }
)


def may_move(old: RaceStatus, new: RaceStatus) -> bool:
    """Whether a provider's word may take a race from `old` to `new`."""
    return (old, new) in PROVIDER_MOVES


def choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    """The states as a model field's choices, labelled in words."""
    return [(state.value, state.value.replace("_", " ")) for state in states]


LATE_AFTER, OVERDUE_AFTER = timedelta(hours=1), timedelta(hours=6)


def escalation(status: RaceStatus, advertised_start: datetime, *, now: datetime) -> Escalation:
    """What staff are told of a race that does not end. It is polled on all the same, and never ended by us."""
    past = now - advertised_start
    if status in TERMINAL or past < LATE_AFTER:
        return Escalation.NONE
    return Escalation.OVERDUE if past >= OVERDUE_AFTER else Escalation.LATE
