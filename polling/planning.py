"""The one writer of `next_poll_at`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from polling import providers
from polling.cadence import Cadence, RaceFacts, next_poll
from polling.errors import Blocked
from polling.models import PollLog, PollState, ProviderState
from races.models import Race


@cache
def cadence() -> Cadence:
    """The cadence in force."""
    return Cadence(settings.POLL_WINDOWS, settings.POLL_TICK)


def min_interval(provider: str) -> timedelta:
    """The shortest time between two polls that the provider can answer with news."""
    try:
        return providers.get(provider).capabilities.min_interval
    except Blocked:  # not configured (any more): its polls fail and say so
        return timedelta()


def replan(race_ids: Iterable[int], *, now: datetime) -> None:
    """Plans the next poll of each race from stored facts, under row locks; call it after whatever changed them."""
    wanted = list(race_ids)
    if not wanted:
        return
    with transaction.atomic():
        races = list(Race.objects.filter(pk__in=wanted).locked())
        covered = dict(
            PollLog.objects.filter(race__in=wanted)
            .exclude(state=PollState.MISSED.value)
            .order_by()
            .values_list("race")
            .annotate(Max("slot_at"))
        )
        not_before = dict(ProviderState.objects.values_list("name", "not_before"))
        moved = []
        for race in races:
            facts = _facts(race, covered.get(race.pk), not_before.get(race.provider))
            planned = next_poll(facts, cadence=cadence(), now=now)
            if planned != race.next_poll_at:
                race.next_poll_at = planned
                moved.append(race)
        Race.objects.bulk_update(moved, ["next_poll_at"])


def _facts(race: Race, covered: datetime | None, not_before: datetime | None) -> RaceFacts:
    return RaceFacts(
        advertised_start=race.advertised_start,
        finalized=race.is_finalized,
        # Without a provider's id there is nobody to ask.
        paused=race.polling_paused or not race.provider_race_id,
        snoozed_until=race.snoozed_until,
        covered=covered,
        failures=race.failures,
        detail_wanted=race.detail_wanted,
        not_before=not_before,
        thin_to=min_interval(race.provider),
    )
