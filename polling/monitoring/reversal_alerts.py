"""Reports what a provider took back or has not confirmed: one message per kind of reversal, however many races."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import prefetch_related_objects

from polling import disputes
from races.models import Race
from races.reversals import Reversal, ReversalKind

logger = logging.getLogger(__name__)

MOST_NAMED = 5


def report(reversals: Sequence[Reversal], *, now: datetime) -> None:
    """Opens and closes the disputes; the messages follow the commit. Call it with the races locked."""
    if not reversals:
        return
    words = {reversal.race: reversal.message for reversal in reversals}

    def of(kind: ReversalKind) -> list[Race]:
        return [reversal.race for reversal in reversals if reversal.kind is kind]

    begun = disputes.begin({race: words[race] for race in of(ReversalKind.DISPUTED)}, now=now)
    ended = set(disputes.end(of(ReversalKind.AGREED), now=now))
    agreed = [race for race in of(ReversalKind.AGREED) if race.pk in ended]
    messages: list[tuple[Callable[..., None], str, list[Race]]] = [
        (logger.error, "%d races that had ended were reopened by the provider: %s", of(ReversalKind.REOPENED)),
        (logger.error, "%d races ended otherwise than the provider reported before: %s", of(ReversalKind.CORRECTED)),
        (logger.error, "%d races were ended here and the provider reports otherwise: %s", begun),
        (
            logger.warning,
            "%d races are reported Final without a placing or before their start: %s",
            of(ReversalKind.UNCONFIRMED),
        ),
        (logger.warning, "%d races count as Final without a placing: %s", of(ReversalKind.CONFIRMED)),
        (logger.warning, "%d races are disputed no more: %s", agreed),
    ]
    for say, text, races in messages:
        if races:
            transaction.on_commit(partial(say, text, len(races), _names_of_races(races, words, now=now)))


def _names_of_races(races: Sequence[Race], words: dict[Race, str], *, now: datetime) -> str:
    """The first few by name, each with what the provider reported in `words`."""
    first, more = list(races[:MOST_NAMED]), len(races) - MOST_NAMED
    prefetch_related_objects(first, "meeting")
    named = [f"{race.name_at(now)} of {race.advertised_start:%d %b %H:%M} UTC ({words[race]})" for race in first]
    return "; ".join(named) + (f"; and {more} more" if more > 0 else "")
