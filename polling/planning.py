"""The plan of a race: which cadence and grid it is on, and when it is polled next.

This module alone writes `next_poll_at`: `replan` and `spread_first_polls` do.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Subquery

from polling import providers
from polling.cadence import URGENT_WITHIN, Cadence, Window, next_tick
from polling.errors import Blocked, NotFound
from polling.models import PollLog, PollState
from polling.next_poll import RaceFacts, next_poll
from polling.quota import request_budget
from polling.quota.token_bucket import Priority
from races.bulk import write_fields
from races.models import Race
from races.status import FinalizedBy, Outcome

NOT_FOUND_TIMES = 3  # failed polls in a row; if the last was not found, the provider no longer knows the race
RACES_PER_TRANSACTION = 500  # replanned together, so that none of them stays locked for long
FIRST_POLLS_SHARE = 3, 4  # of the tokens of far races, at each tick; the rest is for what is due beside them
SPARE_TICKS = 20  # beside those that the new races fill by themselves: others may be planned for some of them


class NewestSlots(NamedTuple):
    """The newest slot of a race that was claimed or skipped, and the newest that was not skipped."""

    covered_at: datetime | None
    asked_at: datetime | None


@cache
def default_cadence() -> Cadence:
    """The cadence of the settings, read once per process; its `tick` is the step of every cadence.

    For those that have no race at hand. Whoever has one asks `cadence_of`.
    """
    return Cadence(settings.POLL_WINDOWS, settings.POLL_TICK, settings.POLL_HOLD)


def cadence_of(race: Race) -> Cadence:
    """The cadence of a race: at present the default for each. A cadence per code of racing is decided here."""
    return default_cadence()


def grid_of(race: Race) -> Cadence:
    """The race's cadence as it is in effect now: held past the start while the race has not started."""
    return cadence_of(race).for_race(waiting=race.is_waiting, min_interval=min_interval_of(race.provider))


def min_interval_of(provider: str) -> timedelta:
    """The shortest time between two polls of a race that the provider can answer with news."""
    return providers.capabilities_of(provider).min_interval


def is_urgent(race: Race, *, now: datetime) -> bool:
    """Whether the race is in its last minutes, so that its poll must wait behind no far race's."""
    return cadence_of(race).is_urgent(race.advertised_start, waiting=race.is_waiting, now=now)


def newest_slot(race: Race, *, now: datetime) -> datetime | None:
    """The slot of the race begun last, at or before `now`; None before its first slot."""
    return grid_of(race).newest_slot(race.advertised_start, now=now, min_interval=min_interval_of(race.provider))


def is_throttled(race: Race, slot: datetime, *, factor: int) -> bool:
    """Whether the race is not polled at this slot, because tokens run short and it is far from its start.

    One slot in `factor` is polled. What is more than the plan is polled in any case: the retry of a failure, a detail
    that is missing.
    """
    if race.failures or race.detail_wanted or race.is_finalized:
        return False
    interval = min_interval_of(race.provider)
    return not grid_of(race).keeps(race.advertised_start, slot, factor=factor, min_interval=interval)


def window_at(race: Race, *, factor: int, now: datetime) -> Window | None:
    """The window that the race is in, its step as throttled now by `factor`; None before its first window."""
    window = grid_of(race).window(race.advertised_start, now=now)
    if window is None or race.advertised_start - now <= URGENT_WITHIN:
        return window
    return replace(window, step=window.step * factor)


def is_unknown(last_error: str, failures: int) -> bool:
    """Whether the provider is taken to know a race no more: several polls in a row failed, the last as not found."""
    return last_error == NotFound.__name__ and failures >= NOT_FOUND_TIMES


def replan(race_ids: Iterable[int], *, now: datetime) -> None:
    """Plans the next poll of each race from stored facts and writes `next_poll_at`.

    Call it after whatever changed the facts, in the same transaction. It locks the races by primary key, and makes
    the same few queries however many races there are. Races whose plan stays as it is are not written.
    """
    ids = sorted(set(race_ids))
    if not ids:
        return
    with transaction.atomic():
        races = list(Race.objects.filter(pk__in=ids).locked())
        slots = _newest_slots(ids)
        not_before = request_budget.next_allowed_at()
        moved = []
        for race in races:
            facts = _facts_of(race, slots[race.pk], not_before.get(race.provider))
            planned = next_poll(facts, cadence=cadence_of(race), now=now)
            if planned != race.next_poll_at:
                race.next_poll_at = planned
                moved.append(race)
        write_fields(moved, ["next_poll_at"])


