"""Races that their provider no longer knows: a message when that is sure, with the race that took their place."""

import logging
from collections.abc import Sequence

from django.db import transaction

from polling.planning import NOT_FOUND_TIMES, is_unknown
from races import audit
from races.audit import Actor
from races.models import Race
from races.status import FinalizedBy
from races.twins import twin_of

logger = logging.getLogger(__name__)

MOST_NAMED = 5


def report(before: Sequence[Race]) -> None:
    """Audits and logs those that became unknown by the failures just counted; `before` is as they stood until then.

    One query while there are none.
    """
    known = [race.pk for race in before if not is_unknown(race.last_error, race.failures)]
    if not known:
        return
    counted = Race.objects.filter(pk__in=known, failures__gte=NOT_FOUND_TIMES).select_related("meeting")
    races = [race for race in counted.order_by("pk") if is_unknown(race.last_error, race.failures)]
    for race in races:
        words = f"{race.provider} no longer knows this race (404, {race.failures} times): {_replacement(race)}"
        audit.record([race], by=Actor(race.provider, FinalizedBy.PROVIDER), said=lambda _, words=words: words)
    if races:
        names = "; ".join(f"{race} (id {race.provider_race_id}): {_replacement(race)}" for race in races[:MOST_NAMED])
        more = f"; and {len(races) - MOST_NAMED} more" if len(races) > MOST_NAMED else ""
        text = "the provider no longer knows %d races, they are asked for at the slowest step: %s%s"
        transaction.on_commit(lambda: logger.warning(text, len(races), names, more))


def _replacement(race: Race) -> str:
    twin = twin_of(race)
    return f"now listed as id {twin.provider_race_id}" if twin else "no other race has its number"
