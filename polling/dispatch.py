"""The claims of polls and their way to the queue; for the tick, the admin, the commands and the pull."""

import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, QuerySet
from django_q.brokers import get_broker
from django_q.tasks import async_task

from polling import providers
from polling.models import FORCED_TRIGGERS, PollingSwitch, PollLog, PollState, SkipReason, Trigger
from polling.planning import is_urgent
from polling.request_policy import PollTarget, chunks
from races.models import Race

logger = logging.getLogger(__name__)

CLAIM_MARGIN = timedelta(seconds=10)
# A worker that has not ended by the task's timeout is killed; its poll is free for the next tick, not the one after.
RUN_MARGIN = timedelta(seconds=2)
PAUSED = "all polling is paused"
FAST_POOL = "fast"  # a second worker pool, for races about to start, where POLL_FAST_WORKERS gives it workers


@dataclass(frozen=True, slots=True)
class WantedPoll:
    """A poll that is to be claimed: of which race, for which instant, and why."""

    race: Race
    slot_at: datetime
    trigger: Trigger
    requested_by: str = ""
    retry_of: int | None = None


def lock_races(race_ids: Iterable[int]) -> None:
    """Locks races by primary key, the order of all others; whoever writes claims of a race does it first."""
    list(Race.objects.filter(pk__in=list(race_ids)).locked().values_list("pk"))


def claim_lease() -> timedelta:
    """How long a claim may wait for a worker; past it the queue is taken to have lost it."""
    return settings.POLL_TASK_TIMEOUT + CLAIM_MARGIN


def run_lease() -> timedelta:
    """How long a poll once begun is its worker's; past it the worker is taken for dead."""
    return settings.POLL_TASK_TIMEOUT + RUN_MARGIN


def write_off_lost(lost: QuerySet[PollLog], *, now: datetime) -> dict[int, PollLog]:
    """Ends claims whose lease ran out; returns them by race. Each counts as a failure, and its race is tried again.

    Call it with the races locked, as everything that writes claims.
    """
    late = {log.race_id: log for log in lost.select_for_update().order_by("pk")}
    if late:
        PollLog.objects.filter(pk__in=[log.pk for log in late.values()]).update(
            state=PollState.LOST.value, finished_at=now, error_class="Lost", message="no worker finished it in time"
        )
        Race.objects.filter(pk__in=late).update(failures=F("failures") + 1)
        logger.warning("%d polls were lost and are tried again", len(late))
    return late


def claim(polls: Sequence[WantedPoll], *, waiting: Collection[int] = (), now: datetime) -> list[PollLog]:
    """Claims polls by inserting their logs, which only one host can do for a race and slot; returns those won.

    A slot, or another poll of the race, that somebody holds stays theirs. The polls of the races in `waiting` (primary
    keys) are noted to wait for the next tick. While all polling is paused the slots are logged as skipped and nothing
    is won. Call it with the races locked, so that nobody waits for another's claim.
    """
    if not polls:
        return []
    if PollingSwitch.is_paused():
        _log_skipped(polls, SkipReason.PAUSED, now=now, message=PAUSED)
        return []
    _drop_unstarted([poll.race.pk for poll in polls], now=now)
    token = uuid.uuid4().hex
    values = {"claim": token, "claimed_at": now, "lease_until": now + claim_lease()}
    logs = [
        _log_of(poll, PollState.WAITING if poll.race.pk in waiting else PollState.CLAIMED, **values) for poll in polls
    ]
    PollLog.objects.bulk_create(logs, ignore_conflicts=True)
    won = list(PollLog.objects.filter(claim=token).select_related("race"))
    winners = {log.race_id for log in won}
    _log_skipped([poll for poll in polls if poll.race.pk not in winners], SkipReason.BUSY, now=now)
    return won


