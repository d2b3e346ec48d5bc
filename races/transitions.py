"""Whether an answer ends a race, opens it again or changes how it ended: one table of what is stored and reported.

The provider's word is not final: it may take back what it ended itself, at once. What staff or Appwrite ended stays;
a provider that reports otherwise is a dispute. A Final without proof waits for a second answer.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from races.status import FinalizedBy, Outcome, RaceStatus, ResultState

# Two answers this far apart belong to different slots: longer than a poll takes, shorter than the tick's 15 s.
CONFIRMS_AFTER = timedelta(seconds=10)


class Stored(StrEnum):
    """How the race stands here."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    RESULTED = "resulted by the provider"
    CALLED_OFF = "abandoned, void or postponed by the provider"
    DECIDED = "ended by staff or Appwrite"


class Reported(StrEnum):
    """What an answer says, a Final by its proof: a list's status, a bare detail, or a result."""

    NOTHING = "nothing, or an unknown status"
    OPEN = "open"
    UNDER_WAY = "closed or live"
    INTERIM = "interim"
    LISTED_FINAL = "final, in a status alone"
    BARE_FINAL = "final, before the start or without a placing"
    PROVEN_FINAL = "final, with a placing or confirmed"
    CALLED_OFF = "abandoned, void or postponed"


class Transition(StrEnum):
    """What becomes of the race."""

    KEEP = "nothing changes"
    MOVE = "takes the status reported"
    WAIT = "asked for its detail until a second answer confirms the Final"
    END = "ends"
    REOPEN = "opens again"
    CORRECT = "stays ended, with another outcome"
    DISPUTE = "stays ended, against the provider's word"
    AGREE = "stays ended, as the provider reports too"


_OPEN_RACE = {
    Reported.NOTHING: Transition.KEEP,
    Reported.OPEN: Transition.MOVE,
    Reported.UNDER_WAY: Transition.MOVE,
    Reported.INTERIM: Transition.MOVE,
    Reported.LISTED_FINAL: Transition.WAIT,
    Reported.BARE_FINAL: Transition.WAIT,
    Reported.PROVEN_FINAL: Transition.END,
    Reported.CALLED_OFF: Transition.END,
}
_TAKEN_BACK = dict.fromkeys((Reported.OPEN, Reported.UNDER_WAY, Reported.INTERIM), Transition.REOPEN)

TABLE: dict[Stored, dict[Reported, Transition]] = {
    Stored.SCHEDULED: _OPEN_RACE,
    Stored.IN_PROGRESS: _OPEN_RACE,
    Stored.RESULTED: {
        Reported.NOTHING: Transition.KEEP,
        **_TAKEN_BACK,
        Reported.LISTED_FINAL: Transition.KEEP,
        Reported.BARE_FINAL: Transition.KEEP,
        Reported.PROVEN_FINAL: Transition.KEEP,
        Reported.CALLED_OFF: Transition.CORRECT,
    },
    Stored.CALLED_OFF: {
        Reported.NOTHING: Transition.KEEP,
        **_TAKEN_BACK,
        Reported.LISTED_FINAL: Transition.WAIT,
        Reported.BARE_FINAL: Transition.WAIT,
        Reported.PROVEN_FINAL: Transition.CORRECT,
        Reported.CALLED_OFF: Transition.CORRECT,
    },
    Stored.DECIDED: {**dict.fromkeys(Reported, Transition.DISPUTE), Reported.NOTHING: Transition.KEEP},
}
_WITH_THE_SAME_OUTCOME = {Transition.CORRECT: Transition.KEEP, Transition.DISPUTE: Transition.AGREE}


def find_transition(stored: Stored, reported: Reported, *, same_outcome: bool) -> Transition:
    """What becomes of the race; `same_outcome` where the answer ends it in the way that is stored already."""
    transition = TABLE[stored][reported]
    return _WITH_THE_SAME_OUTCOME.get(transition, transition) if same_outcome else transition


def stored_as(status: RaceStatus, finalized_by: str, outcome: str) -> Stored:
    """Where a race stands in the table, by its fields."""
    if status is RaceStatus.SCHEDULED:
        return Stored.SCHEDULED
    if status is RaceStatus.IN_PROGRESS:
        return Stored.IN_PROGRESS
    if finalized_by != FinalizedBy.PROVIDER:
        return Stored.DECIDED
    return Stored.RESULTED if outcome in ("", Outcome.RESULTED) else Stored.CALLED_OFF


def reported_as(
    status: RaceStatus | None,
    outcome: Outcome | None,
    result_state: ResultState | None,
    *,
    is_detail: bool,
    is_proven: bool,
) -> Reported:
    """Where an answer stands in the table; `is_proven` says whether a Final has proof."""
    if status is None:
        return Reported.NOTHING
    if status is RaceStatus.SCHEDULED:
        return Reported.OPEN
    if status is RaceStatus.IN_PROGRESS:
        return Reported.INTERIM if result_state is ResultState.INTERIM else Reported.UNDER_WAY
    if outcome not in (None, Outcome.RESULTED):
        return Reported.CALLED_OFF
    if not is_detail:
        return Reported.LISTED_FINAL
    return Reported.PROVEN_FINAL if is_proven else Reported.BARE_FINAL


def is_proven(*, has_placing: bool, advertised_start: datetime, bare_since: datetime | None, now: datetime) -> bool:
    """Whether a Final counts: it has a placing and comes after the start, or an answer a slot ago said Final too."""
    if has_placing and now >= advertised_start:
        return True
    return bare_since is not None and now - bare_since >= CONFIRMS_AFTER


def is_same_outcome(stored: str, reported: Outcome | None) -> bool:
    """Whether an answer ends a race as it is stored; an end whose outcome nobody gave agrees with any."""
    return reported is not None and stored in ("", reported.value)
