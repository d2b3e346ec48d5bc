"""The pass over all races that finds changes nobody told of, such as those made in the database by hand."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, OuterRef, Subquery

from polling.appwrite import sync_state
from polling.appwrite.push.race_push import job_of
from polling.models import FullScan, SyncConflict, SyncState
from races.models import Race

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
BUDGET = timedelta(seconds=1)
CHUNK = 200


def run(*, now: datetime, budget: timedelta = BUDGET) -> int:
    """Makes races candidates for a push that differ from what was agreed; returns how many.

    Goes on where the last run ended, for as long as `budget`; a pass begins ten minutes after the last one ended.
    """
    if not settings.APPWRITE_ENDPOINT:
        return 0
    scan, _ = FullScan.objects.get_or_create(target=settings.APPWRITE_TARGET)
    if not scan.after_pk and scan.ended_at and now - scan.ended_at < EVERY:
        return 0
    deadline, found, more = time.monotonic() + budget.total_seconds(), 0, True
    while more:
        races = _after(scan.after_pk)
        found += _mark(races)
        at_end = len(races) < CHUNK
        scan.after_pk, scan.ended_at = (0, now) if at_end else (races[-1].pk, scan.ended_at)
        scan.save(update_fields=["after_pk", "ended_at"])
        more = not at_end and time.monotonic() < deadline
    if found:
        logger.info("%d races had changed past the sync; they are pushed now", found)
    return found


def _after(pk: int) -> list[Race]:
    races = Race.objects.filter(pk__gt=pk).order_by("pk")
    return list(races.select_related("meeting").prefetch_related("runners")[:CHUNK])


def _mark(races: Sequence[Race]) -> int:
    known = {state.local_pk: state for state in sync_state.states().filter(local_pk__in=[race.pk for race in races])}
    conflicts = SyncConflict.objects.filter(field="sync_version", state__in=known.values()).order_by("found_at")
    reported = {conflict.state_id: conflict for conflict in conflicts}
    differ = [
        race.pk
        for race in races
        if (state := known.get(race.pk)) and _differs(race, state) and not _is_awaited(race, state, reported)
    ]
    before = Race.objects.filter(pk=OuterRef("local_pk")).values(before=F("version") - 1)
    return sync_state.states().filter(local_pk__in=differ).update(pushed_version=Subquery(before)) if differ else 0


def _differs(race: Race, state: SyncState) -> bool:
    """Whether the race was taken for pushed, and is not. What a person or the sweep has to decide on is theirs."""
    if state.pushed_version < race.version or state.dead_since or state.remote_deleted_at:
        return False
    try:
        return job_of(race, state).differs
    except ValueError:  # the push says so, and gives it up
        return True


def _is_awaited(race: Race, state: SyncState, reported: Mapping[int | None, SyncConflict]) -> bool:
    """Whether the row knew more than we did: it stands until the provider has told us anew, if there is one."""
    above, conflict = state.base.get("sync_version") or 0, reported.get(state.pk)
    is_reported = conflict is not None and conflict.remote == above
    since = conflict.found_at if conflict and is_reported else state.synced_at
    # A race that was deleted here, and came back by its row, may have come to the row's version by a decision.
    knew_more = above > race.version or (state.base.get("last_poll_time") and race.last_poll_time is None)
    if not race.provider_race_id or not (is_reported or knew_more):
        return False
    return not (race.last_poll_time and since and race.last_poll_time > since)
