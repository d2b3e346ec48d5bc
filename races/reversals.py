"""What a provider took back or has not proven, one reversal per race, as staff read it in the race's audit."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import prefetch_related_objects

from races import audit
from races.audit import Actor
from races.models import Race
from races.snapshot_merge import MergeResult
from races.snapshots import RaceSnapshot
from races.status import FinalizedBy
from races.transitions import Transition


class ReversalKind(StrEnum):
    """What happened to the race. A disputed or agreed one was ended by staff or Appwrite."""

    REOPENED = "reopened"
    CORRECTED = "corrected"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    DISPUTED = "disputed"
    AGREED = "agreed"


# A dispute is reported again by every answer, so it is an incident with a begin and an end.
AUDITED = frozenset({ReversalKind.REOPENED, ReversalKind.CORRECTED, ReversalKind.UNCONFIRMED, ReversalKind.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Reversal:
    """What happened to one race; the message names the provider's status now and before."""

    race: Race
    kind: ReversalKind
    message: str


def reversal_of(race: Race, answer: RaceSnapshot, merged: MergeResult) -> Reversal | None:
    """What staff must know of an answer that was just merged into the race; None for an ordinary answer."""
    word, before = answer.provider_status or "nothing", merged.status_before or "another status"
    match merged.transition:
        case Transition.REOPEN:
            kind, message = ReversalKind.REOPENED, f"Reopened: the provider reports {word} after {before}"
        case Transition.CORRECT:
            # A status alone may have brought the word before its detail did.
            ended = merged.outcome_before if before == word else before
            kind, message = ReversalKind.CORRECTED, f"Now {race.outcome}: the provider reports {word} after {ended}"
        case Transition.WAIT if race.unproven_final_at and "unproven_final_at" in merged.changed:
            kind = ReversalKind.UNCONFIRMED
            message = f"{word} without a placing or before the start: not accepted until a second answer confirms it"
        case Transition.END if race.unproven_final_at:
            kind, message = ReversalKind.CONFIRMED, f"{word} confirmed by a second answer, still without a placing"
        case Transition.DISPUTE:
            ended = f"{race.finalized_by} ended it as {race.outcome or 'finalized'}"
            kind, message = ReversalKind.DISPUTED, f"{ended}, the provider reports {word}"
        case Transition.AGREE:
            kind, message = ReversalKind.AGREED, f"the provider reports {word} too"
        case _:
            return None
    return Reversal(race, kind, message)


def record_reversals(reversals: Iterable[Reversal]) -> None:
    """Writes an audit entry per reversal under the provider's name. Disputes are incidents instead: see AUDITED."""
    audited = [reversal for reversal in reversals if reversal.kind in AUDITED]
    messages = {reversal.race.pk: reversal.message for reversal in audited}
    prefetch_related_objects([reversal.race for reversal in audited], "meeting")
    for provider in sorted({reversal.race.provider for reversal in audited}):
        races = [reversal.race for reversal in audited if reversal.race.provider == provider]
        audit.record(races, by=Actor(provider, FinalizedBy.PROVIDER), message_of=lambda race: messages[race.pk])