def _drop_unstarted(race_ids: list[int], *, now: datetime) -> None:
    """Ends claims of an earlier tick that no worker has begun: they give way to the slot that has begun since."""
    planned = (Trigger.SLOT.value, Trigger.RETRY.value, Trigger.FOUND.value, Trigger.RECHECK.value)
    unstarted = (PollState.CLAIMED.value, PollState.WAITING.value)
    older = PollLog.objects.filter(race__in=race_ids, state__in=unstarted, trigger__in=planned)
    older = older.filter(claimed_at__lte=now - settings.POLL_TICK / 2)
    # In the order in which pollers take them; one that was taken meanwhile has begun.
    found = list(older.select_for_update().order_by("pk").values_list("pk", flat=True))
    PollLog.objects.filter(pk__in=found).update(
        state=PollState.SKIPPED.value, reason=SkipReason.STALE.value, finished_at=now
    )


def log_throttled(polls: Sequence[WantedPoll], *, now: datetime) -> None:
    """Logs slots that are not polled because their provider's tokens run short."""
    _log_skipped(polls, SkipReason.THROTTLED, now=now, message="tokens run short: far slots are left out")


def _log_skipped(polls: Sequence[WantedPoll], reason: SkipReason, *, now: datetime, message: str = "") -> None:
    if polls:
        values = {"reason": reason.value, "message": message, "finished_at": now}
        logs = [_log_of(poll, PollState.SKIPPED, **values) for poll in polls]
        PollLog.objects.bulk_create(logs, ignore_conflicts=True)


def _log_of(poll: WantedPoll, state: PollState, **values: object) -> PollLog:
    return PollLog(
        race=poll.race,
        slot_at=poll.slot_at,
        trigger=poll.trigger.value,
        state=state.value,
        requested_by=poll.requested_by,
        retry_of_id=poll.retry_of,
        **values,
    )


def claim_now(
    races: Iterable[Race], *, trigger: Trigger, requested_by: str, now: datetime
) -> tuple[list[PollLog], list[PollLog]]:
    """Asks for a poll of each race at this instant; returns the claims to poll now, and the polls that it joins.

    A request (forced, remote) makes its own what the plan has claimed and no worker has begun: trigger, who
    asked, the detail, staff's reserve of tokens. A poll that is running already is followed by another, which waits
    for its end. What an earlier request has asked for is joined. A race without a provider's id, as one made by hand,
    is left out.
    """
    asked_for = [race for race in races if race.provider_race_id]
    race_ids = [race.pk for race in asked_for]
    with transaction.atomic():
        lock_races(race_ids)
        polls = _polls_at_once(asked_for, trigger, requested_by, now=now)
        write_off_lost(PollLog.objects.lost(now=now).filter(race__in=race_ids), now=now)
        # Locked, so that no poller takes a claim between this look at it and its change.
        found = PollLog.objects.unfinished().filter(race__in=race_ids).select_for_update(of=("self",))
        known = list(found.select_related("race").order_by("pk"))
        if trigger.value not in FORCED_TRIGGERS:
            busy = {log.race_id for log in known}
            return claim([poll for poll in polls if poll.race.pk not in busy], now=now), known
        planned = [log for log in known if log.state == PollState.CLAIMED.value and log.trigger not in FORCED_TRIGGERS]
        asked = [log for log in known if log.state != PollState.RUNNING.value and log.trigger in FORCED_TRIGGERS]
        running = {log.race_id for log in known if log.state == PollState.RUNNING.value}
        served = {log.race_id for log in planned + asked}
        _take_over_claims(planned, trigger=trigger, requested_by=requested_by, now=now)
        waiting = [_log_of(poll, PollState.WAITING) for poll in polls if poll.race.pk in running - served]
        for log in waiting:  # one by one, since a bulk insert that ignores conflicts returns no keys
            log.save()
        won = claim([poll for poll in polls if poll.race.pk not in running | served], now=now)
        return won + planned, asked + waiting


