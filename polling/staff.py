"""What staff and commands can do to races: each decides, plans on, and asks for a push to Appwrite.

Edits in Appwrite become decisions by `polling.appwrite.field_decisions`.

Every function takes the primary keys of races, and returns those of the races that it changed, in one transaction. `by`
and `reason` go into the audit entry.
"""

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


def force_poll(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Polls races at once; returns those that are being polled: none while all polling is paused."""
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
    return _end_or_reopen(race_ids, decisions.finalize, by=by, reason=reason, outcome=outcome, now=now)


def reopen(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Reopens races that have ended: they are polled again, and what the provider reports counts again."""
    return _end_or_reopen(race_ids, decisions.reopen, by=by, reason=reason, now=now)


def pause(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Stops polling these races."""
    return _decide_and_replan(partial(decisions.pause, race_ids, by=by, reason=reason, now=now), now=now)


def resume(race_ids: Iterable[int], *, by: Actor, reason: str = "", now: datetime) -> list[int]:
    """Polls these races again."""
    return _decide_and_replan(partial(decisions.resume, race_ids, by=by, reason=reason, now=now), now=now)


def annotate(race_ids: Iterable[int], *, note: str, by: Actor, now: datetime) -> list[int]:
    """Sets staff's note of these races."""
    return _decide_and_replan(partial(decisions.annotate, race_ids, note=note, by=by, now=now), now=now)


def _end_or_reopen(
    race_ids: Iterable[int], decide: Callable[..., list[int]], *, by: Actor, now: datetime, **options: Any
) -> list[int]:
    """Carries out a decision about the end of races, which settles their disputes with the provider."""
    chosen = list(race_ids)
    with transaction.atomic():
        changed = _decide_and_replan(partial(decide, chosen, by=by, now=now, **options), now=now)
        disputes.settle(chosen, by=by.username, now=now)
    return changed


def _decide_and_replan(decide: Callable[[], list[int]], *, now: datetime) -> list[int]:
    with transaction.atomic():
        changed = decide()
        replan(changed, now=now)
        if changed:
            transaction.on_commit(sync_queue.request_push, robust=True)
    return changed