def replan_all(race_ids: Iterable[int], *, now: datetime) -> None:
    """Plans a whole card, or all races of a provider, in transactions of some hundred races each."""
    ids = sorted(set(race_ids))
    for first in range(0, len(ids), RACES_PER_TRANSACTION):
        replan(ids[first : first + RACES_PER_TRANSACTION], now=now)


def standing_facts(races: Sequence[Race]) -> dict[int, RaceFacts]:
    """What the plan of each race depends on, by primary key, as if nothing had failed: failures pass."""
    slots = _newest_slots([race.pk for race in races])
    passing: dict[str, Any] = {"planned_at": None, "failures": 0, "refused": False, "unknown": False}
    return {race.pk: replace(_facts_of(race, slots[race.pk], None), **passing) for race in races}


def far_share() -> int:
    """How many far races find a token at every tick, tick after tick."""
    limits = request_budget.token_bucket()
    return max(1, min(limits.inflow(default_cadence().tick), limits.most_for(Priority.FAR)))


def spread_first_polls(race_ids: Iterable[int], *, now: datetime) -> None:
    """Spreads the first polls of new far races over the next ticks, the nearest to their start first.

    A whole card at one tick would find too few tokens. No tick gets more than its share of them, and what is planned
    for it already counts. A race whose own slot comes sooner waits for that.
    """
    part, whole = FIRST_POLLS_SHARE
    step, share = default_cadence().tick, max(1, far_share() * part // whole)
    coming = next_tick(now, step)
    with transaction.atomic():
        new = Race.objects.filter(pk__in=list(race_ids), next_poll_at=coming, last_attempt_at__isnull=True)
        far = [race for race in new.locked() if not is_urgent(race, now=coming)]
        last = coming + step * (len(far) // share + SPARE_TICKS)
        others = Race.objects.exclude(pk__in=[race.pk for race in far]).filter(next_poll_at__range=(coming, last))
        before = coming - timedelta.resolution
        slots = [
            grid_of(race).next_slot(race.advertised_start, after=before, min_interval=min_interval_of(race.provider))
            for race in far
        ]
        planned = Counter([*others.order_by().values_list("next_poll_at", flat=True), *slots])
        at = coming
        for race, slot in sorted(zip(far, slots, strict=True), key=lambda pair: abs(pair[0].advertised_start - now)):
            while planned[at] >= share and at < last:
                at += step
            race.next_poll_at = min(at, slot)
            planned[at] += at < slot
        write_fields(far, ["next_poll_at"])


def _newest_slots(race_ids: Sequence[int]) -> dict[int, NewestSlots]:
    """The newest slots of each race, by its primary key, each one step into an index.

    A query of its own, after the races are locked: a locking query reads a row that it waited for once more, but not
    what its subqueries had found before it waited.
    """
    logs = PollLog.objects.filter(race=OuterRef("pk")).exclude(state=PollState.MISSED.value).order_by("-slot_at")
    asked = logs.exclude(state=PollState.SKIPPED.value)
    newest = [Subquery(some.values("slot_at")[:1]) for some in (logs, asked)]
    found = Race.objects.filter(pk__in=race_ids).values_list("pk", *newest)
    return {race_id: NewestSlots(covered_at, asked_at) for race_id, covered_at, asked_at in found}


def _facts_of(race: Race, slots: NewestSlots, not_before: datetime | None) -> RaceFacts:
    # Only a provider's own result is rechecked: what staff or Appwrite ended stays as they decided.
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
        covered_at=slots.covered_at,
        asked_at=slots.asked_at,
        planned_at=race.next_poll_at,
        failures=race.failures,
        detail_wanted=race.detail_wanted and not was_decided,
        unproven_final_at=race.unproven_final_at,
        # While the whole provider is left alone its slots go on, each logged as skipped.
        refused=race.last_error == Blocked.__name__ and not_before is None,
        unknown=is_unknown(race.last_error, race.failures),
        not_before=not_before,
        min_interval=min_interval_of(race.provider),
    )
