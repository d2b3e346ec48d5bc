"""The one writer of `next_poll_at`; and which grid a race is on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery

from polling import providers
from polling.cadence import Cadence, next_tick
from polling.errors import Blocked, NotFound
from polling.models import PollLog, PollState
from polling.next_poll import RaceFacts, next_poll
from polling.quota import request_budget
from polling.quota.token_bucket import Priority
from races.bulk import write_fields
from races.models import Race
from races.status import FinalizedBy, Outcome

Slots = tuple[datetime | None, datetime | None]
NOT_FOUND_TIMES = 3  # in a row; then the provider no longer knows the race
AT_ONCE = 500  # races replanned in one transaction, so that none holds its locks for long


@cache
def cadence() -> Cadence:
    """The cadence in force, before what bends it for a single race."""
    return Cadence(settings.POLL_WINDOWS, settings.POLL_TICK, settings.POLL_HOLD)


def is_urgent(race: Race, *, now: datetime) -> bool:
    """Whether a poll of this race must wait behind no other."""
    return cadence().is_urgent(race.advertised_start, waiting=race.is_waiting, now=now)


def min_interval(provider: str) -> timedelta:
    """The shortest time between two polls that the provider can answer with news."""
    try:
        return providers.get(provider).capabilities.min_interval
    except Blocked:  # not configured (any more): its polls fail and say so
        return timedelta()


def grid(race: Race) -> Cadence:
    """The cadence that this race is on."""
    return cadence().suited(waiting=race.is_waiting, thin_to=min_interval(race.provider))


def newest_slot(race: Race, *, now: datetime) -> datetime | None:
    """The slot of the race begun last, at or before `now`."""
    thin_to = min_interval(race.provider)
    return grid(race).newest_slot(race.advertised_start, now=now, thin_to=thin_to)


def is_throttled(race: Race, slot: datetime, *, factor: int) -> bool:
    """Whether the race is not polled at this slot, because tokens run short and it is far from its start.

    What is more than the plan is polled all the same: the retry of a failure, a detail that is owed.
    """
    if race.failures or race.detail_wanted or race.is_finalized:
        return False
    thin_to = min_interval(race.provider)
    return not grid(race).keeps(race.advertised_start, slot, factor=factor, thin_to=thin_to)


def replan(race_ids: Iterable[int], *, now: datetime) -> None:
    """Plans the next poll of each race from stored facts, under row locks; call it after whatever changed them."""
    wanted = sorted(set(race_ids))
    if not wanted:
        return
    with transaction.atomic():
        races = list(Race.objects.filter(pk__in=wanted).locked())
        slots = _newest_slots(wanted)
        not_before = request_budget.next_allowed_at()
        moved = []
        for race in races:
            facts = _facts(race, slots[race.pk], not_before.get(race.provider))
            planned = next_poll(facts, cadence=cadence(), now=now)
            if planned != race.next_poll_at:
                race.next_poll_at = planned
                moved.append(race)
        write_fields(moved, ["next_poll_at"])


def _newest_slots(race_ids: Sequence[int]) -> dict[int, Slots]:
    """Of each race: the newest slot claimed or let go, and the newest not let go; each one step into an index.

    Not together with the lock, which reads anew what it waited for, but not what a subquery saw.
    """
    logs = PollLog.objects.filter(race=OuterRef("pk")).exclude(state=PollState.MISSED.value).order_by("-slot_at")
    asked = logs.exclude(state=PollState.SKIPPED.value)
    newest = [Subquery(some.values("slot_at")[:1]) for some in (logs, asked)]
    found = Race.objects.filter(pk__in=race_ids).values_list("pk", *newest)
    return {race_id: (covered, asked_at) for race_id, covered, asked_at in found}


def standing(races: Sequence[Race]) -> dict[int, RaceFacts]:
    """What the plan of each race depends on now, by primary key; without failures, which pass."""
    slots = _newest_slots([race.pk for race in races])
    passing: dict[str, Any] = {"planned": None, "failures": 0, "refused": False, "unknown": False}
    return {race.pk: replace(_facts(race, slots[race.pk], None), **passing) for race in races}


def replan_all(race_ids: Iterable[int], *, now: datetime) -> None:
    """As `replan`, a transaction for every few hundred: for a whole card, or a whole provider."""
    wanted = sorted(set(race_ids))
    for first in range(0, len(wanted), AT_ONCE):
        replan(wanted[first : first + AT_ONCE], now=now)


def is_unknown(last_error: str, failures: int) -> bool:
    """Whether the provider has said often enough that it does not know a race any more."""
    return last_error == NotFound.__name__ and failures >= NOT_FOUND_TIMES


def _slot_from(race: Race, instant: datetime) -> datetime:
    """The first slot of the race at or after an instant."""
    after, thin_to = instant - timedelta.resolution, min_interval(race.provider)
    return grid(race).next_slot(race.advertised_start, after=after, thin_to=thin_to)


def far_share() -> int:
    """How many far races find a token at every tick, tick after tick."""
    limits = request_budget.token_bucket()
    return max(1, min(limits.inflow(cadence().tick), limits.most_for(Priority.FAR)))


def spread_first_polls(race_ids: Iterable[int], *, now: datetime) -> None:
    """Has races that are new, and far from their start, polled over the next ticks, the nearest first: no more at each
    than its share of the tokens, beside what is planned for it already. A whole card at one tick would find too few.
    """
    step, share = cadence().tick, max(1, far_share() * 3 // 4)
    coming = next_tick(now, step)
    with transaction.atomic():
        new = Race.objects.filter(pk__in=list(race_ids), next_poll_at=coming, last_attempt_at__isnull=True)
        far = [race for race in new.locked() if not is_urgent(race, now=coming)]
        last = coming + step * (len(far) // share + 20)
        others = Race.objects.exclude(pk__in=[race.pk for race in far]).filter(next_poll_at__range=(coming, last))
        slots = [_slot_from(race, coming) for race in far]
        planned = Counter([*others.order_by().values_list("next_poll_at", flat=True), *slots])
        at = coming
        for race, slot in sorted(zip(far, slots, strict=True), key=lambda pair: abs(pair[0].advertised_start - now)):
            while planned[at] >= share and at < last:
                at += step
            race.next_poll_at = min(at, slot)
            planned[at] += at < slot
        write_fields(far, ["next_poll_at"])


def _facts(race: Race, slots: Slots, not_before: datetime | None) -> RaceFacts:
    covered, asked = slots
    # Only what a provider called final is looked at again: what staff or Appwrite ended stays as they said.
    was_decided = race.is_finalized and race.finalized_by != FinalizedBy.PROVIDER
    is_result = race.finalized_by == FinalizedBy.PROVIDER and race.outcome == Outcome.RESULTED
    return RaceFacts(
        advertised_start=race.advertised_start,
        waiting=race.is_waiting,
        finalized=race.is_finalized,
        ended_at=race.finalized_at if is_result else None,
        # Without a provider's id there is nobody to ask.
        paused=race.polling_paused or not race.provider_race_id,
        snoozed_until=race.snoozed_until,
        covered=covered,
        asked=asked,
        planned=race.next_poll_at,
        failures=race.failures,
        detail_wanted=race.detail_wanted and not was_decided,
        bare_final_at=race.bare_final_at,
        # While the whole provider is left alone its slots go on, each logged as skipped.
        refused=race.last_error == Blocked.__name__ and not_before is None,
        unknown=is_unknown(race.last_error, race.failures),
        not_before=not_before,
        thin_to=min_interval(race.provider),
    )
