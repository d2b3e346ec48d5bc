"""What staff, commands and Appwrite can do to races: decide, plan on, and tell Appwrite."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from django.db import transaction

from polling import dispatch, errands
from polling.models import Trigger
from polling.planning import replan
from races import decisions
from races.decisions import Actor
from races.models import Race


def _then_replan(decide: Callable[[], list[int]], *, now: datetime) -> list[int]:
    with transaction.atomic():
        changed = decide()
        replan(changed, now=now)
        if changed:
            transaction.on_commit(errands.request_push, robust=True)
    return changed


def force_poll(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Polls races at once; returns those that are being polled, which none is while all polling is paused."""
    with transaction.atomic():
        races = list(Race.objects.filter(pk__in=list(race_ids)))
        logs = dispatch.force(races, trigger=Trigger.FORCED, requested_by=by.username, now=now)
        polled = [log.race_id for log in logs]
        decisions.record_forced_poll(polled, by=by, reason=reason)
    return polled


def finalize(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Ends races; returns those that had not ended."""
    return _then_replan(partial(decisions.finalize, race_ids, by=by, reason=reason, now=now), now=now)


def reopen(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Takes the end back; the races are polled again."""
    return _then_replan(partial(decisions.reopen, race_ids, by=by, reason=reason, now=now), now=now)


def pause(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Stops polling of races."""
    return _then_replan(partial(decisions.pause, race_ids, by=by, reason=reason, now=now), now=now)


def resume(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Polls races again."""
    return _then_replan(partial(decisions.resume, race_ids, by=by, reason=reason, now=now), now=now)


def annotate(race_ids: Iterable[int], *, note: str, by: Actor, now: datetime) -> list[int]:
    """Sets the note."""
    return _then_replan(partial(decisions.annotate, race_ids, note=note, by=by, now=now), now=now)
