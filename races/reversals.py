"""What a provider took back or has not proven, race by race, as staff read it; each is in the race's audit."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import prefetch_related_objects

from races import audit
from races.audit import Actor
from races.endings import Decision
from races.merging import Merged
from races.models import Race
from races.snapshots import RaceSnapshot
from races.status import FinalizedBy


class Turn(StrEnum):
    """What happened to the race; staff or Appwrite ended those that are disputed or agreed on."""

    REOPENED = "reopened"
    CORRECTED = "corrected"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    DISPUTED = "disputed"
    AGREED = "agreed"


AUDITED = frozenset({Turn.REOPENED, Turn.CORRECTED, Turn.UNCONFIRMED, Turn.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Reversal:
    """One race's turn, in words that name both sides' status."""

    race: Race
    turn: Turn
    words: str


def of(race: Race, answer: RaceSnapshot, merged: Merged) -> Reversal | None:
    """What the answer that was merged into the race means for staff; None for the ordinary."""
    word, before = answer.provider_status or "nothing", merged.status_before or "another status"
    match merged.decision:
        case Decision.REOPEN:
            words = f"Reopened: the provider reports {word} after {before}"
            return Reversal(race, Turn.REOPENED, words)
        case Decision.CORRECT:
            # A status alone may have brought the word before its detail did.
            ended = merged.outcome_before if before == word else before
            return Reversal(race, Turn.CORRECTED, f"Now {race.outcome}: the provider reports {word} after {ended}")
        case Decision.WAIT if race.bare_final_at and "bare_final_at" in merged.changed:
            words = f"{word} without a placing or before the start: not accepted until a second answer confirms it"
            return Reversal(race, Turn.UNCONFIRMED, words)
        case Decision.END if race.bare_final_at:
            return Reversal(race, Turn.CONFIRMED, f"{word} confirmed by a second answer, still without a placing")
        case Decision.DISPUTE:
            ended = f"{race.finalized_by} ended it as {race.outcome or 'finalized'}"
            return Reversal(race, Turn.DISPUTED, f"{ended}, the provider reports {word}")
        case Decision.AGREE:
            return Reversal(race, Turn.AGREED, f"the provider reports {word} too")
    return None


def record(reversals: Iterable[Reversal]) -> None:
    """Audits them under the provider's name; a dispute is an incident instead, reported again by every answer."""
    audited = [reversal for reversal in reversals if reversal.turn in AUDITED]
    words = {reversal.race.pk: reversal.words for reversal in audited}
    prefetch_related_objects([reversal.race for reversal in audited], "meeting")
    for provider in sorted({reversal.race.provider for reversal in audited}):
        races = [reversal.race for reversal in audited if reversal.race.provider == provider]
        audit.record(races, by=Actor(provider, FinalizedBy.PROVIDER), said=lambda race: words[race.pk])
