"""The table of transitions: what an answer changes of a race's status, from what is stored and what is reported.

A provider may reopen at once what it ended itself. What staff or Appwrite ended stays ended, and a provider that
reports otherwise is a dispute. A Final without proof waits until a second answer confirms it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from races.status import FinalizedBy, Outcome, RaceStatus, ResultState

# Answers this far apart belong to different slots: it is longer than a poll takes and shorter than the tick's 15 s.
CONFIRMS_AFTER = timedelta(seconds=10)


class Stored(StrEnum):
    """The stored state of the race, and who ended it."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    RESULTED = "resulted by the provider"
    CALLED_OFF = "abandoned, void or postponed by the provider"
    DECIDED = "ended by staff or Appwrite"


class Reported(StrEnum):
    """What an answer reports; a Final by its proof: only in a list, without a placing, or with a result."""

    NOTHING = "nothing, or an unknown status"
    OPEN = "open"
    UNDER_WAY = "closed or live"
    INTERIM = "interim"
    LISTED_FINAL = "final, in a status alone"
    UNPROVEN_FINAL = "final, before the start or without a placing"
    PROVEN_FINAL = "final, with a placing or confirmed"
    CALLED_OFF = "abandoned, void or postponed"


class Transition(StrEnum):
    """What the answer changes of the race's status."""

    KEEP = "nothing changes"
    MOVE = "takes the status reported"
    WAIT = "stays open and its detail is fetched, until a second answer confirms the Final"
    END = "ends"
    REOPEN = "is open again"
    CORRECT = "stays ended, with another outcome"
    DISPUTE = "stays ended, although the provider reports otherwise"
    AGREE = "stays ended, as the provider reports too"


_OPEN_RACE = {
    Reported.NOTHING: Transition.KEEP,
    Reported.OPEN: Transition.MOVE,
    Reported.UNDER_WAY: Transition.MOVE,
    Reported.INTERIM: Transition.MOVE,
    Reported.LISTED_FINAL: Transition.WAIT,
    Reported.UNPROVEN_FINAL: Transition.WAIT,
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
        Reported.UNPROVEN_FINAL: Transition.KEEP,
        Reported.PROVEN_FINAL: Transition.KEEP,
        Reported.CALLED_OFF: Transition.CORRECT,
    },
    Stored.CALLED_OFF: {
        Reported.NOTHING: Transition.KEEP,
        **_TAKEN_BACK,
        Reported.LISTED_FINAL: Transition.WAIT,
        Reported.UNPROVEN_FINAL: Transition.WAIT,
        Reported.PROVEN_FINAL: Transition.CORRECT,
        Reported.CALLED_OFF: Transition.CORRECT,
    },
    Stored.DECIDED: {**dict.fromkeys(Reported, Transition.DISPUTE), Reported.NOTHING: Transition.KEEP},
}
_WITH_THE_SAME_OUTCOME = {Transition.CORRECT: Transition.KEEP, Transition.DISPUTE: Transition.AGREE}


def find_transition(stored: Stored, reported: Reported, *, same_outcome: bool) -> Transition:
    """Looks the transition up in the table.

    `same_outcome` says that the answer ends the race with the outcome that is stored already: nothing is corrected or
    disputed then.
    """
    transition = TABLE[stored][reported]
    return _WITH_THE_SAME_OUTCOME.get(transition, transition) if same_outcome else transition


def stored_as(status: RaceStatus, finalized_by: str, outcome: str) -> Stored:
    """The row of the table for a race with these fields."""
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
    """The column of the table for an answer; `is_proven` says whether a Final has proof."""
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
    return Reported.PROVEN_FINAL if is_proven else Reported.UNPROVEN_FINAL


def is_proven(*, has_placing: bool, advertised_start: datetime, unproven_since: datetime | None, now: datetime) -> bool:
    """Whether a Final has proof: a placing after the start, or a Final in an answer at least a slot ago.

    `unproven_since` is when a Final without proof was first reported, None if it was not.
    """
    if has_placing and now >= advertised_start:
        return True
    return unproven_since is not None and now - unproven_since >= CONFIRMS_AFTER


def is_same_outcome(stored: str, reported: Outcome | None) -> bool:
    """Whether the reported outcome equals the stored one; a stored end without an outcome equals any."""
    return reported is not None and stored in ("", reported.value)
