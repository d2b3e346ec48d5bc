"""The master tick: finds what is due, claims it, plans on, and hands it to the queue after the commit.

It makes a constant number of queries whatever is due, and two while nothing is due within the hour. It makes no HTTP
request, and nothing may escape it: it runs in the cluster's sentinel.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import DatabaseError, transaction
from django.db.models import Exists, Max

from polling import dispatch
from polling.cadence import floor
from polling.dispatch import WantedPoll
from polling.models import FORCED_TRIGGERS, PollLog, PollState, ProviderState, Tick, Trigger
from polling.monitoring import heartbeat
from polling.monitoring.lasting_problem import LastingProblem
from polling.next_poll import DueSlot, due_slot
from polling.planning import default_cadence, far_share, grid_of, is_throttled, is_urgent, min_interval_of, replan
from polling.quota import throttle
from races.models import Race

logger = logging.getLogger(__name__)

MOST_MISSED = 40  # rows per race after an outage: enough to see it, and no flood of rows
SLEEPS_BEFORE = timedelta(hours=1)
THROTTLE = LastingProblem(logger, "the throttle cannot be adjusted; slots are polled as planned")
HEARTBEAT = LastingProblem(logger, "the heartbeat cannot be written; ticks go on")

Plan = tuple[Race, DueSlot]


class NoTick(StrEnum):
    """Why there was no tick to run."""

    ASLEEP = "nothing is due within the hour"
    TAKEN = "this slot has been ticked already"  # here or on another host


def run(*, now: datetime) -> Tick | NoTick:
    """Runs the tick of the slot that `now` lies in, on whichever host gets there first.

    Returns the row that records it, with how many races were due and claimed, and the error where it failed; or why
    there was no tick. Raises nothing but what the database raises for the row itself.
    """
    if _rest_until_due(now=now):
        return NoTick.ASLEEP
    began = time.monotonic()
    slot = floor(now, default_cadence().tick)
    tick, is_ours = Tick.objects.get_or_create(slot_at=slot, defaults={"started_at": now})
    if not is_ours:
        return NoTick.TAKEN
    try:
        with transaction.atomic():
            _dispatch_due(tick, now=now)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a raise would undo the queue's whole pass, and django-q2's timeout is a SystemExit
        logger.exception("tick %s failed", slot.isoformat())
        tick.due = tick.claimed = 0
        tick.error = f"{type(error).__name__}: {error}"
    tick.finished_at = now + timedelta(seconds=time.monotonic() - began)
    tick.save(update_fields=["finished_at", "due", "claimed", "error"])
    if not tick.error:
        with HEARTBEAT.guard(), transaction.atomic():  # a row that cannot be written must not undo the claims
            heartbeat.record(now=now, ended_at=tick.finished_at)
    return tick


def _rest_until_due(*, now: datetime) -> bool:
    """Writes to the heartbeat until when nothing is due, where that is far off; returns whether it did so."""
    try:
        with transaction.atomic():
            sleeping_until = _sleeping_until(now=now)
            if sleeping_until is None:
                return False
            heartbeat.record(now=now, sleeping_until=sleeping_until)
            return True
    except DatabaseError:  # the tick that follows finds it too, and records it
        return False


def _sleeping_until(*, now: datetime) -> datetime | None:
    """When the next poll is due, where that is far off and no claim is open; None where there is work.

    Read again at every tick, so that what is planned meanwhile is polled at its slot.
    """
    claims = PollLog.objects.unfinished()
    planned = Race.objects.filter(next_poll_at__isnull=False).order_by("next_poll_at")
    nearest = planned.values_list("next_poll_at", Exists(claims))[:1]
    [(due_at, is_busy)] = nearest or [(now + SLEEPS_BEFORE, claims.exists())]
    return None if is_busy or due_at is None or due_at - now < SLEEPS_BEFORE else due_at


def _dispatch_due(tick: Tick, *, now: datetime) -> None:
    """Claims the polls that are due and plans all those races on; the claims are sent after the commit."""
    throttle_factors: dict[str, int] = {}
    with THROTTLE.guard(), transaction.atomic():
        throttle_factors = throttle.adjust(now=now)
    locked, races = _lock_due_races(now=now)
    plans = [(race, _due_slot_of(race, now=now)) for race in races]
    _log_missed(plans, now=now)
    plans = _log_throttled(plans, throttle_factors, now=now)
    # What waits comes before the plan; only a first poll gives way to a slot of its race.
    on_grid = {race.pk for race, plan in plans if plan.on_grid}
    won = dispatch.claim_waiting(locked.keys() - on_grid, now=now)
    won += dispatch.claim_waiting(on_grid, now=now, triggers=FORCED_TRIGGERS)
    failing = [race for race in races if race.failures]
    failed = PollLog.objects.filter(race__in=failing, state__in=(PollState.FAILED.value, PollState.LOST.value))
    newest_failures = dict(failed.order_by().values_list("race").annotate(Max("pk")))
    begun = {log.race_id for log in won}
    left = [(race, plan) for race, plan in plans if plan.on_grid or race.pk not in begun]
    polls = [_wanted_poll(race, plan, newest_failures.get(race.pk)) for race, plan in left]
    won += dispatch.claim(polls, waiting=_postponed_first_polls(left, now=now), now=now)
    replan(locked, now=now)  # also those that were lost and are due for no poll, as after the last recheck
    tick.due, tick.claimed = len(races), len(won)
    if won:
        transaction.on_commit(lambda: _send_claimed(tick, won, now=now), robust=True)


def _lock_due_races(*, now: datetime) -> tuple[dict[int, Race], list[Race]]:
    """Locks the races that are due, whose poll was lost, or that have a poll which waits; writes lost polls off.

    Returns them by primary key, and those of them to poll now, the nearest to their start first.
    """
    lost = PollLog.objects.lost(now=now)
    # A union: for an OR with a subquery PostgreSQL reads every race there is.
    waiting = PollLog.objects.waiting().order_by().values("race")
    found = Race.objects.due(now=now).values("pk").union(lost.order_by().values("race"), waiting)
    locked = {race.pk: race for race in Race.objects.filter(pk__in=found).locked()}
    late = dispatch.write_off_lost(lost.filter(race__in=locked), now=now)
    for race_id in late:
        locked[race_id].failures += 1
    # At once, but for those that have been finalized or paused since, or planned on by others.
    due = [race for race in locked.values() if race.next_poll_at and (race.pk in late or race.next_poll_at <= now)]
    return locked, sorted(due, key=lambda race: abs(race.advertised_start - now))


def _due_slot_of(race: Race, *, now: datetime) -> DueSlot:
    tick = floor(now, default_cadence().tick)
    if race.is_finalized:
        return DueSlot(tick, on_grid=False)
    planned_at, interval = min(race.next_poll_at or tick, tick), min_interval_of(race.provider)
    grid = grid_of(race)
    return due_slot(race.advertised_start, planned_at=planned_at, cadence=grid, now=now, min_interval=interval)


def _log_missed(plans: list[Plan], *, now: datetime) -> None:
    """Logs the slots of the present grid that passed between the plan and the slot claimed now."""
    missed = [
        PollLog(race=race, slot_at=slot, trigger=Trigger.SLOT.value, state=PollState.MISSED.value, finished_at=now)
        for race, plan in plans
        for slot in plan.missed[-MOST_MISSED:]
    ]
    if not missed:
        return
    # Where the card was imported before any worker ran, as when all is set up, no one was there to miss a slot.
    has_card = ProviderState.objects.filter(last_import_at__isnull=False)
    if heartbeat.last() is not None or not has_card.exists():
        PollLog.objects.bulk_create(missed, ignore_conflicts=True)


def _log_throttled(plans: list[Plan], throttle_factors: Mapping[str, int], *, now: datetime) -> list[Plan]:
    """Logs the slots that the throttle leaves out; returns the polls that are left."""
    left_out = {
        race.pk
        for race, plan in plans
        if plan.on_grid and is_throttled(race, plan.slot_at, factor=throttle_factors.get(race.provider, 1))
    }
    dispatch.log_throttled([_wanted_poll(race, plan, None) for race, plan in plans if race.pk in left_out], now=now)
    return [(race, plan) for race, plan in plans if race.pk not in left_out]


def _wanted_poll(race: Race, plan: DueSlot, failed: int | None) -> WantedPoll:
    """The poll that a due race gets; a retry names the newest poll that failed, by primary key."""
    if plan.on_grid:
        return WantedPoll(race, plan.slot_at, Trigger.SLOT)
    off_grid = Trigger.RECHECK if race.is_finalized else Trigger.FOUND
    return WantedPoll(race, plan.slot_at, Trigger.RETRY if race.failures else off_grid, retry_of=failed)


def _postponed_first_polls(plans: list[Plan], *, now: datetime) -> set[int]:
    """The races whose first poll waits for the next tick, because far slots need the tokens of this one.

    First polls come all at once where a card is new and the first tick late. The nearest to their start are not
    postponed.
    """
    far = {race.pk for race, plan in plans if not is_urgent(race, now=now)}
    waiting: set[int] = set()
    for provider in {race.provider for race, plan in plans if plan.on_grid and race.pk in far}:
        ours = [(race, plan) for race, plan in plans if race.provider == provider]
        first = [race.pk for race, plan in ours if not plan.on_grid and race.last_attempt_at is None and race.pk in far]
        # Requests for one detail per race and one list per task: workers take tokens in any order, so that what is
        # sent beside a slot must not cost the slot its own.
        most = dispatch.max_batch(provider)
        polls_that_fit = far_share() * most // (most + 1)
        waiting |= set(first[max(polls_that_fit - (len(ours) - len(first)), 0) :])
    return waiting


def _send_claimed(tick: Tick, won: list[PollLog], *, now: datetime) -> None:
    """Hands the claims to the queue, those that may wait for tokens last, and notes their number on the tick."""
    claimed = [log for log in won if log.state == PollState.CLAIMED.value]
    planned = [log for log in claimed if log.trigger != Trigger.FOUND.value]
    found = [log for log in claimed if log.trigger == Trigger.FOUND.value]
    sent = dispatch.send(planned, now=now) + dispatch.send(found, now=now)
    Tick.objects.filter(pk=tick.pk).update(dispatched=sent)
    logger.info("tick %s: %d due, %d sent", tick.slot_at.strftime("%H:%M:%S"), tick.due, sent)
