"""The states of a race, and which moves between them are legal."""

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
