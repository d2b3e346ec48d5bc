"""The poller of one race or of many: takes its claims, asks, stores what came back, finishes the logs, plans on.

No transaction is open while the provider is asked; everything that follows is in one.
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
from polling.fetching import Answer, Fetched
from polling.models import REQUESTS, PollLog, PollState, ProviderState, SkipReason, Trigger
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
OLDER = "the answer was older than what is stored, and was refused"
WHOLE = (*REQUESTS, Trigger.RECHECK.value)  # asked for their detail, whatever the policy


def run(log_ids: Sequence[int], *, now: datetime, finished: Callable[[], datetime] = clock.now) -> list[int]:
    """Polls the races of these claims; returns the races that answered. A claim taken already is left alone."""
    deadline = time.monotonic() + settings.POLL_REQUEST_DEADLINE.total_seconds()
    token = uuid.uuid4().hex
    logs = _take(log_ids, token=token, now=now)
    logs = _skip(logs, [log for log in logs if _is_stale(log, now=now)], SkipReason.STALE, now=now)
    # What was asked for first, and with staff's reserve: a claim of a batch may have become a request meanwhile.
    kinds = [(name, list(group)) for (name, _), group in groupby(sorted(logs, key=_kind_of), key=_kind_of)]
    fetched: list[tuple[str, Fetched]] = []
    for name, polls in kinds:
        # Also the retry of a look at a result: the status of a race that has ended tells nothing new.
        whole = {log.race_id for log in polls if log.trigger in WHOLE or log.race.is_finalized}
        budget = RequestBudget(name, _priority_of(polls, now=now), now)
        what = fetching.fetch(budget, [log.race for log in polls], whole=whole, now=now, deadline=deadline)
        fetched.append((name, what))
    if not logs:
        return []
    ended = finished()
    # Before the races are locked: whoever locks both takes the provider's row first.
    for name, what in fetched:
        with PROVIDER_NOTES.guard():  # what a provider's row cannot take must not cost the answers
            request_budget.record_answers(name, what.met, refused=what.refused, now=ended)
            note_unknown_statuses([answer.told for answer in what.answers.values() if answer.told], now=ended)
    answers = {race_id: answer for _, what in fetched for race_id, answer in what.answers.items()}
    return _settle(token, answers, now=ended)


def _kind_of(log: PollLog) -> tuple[str, bool]:
    return log.race.provider, log.trigger not in REQUESTS


def _take(log_ids: Sequence[int], *, token: str, now: datetime) -> list[PollLog]:
    """The claims that nobody has taken yet, so that a task delivered twice polls once."""
    mine = PollLog.objects.filter(pk__in=log_ids, state=PollState.CLAIMED.value)
    with transaction.atomic():
        found = list(mine.select_for_update().order_by("pk").values_list("pk", flat=True))
        PollLog.objects.filter(pk__in=found).update(
            state=PollState.RUNNING.value, run=token, started_at=now, lease_until=now + dispatch.run_lease()
        )
    return list(PollLog.objects.filter(run=token).select_related("race__meeting"))


def _priority_of(logs: Sequence[PollLog], *, now: datetime) -> Priority:
    """Polls of one kind: requests are not mixed with others, and dispatch does not mix urgent races and far ones."""
    if all(log.trigger in REQUESTS for log in logs):
        return Priority.FORCED
    return Priority.URGENT if any(is_urgent(log.race, now=now) for log in logs) else Priority.FAR


def _is_stale(log: PollLog, *, now: datetime) -> bool:
    """Whether a newer slot has begun, which has or will have a poll of its own. A request is never stale."""
    if log.trigger in WHOLE:
        return False
    newest = newest_slot(log.race, now=now)
    return newest is not None and newest > log.slot_at


def _skip(logs: list[PollLog], skipped: list[PollLog], reason: SkipReason, *, now: datetime) -> list[PollLog]:
    """Lets polls go, with the reason on their logs; returns the others."""
    if not skipped:
        return logs
    with transaction.atomic():
        dispatch.lock_races(log.race_id for log in skipped)
        PollLog.objects.filter(pk__in=[log.pk for log in skipped]).update(
            state=PollState.SKIPPED.value, reason=reason.value, finished_at=now
        )
        replan([log.race_id for log in skipped], now=now)
        _begin_waiting(skipped, now=now)
    return [log for log in logs if log not in skipped]


def _settle(token: str, answers: dict[int, Answer], *, now: datetime) -> list[int]:
    """Stores the answers and finishes the logs, of those claims that are still ours."""
    with transaction.atomic():
        own = PollLog.objects.filter(run=token, state=PollState.RUNNING.value)
        dispatch.lock_races(own.values_list("race", flat=True))
        logs = list(own.select_for_update(of=("self",)).select_related("race__meeting").order_by("pk"))
        told = {log.race_id: snapshot for log in logs if (snapshot := answers[log.race_id].told)}
        errors = {log.race_id: error for log in logs if (error := answers[log.race_id].error)}
        let_go = {log.race_id for log in logs if answers[log.race_id].skipped}
        changes = ingest.apply(told.values(), now=now)
        reversal_alerts.report(changes.reversals, now=now)
        ingest.request_detail([race_id for race_id in told if answers[race_id].owes_detail])
        for log in logs:
            _finish(log, answers[log.race_id], changed=log.race_id in changes.changed, now=now)
            log.message = log.message or (OLDER if log.race_id in changes.refused else "")
        write_fields(logs, FINISHED_FIELDS)
        Race.objects.filter(pk__in=told).update(last_poll_time=now)
        answered = told.keys() - errors.keys() - let_go
        Race.objects.filter(pk__in=answered).update(last_attempt_at=now, failures=0, last_error="")
        _count_failures([log.race for log in logs], errors, now=now)
        replan([log.race_id for log in logs], now=now)
        _begin_waiting(logs, now=now)
        if logs:
            transaction.on_commit(sync_queue.request_push, robust=True)
    for provider, refused in Counter(log.race.provider for log in logs if log.race_id in changes.refused).items():
        with PROVIDER_NOTES.guard():
            note_older_answers(provider, refused, now=now)
    _say(logs, told, errors, changes, now=now)
    return sorted(told.keys() - errors.keys() - let_go)


def _begin_waiting(ended: Sequence[PollLog], *, now: datetime) -> None:
    """Sends the polls that were asked for while these were running. Call it with their races locked."""
    if waited := dispatch.claim_waiting([log.race_id for log in ended], now=now, triggers=REQUESTS):
        transaction.on_commit(lambda: dispatch.send(waited, now=now), robust=True)


def _count_failures(races: Sequence[Race], errors: dict[int, PollingError], *, now: datetime) -> None:
    """A failure more for each race that has an error; a message where the provider no longer knows it."""
    by_class: dict[str, list[int]] = {}
    for race_id, error in errors.items():
        by_class.setdefault(type(error).__name__, []).append(race_id)
    for name, race_ids in by_class.items():
        failed = Race.objects.filter(pk__in=race_ids)
        failed.update(last_attempt_at=now, failures=F("failures") + 1, last_error=name)
    unknown_races.report([race for race in races if race.pk in errors], now=now)


FINISHED_FIELDS = [
    "state", "reason", "run", "started_at", "finished_at", "changed", "http_status", "error_class", "message", "sample",
    "starts_incident",
]  # fmt: skip


def _finish(log: PollLog, answer: Answer, *, changed: bool, now: datetime) -> None:
    log.finished_at, log.changed = now, changed
    error = answer.error
    if answer.lacks_tokens and not answer.told and log.trigger == Trigger.FOUND.value:
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


def note_unknown_statuses(told: Sequence[RaceSnapshot], *, now: datetime) -> None:
    """Lists each unmapped status once on its provider's row, and warns that once."""
    unknown = {(snapshot.provider, value) for snapshot in told if (value := snapshot.unknown_status)}
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


def _say(
    logs: list[PollLog],
    told: dict[int, RaceSnapshot],
    errors: dict[int, PollingError],
    changes: ingest.Changes,
    *,
    now: datetime,
) -> None:
    if told:
        logger.info("polled %d races, %d changed", len(told), len(changes.changed))
    # One line however many races: their provider's incident says the rest.
    if begun := [log for log in logs if log.starts_incident and log.race_id in errors]:
        others = f" and {len(begun) - 1} others" if len(begun) > 1 else ""
        logger.warning("%s%s: polls fail: %s", begun[0].race.name_at(now), others, errors[begun[0].race_id])
