"""What staff, commands and Appwrite can do to races: decide, plan on, and tell Appwrite."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from polling import dispatch, disputes, sync_queue
from polling.models import Trigger
from polling.planning import replan
from races import decisions
from races.decisions import Actor
from races.models import Race
from races.status import Outcome


def _then_replan(decide: Callable[[], list[int]], *, now: datetime) -> list[int]:
    with transaction.atomic():
        changed = decide()
        replan(changed, now=now)
        if changed:
            transaction.on_commit(sync_queue.request_push, robust=True)
    return changed


def force_poll(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Polls races at once; returns those that are being polled, which none is while all polling is paused."""
    with transaction.atomic():
        races = list(Race.objects.filter(pk__in=list(race_ids)))
        logs = dispatch.force(races, trigger=Trigger.FORCED, requested_by=by.username, now=now)
        polled = [log.race_id for log in logs]
        decisions.record_forced_poll(polled, by=by, reason=reason)
    return polled


def finalize(
    race_ids: Iterable[int], *, by: Actor, reason: str, outcome: Outcome | None = None, now: datetime
) -> list[int]:
    """Ends races, or changes how they ended; returns those that changed. A dispute with the provider is settled."""
    return _settle(race_ids, decisions.finalize, by=by, reason=reason, outcome=outcome, now=now)


def reopen(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Takes the end back; the races are polled again, and what the provider reports counts again."""
    return _settle(race_ids, decisions.reopen, by=by, reason=reason, now=now)


def _settle(
    race_ids: Iterable[int], decide: Callable[..., list[int]], *, by: Actor, now: datetime, **options: Any
) -> list[int]:
    chosen = list(race_ids)
    with transaction.atomic():
        changed = _then_replan(partial(decide, chosen, by=by, now=now, **options), now=now)
        disputes.settle(chosen, by=by.username, now=now)
    return changed


def pause(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Stops polling of races."""
    return _then_replan(partial(decisions.pause, race_ids, by=by, reason=reason, now=now), now=now)


def resume(race_ids: Iterable[int], *, by: Actor, reason: str = "", now: datetime) -> list[int]:
    """Polls races again."""
    return _then_replan(partial(decisions.resume, race_ids, by=by, reason=reason, now=now), now=now)


def annotate(race_ids: Iterable[int], *, note: str, by: Actor, now: datetime) -> list[int]:
    """Sets the note."""
    return _then_replan(partial(decisions.annotate, race_ids, note=note, by=by, now=now), now=now)