def _polls_at_once(
    races: Sequence[Race], trigger: Trigger, requested_by: str, *, now: datetime
) -> Sequence[WantedPoll]:
    """The polls that a request asks for at `now`, or at the first free instant after it: that is part of their key."""
    following = now + timedelta(milliseconds=1)
    taken = PollLog.objects.filter(race__in=[race.pk for race in races], slot_at__gte=now, slot_at__lt=following)
    newest = dict(taken.order_by().values_list("race").annotate(Max("slot_at")))
    free = {race_id: slot_at + timedelta.resolution for race_id, slot_at in newest.items()}
    return [WantedPoll(race, free.get(race.pk, now), trigger, requested_by) for race in races]


def _take_over_claims(logs: Sequence[PollLog], *, trigger: Trigger, requested_by: str, now: datetime) -> None:
    """Makes planned claims those of a request. Call it with the logs locked."""
    for log in logs:
        log.trigger, log.requested_by = trigger.value, requested_by
        log.claimed_at, log.lease_until = now, now + claim_lease()
    PollLog.objects.filter(pk__in=[log.pk for log in logs]).update(
        trigger=trigger.value, requested_by=requested_by, claimed_at=now, lease_until=now + claim_lease()
    )


def claim_waiting(race_ids: Iterable[int], *, now: datetime, triggers: Iterable[str] = tuple(Trigger)) -> list[PollLog]:
    """Claims the polls that wait for tokens, or for the end of another poll of their race, where that has ended.

    Call it with the races locked, and send what it returns after the commit. One query while nothing waits.
    """
    waiting = PollLog.objects.waiting().filter(race__in=list(race_ids), trigger__in=list(triggers)).order_by("slot_at")
    ready = list(waiting.exclude(race__in=PollLog.objects.open().values("race")).select_related("race"))
    if not ready:
        return []
    found = PollLog.objects.filter(pk__in=[log.pk for log in ready])
    if PollingSwitch.is_paused():
        found.update(state=PollState.SKIPPED.value, reason=SkipReason.PAUSED.value, message=PAUSED, finished_at=now)
        return []
    found.update(state=PollState.CLAIMED.value, claimed_at=now, lease_until=now + claim_lease())
    for log in ready:
        log.state = PollState.CLAIMED.value
    return ready


def force(races: Iterable[Race], *, trigger: Trigger, requested_by: str, now: datetime) -> list[PollLog]:
    """Polls each race at once through the queue; returns the logs that will show what came of it."""
    won, joined = claim_now(races, trigger=trigger, requested_by=requested_by, now=now)
    transaction.on_commit(lambda: send(won, now=now), robust=True)
    return won + joined


def send(logs: Sequence[PollLog], *, now: datetime) -> int:
    """Hands claims to the queue, the urgent first; returns how many.

    One claim is a task of its own, more share tasks by provider and urgency. Call it after the commit.
    """
    if not logs:
        return 0

    def target_of(log: PollLog) -> PollTarget:
        return PollTarget(log.race.provider, log.race.advertised_start, is_urgent(log.race, now=now))

    far = {"broker": get_broker()}
    urgent = {"broker": get_broker(FAST_POOL), "cluster": FAST_POOL} if settings.POLL_FAST_WORKERS else far
    by_race = sorted(logs, key=lambda log: log.race_id)
    for chunk in chunks(by_race, target_of, max_batch=max_batch, now=now):
        # The poll log is the audit, so the queue keeps no record of its own.
        options = {**(urgent if target_of(chunk[0]).urgent else far), "save": False}
        if len(chunk) == 1:
            async_task("polling.tasks.poll_race", chunk[0].pk, q_options=options)
        else:
            async_task("polling.tasks.poll_races", [log.pk for log in chunk], q_options=options)
    return len(logs)


def max_batch(provider: str) -> int:
    """How many polls of the provider share a task."""
    return providers.capabilities_of(provider).max_batch


def queue_size() -> int:
    """How many tasks wait. Raises the queue's own errors where it cannot be reached."""
    return int(get_broker().queue_size())
