"""The pollers of one race and of many: take claims, ask the providers, store the answers, finish the logs, plan on.

No transaction is open while a provider is asked; all that follows is in one.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby

from django.conf import settings
from django.db import transaction
from django.db.models import F

from polling import clock, dispatch, fetching, sync_queue, unknown_races
from polling.errors import PollingError
from polling.fetching import Answer, FetchResult
from polling.models import FORCED_TRIGGERS, PollLog, PollState, ProviderState, SkipReason, Trigger
from polling.monitoring import reversal_alerts
from polling.monitoring.lasting_problem import LastingProblem
from polling.planning import is_urgent, newest_slot, replan
from polling.quota import request_budget
from polling.quota.request_budget import RequestBudget
from polling.quota.token_bucket import Priority
from races import ingest
from races.bulk import write_fields
from races.models import Race
from races.snapshots import RaceSnapshot

logger = logging.getLogger(__name__)

PROVIDER_NOTES = LastingProblem(
    logger, "what answers say of their provider cannot be noted; they are stored all the same"
)
OLDER_ANSWER = "the answer was older than what is stored, and was refused"
# Their races are asked for their detail, whatever the policy.
WHOLE_TRIGGERS = (*FORCED_TRIGGERS, Trigger.RECHECK.value)
FINISHED_FIELDS = [
    "state", "reason", "run", "started_at", "finished_at", "changed", "http_status", "error_class", "message", "sample",
    "starts_incident",
]  # fmt: skip


def run(log_ids: Sequence[int], *, now: datetime, finished: Callable[[], datetime] = clock.now) -> list[int]:
    """Polls the races of these claims; returns the races that answered, by primary key, in order.

    A claim that is taken already is left alone, so that a task that is delivered twice polls once. `finished` gives the
    instant at which the answers are here. What a provider does wrong is recorded on the logs and races, not raised.
    """
    deadline = time.monotonic() + settings.POLL_REQUEST_DEADLINE.total_seconds()
    token = uuid.uuid4().hex
    logs = _skip_stale(_take_claims(log_ids, token=token, now=now), now=now)
    if not logs:
        return []
    fetched: list[tuple[str, FetchResult]] = []
    # What was asked for first, and with staff's reserve: a claim of a batch may have become a request meanwhile.
    for (provider, _), group in groupby(sorted(logs, key=_provider_and_kind), key=_provider_and_kind):
        polls = list(group)
        # Also the retry of a recheck: the status of a race that has ended has no news.
        whole = {log.race_id for log in polls if log.trigger in WHOLE_TRIGGERS or log.race.is_finalized}
        budget = RequestBudget(provider, _priority_of(polls, now=now), now)
        answered = fetching.fetch(budget, [log.race for log in polls], whole=whole, now=now, deadline=deadline)
        fetched.append((provider, answered))
    ended = finished()
    # Before the races are locked: whoever locks both takes the provider's row first.
    for provider, answered in fetched:
        with PROVIDER_NOTES.guard():  # what a provider's row cannot take must not cost the answers
            request_budget.record_answers(provider, answered.errors, refused=answered.refused, now=ended)
            snapshots = [answer.snapshot for answer in answered.answers.values() if answer.snapshot]
            note_unknown_statuses(snapshots, now=ended)
    answers = {race_id: answer for _, answered in fetched for race_id, answer in answered.answers.items()}
    return _store_answers(token, answers, now=ended)


def _provider_and_kind(log: PollLog) -> tuple[str, bool]:
    return log.race.provider, log.trigger not in FORCED_TRIGGERS


def _take_claims(log_ids: Sequence[int], *, token: str, now: datetime) -> list[PollLog]:
    """The claims that no poller has taken yet, now marked as ours by the token."""
    claims = PollLog.objects.filter(pk__in=log_ids, state=PollState.CLAIMED.value)
    with transaction.atomic():
        found = list(claims.select_for_update().order_by("pk").values_list("pk", flat=True))
        PollLog.objects.filter(pk__in=found).update(
            state=PollState.RUNNING.value, run=token, started_at=now, lease_until=now + dispatch.run_lease()
        )
    return list(PollLog.objects.filter(run=token).select_related("race__meeting"))


def _skip_stale(logs: list[PollLog], *, now: datetime) -> list[PollLog]:
    """Skips polls after whose slot a newer one has begun, which has a poll of its own; returns the others.

    A request and a recheck are never stale.
    """

    def is_stale(log: PollLog) -> bool:
        newest = newest_slot(log.race, now=now) if log.trigger not in WHOLE_TRIGGERS else None
        return newest is not None and newest > log.slot_at

    stale = [log for log in logs if is_stale(log)]
    if not stale:
        return logs
    with transaction.atomic():
        dispatch.lock_races(log.race_id for log in stale)
        PollLog.objects.filter(pk__in=[log.pk for log in stale]).update(
            state=PollState.SKIPPED.value, reason=SkipReason.STALE.value, finished_at=now
        )
        replan([log.race_id for log in stale], now=now)
        _send_waiting(stale, now=now)
    return [log for log in logs if log not in stale]


def _priority_of(logs: Sequence[PollLog], *, now: datetime) -> Priority:
    """The priority of polls of one kind: neither requests and others nor urgent races and far ones are mixed."""
    if all(log.trigger in FORCED_TRIGGERS for log in logs):
        return Priority.FORCED
    return Priority.URGENT if any(is_urgent(log.race, now=now) for log in logs) else Priority.FAR


def _store_answers(token: str, answers: dict[int, Answer], *, now: datetime) -> list[int]:
    """Stores the answers and finishes the logs, of those claims that are still ours; returns who answered."""
    with transaction.atomic():
        own = PollLog.objects.filter(run=token, state=PollState.RUNNING.value)
        dispatch.lock_races(own.values_list("race", flat=True))
        logs = list(own.select_for_update(of=("self",)).select_related("race__meeting").order_by("pk"))
        snapshots = {log.race_id: snapshot for log in logs if (snapshot := answers[log.race_id].snapshot)}
        errors = {log.race_id: error for log in logs if (error := answers[log.race_id].error)}
        skipped = {log.race_id for log in logs if answers[log.race_id].skipped}
        changes = ingest.apply(snapshots.values(), now=now)
        reversal_alerts.report(changes.reversals, now=now)
        ingest.request_detail([race_id for race_id in snapshots if answers[race_id].lacks_detail])
        for log in logs:
            _finish_log(log, answers[log.race_id], changed=log.race_id in changes.changed, now=now)
            log.message = log.message or (OLDER_ANSWER if log.race_id in changes.refused else "")
        write_fields(logs, FINISHED_FIELDS)
        Race.objects.filter(pk__in=snapshots).update(last_poll_time=now)
        answered = snapshots.keys() - errors.keys() - skipped
        Race.objects.filter(pk__in=answered).update(last_attempt_at=now, failures=0, last_error="")
        _count_failures([log.race for log in logs], errors, now=now)
        replan([log.race_id for log in logs], now=now)
        _send_waiting(logs, now=now)
        if logs:
            transaction.on_commit(sync_queue.request_push, robust=True)
    for provider, refused in Counter(log.race.provider for log in logs if log.race_id in changes.refused).items():
        with PROVIDER_NOTES.guard():
            note_older_answers(provider, refused, now=now)
    if snapshots:
        logger.info("polled %d races, %d changed", len(snapshots), len(changes.changed))
    _warn_of_failures(logs, errors, now=now)
    return sorted(answered)


def _finish_log(log: PollLog, answer: Answer, *, changed: bool, now: datetime) -> None:
    log.finished_at, log.changed = now, changed
    error = answer.error
    if answer.lacks_tokens and not answer.snapshot and log.trigger == Trigger.FOUND.value:
        # No slot, and nothing is known of the race yet: its time is when there are tokens, at the next tick.
        log.state, log.run, log.started_at, log.finished_at = PollState.WAITING.value, "", None, None
        return
    if answer.skipped:
        log.state, log.reason, log.message = PollState.SKIPPED.value, answer.skipped.value, answer.why
        return
    if error is None:
        log.state, log.http_status = PollState.OK.value, 200
        return
    log.state, log.http_status = PollState.FAILED.value, error.http_status
    log.error_class, log.message, log.sample = type(error).__name__, str(error)[:500], error.sample
    log.starts_incident = log.race.failures == 0


def _count_failures(races: Sequence[Race], errors: dict[int, PollingError], *, now: datetime) -> None:
    """Counts a failure for each race that has an error, and reports those that the provider no longer knows."""
    by_class: dict[str, list[int]] = {}
    for race_id, error in errors.items():
        by_class.setdefault(type(error).__name__, []).append(race_id)
    for name, race_ids in by_class.items():
        failed = Race.objects.filter(pk__in=race_ids)
        failed.update(last_attempt_at=now, failures=F("failures") + 1, last_error=name)
    unknown_races.report([race for race in races if race.pk in errors], now=now)


def _send_waiting(ended: Sequence[PollLog], *, now: datetime) -> None:
    """Sends the polls that were asked for while these were running. Call it with their races locked."""
    if waited := dispatch.claim_waiting([log.race_id for log in ended], now=now, triggers=FORCED_TRIGGERS):
        transaction.on_commit(lambda: dispatch.send(waited, now=now), robust=True)


def _warn_of_failures(logs: list[PollLog], errors: dict[int, PollingError], *, now: datetime) -> None:
    """Logs one line however many races begin to fail: their provider's incident has the rest."""
    if begun := [log for log in logs if log.starts_incident and log.race_id in errors]:
        others = f" and {len(begun) - 1} others" if len(begun) > 1 else ""
        logger.warning("%s%s: polls fail: %s", begun[0].race.name_at(now), others, errors[begun[0].race_id])


def note_unknown_statuses(snapshots: Sequence[RaceSnapshot], *, now: datetime) -> None:
    """Lists each unmapped status once on its provider's row, and warns that once."""
    unknown = {(snapshot.provider, value) for snapshot in snapshots if (value := snapshot.unknown_status)}
    for provider, value in sorted(unknown):
        with transaction.atomic():
            state, _ = ProviderState.objects.select_for_update().get_or_create(name=provider)
            if value not in state.unknown_statuses:
                state.unknown_statuses[value] = now.isoformat()
                state.save(update_fields=["unknown_statuses"])
                logger.warning("%s sent the unknown status %r; the races keep theirs", provider, value)


def note_older_answers(provider: str, refused: int, *, now: datetime) -> None:
    """Counts on its provider's row the answers that were older than what is stored. Call it with no race locked."""
    if refused:
        state = ProviderState.objects.filter(name=provider)
        state.update(older_answers=F("older_answers") + refused, older_answer_at=now)
