"""The states of a race, of its outcome and its result, and when a race that does not end is escalated."""

from datetime import datetime, timedelta
from enum import StrEnum


class RaceStatus(StrEnum):
    """Where a race stands; only the last status ends its polling."""

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
    """What a race has been missing for too long.

    `late` and `overdue`: no end an hour and six hours past its start. `no_result`: a Final whose result never came.
    """

    NONE = ""
    LATE = "late"
    OVERDUE = "overdue"
    NO_RESULT = "no_result"


TERMINAL = frozenset({RaceStatus.FINALIZED})
CALLED_OFF = frozenset({Outcome.ABANDONED, Outcome.VOID, Outcome.POSTPONED})  # ended without a result


def choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    """The choices of a model field for these states, labelled in words."""
    return [(state.value, state.value.replace("_", " ")) for state in states]


LATE_AFTER, OVERDUE_AFTER = timedelta(hours=1), timedelta(hours=6)
NO_RESULT_AFTER = timedelta(minutes=30)


def escalation(
    status: RaceStatus, advertised_start: datetime, *, unproven_final_at: datetime | None = None, now: datetime
) -> Escalation:
    """The escalation that staff see on a race. A race that does not end is never ended by racepoll itself."""
    since_start = now - advertised_start
    is_open = status not in TERMINAL
    if is_open and since_start >= OVERDUE_AFTER:
        return Escalation.OVERDUE
    if unproven_final_at is not None and now - unproven_final_at >= NO_RESULT_AFTER:
        return Escalation.NO_RESULT
    return Escalation.LATE if is_open and since_start >= LATE_AFTER else Escalation.NONE
