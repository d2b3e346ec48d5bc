"""What staff should notice about a race beside its status: one rule for every page."""

from enum import StrEnum

from races.models import Race
from races.status import Escalation


class RaceFlag(StrEnum):
    """Something that staff should notice, in the words that they read."""

    PROTEST = "protest"
    LATE = "no end, late"
    OVERDUE = "no end, overdue"
    NO_RESULT = "Final without a result"
    UNCONFIRMED = "Final, not confirmed"
    UNKNOWN = "not known to the provider"
    DISPUTED = "the provider reports otherwise"
    PAUSED = "paused"
    OFF_CARD = "not on the card"
    INCOMPLETE = "answer incomplete"


def flags_of(race: Race, *, is_unknown: bool, is_disputed: bool) -> list[RaceFlag]:
    """The flags of a race, in the order of RaceFlag.

    `is_unknown` says that the provider no longer knows the race; `is_disputed` that it reports another end than the one
    that staff or Appwrite decided.
    """
    applies = {
        RaceFlag.PROTEST: race.protest and not race.is_finalized,
        RaceFlag.LATE: race.escalation == Escalation.LATE,
        RaceFlag.OVERDUE: race.escalation == Escalation.OVERDUE,
        RaceFlag.NO_RESULT: race.escalation == Escalation.NO_RESULT,
        RaceFlag.UNCONFIRMED: race.unproven_final_at and not race.is_finalized,
        RaceFlag.UNKNOWN: is_unknown,
        RaceFlag.DISPUTED: is_disputed,
        RaceFlag.PAUSED: race.polling_paused,
        RaceFlag.OFF_CARD: race.off_card_since and not race.is_finalized,
        # What was reported twice is known all the same.
        RaceFlag.INCOMPLETE: any(not what.endswith("twice") for what in race.left_out),
    }
    return [flag for flag in RaceFlag if applies[flag]]
