"""Races that their provider no longer knows: a message when polls have failed often, with the race in their place.

That is so once several polls in a row have failed and the last was "not found" (`polling.planning.is_unknown`).
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from polling.planning import NOT_FOUND_TIMES, is_unknown
from races import audit
from races.audit import Actor
from races.models import Race
from races.relisted_races import relisted_races_of
from races.status import FinalizedBy

logger = logging.getLogger(__name__)

MOST_NAMED = 5


def report(before: Sequence[Race], *, now: datetime) -> None:
    """Audits and logs the races that became unknown by the failures just counted; `before` is as they stood till then.

    Call it in the transaction that counts the failures; the log line follows its commit. One query while there are
    none.
    """
    known = [race.pk for race in before if not is_unknown(race.last_error, race.failures)]
    if not known:
        return
    counted = Race.objects.filter(pk__in=known, failures__gte=NOT_FOUND_TIMES).select_related("meeting")
    races = [race for race in counted.order_by("pk") if is_unknown(race.last_error, race.failures)]
    if not races:
        return
    relisted = relisted_races_of(races)
    replacements = {race.pk: "no other race has its number" for race in races}
    replacements |= {race_id: f"now listed as id {other.provider_race_id}" for race_id, other in relisted.items()}
    for provider in sorted({race.provider for race in races}):
        audit.record(
            [race for race in races if race.provider == provider],
            by=Actor(provider, FinalizedBy.PROVIDER),
            message_of=lambda race: (
                f"The provider no longer knows it (404, {race.failures} times): {replacements[race.pk]}"
            ),
        )
    names = [
        f"{race.name_at(now)} (id {race.provider_race_id}): {replacements[race.pk]}" for race in races[:MOST_NAMED]
    ]
    more = [f"and {len(races) - MOST_NAMED} more"] if len(races) > MOST_NAMED else []
    text = "the provider no longer knows %d races, they are asked for at the slowest step: %s"
    transaction.on_commit(partial(logger.warning, text, len(races), "; ".join(names + more)))
