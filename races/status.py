"""The states of a race, of its outcome and its result, and of its escalation."""

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
