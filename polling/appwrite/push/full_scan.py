"""The scan over all races that finds changes nobody reported, such as those made in the database by hand."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, OuterRef, Subquery

from polling.appwrite import sync_state
from polling.appwrite.push.race_push import RacePush, pushes_of
from polling.models import FullScan, SyncConflict
from races.models import Race

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
BUDGET = timedelta(seconds=1)
CHUNK = 200


def run(*, now: datetime, budget: timedelta = BUDGET) -> int:
    """Makes races candidates for a push that differ from what was agreed; returns how many.

    Goes on where the last run ended, for as long as `budget`; a scan begins ten minutes after the last one ended.
    """
    if not settings.APPWRITE_ENDPOINT:
        return 0
    scan, _ = FullScan.objects.get_or_create(target=settings.APPWRITE_TARGET)
    if not scan.after_pk and scan.ended_at and now - scan.ended_at < EVERY:
        return 0
    deadline, found, more = time.monotonic() + budget.total_seconds(), 0, True
    while more:
        races = Race.objects.filter(pk__gt=scan.after_pk).order_by("pk")
        pushes = pushes_of(races.select_related("meeting").prefetch_related("runners")[:CHUNK])
        found += _mark_differing(pushes)
        at_end = len(pushes) < CHUNK
        scan.after_pk, scan.ended_at = (0, now) if at_end else (pushes[-1].race.pk, scan.ended_at)
        scan.save(update_fields=["after_pk", "ended_at"])
        more = not at_end and time.monotonic() < deadline
    if found:
        logger.info("%d races had changed past the sync; they are pushed now", found)
    return found


def _mark_differing(pushes: Sequence[RacePush]) -> int:
    """Makes those candidates that are taken for pushed, and are not."""
    known = [push.state.pk for push in pushes if push.state.pk]
    conflicts = SyncConflict.objects.filter(field="sync_version", state__in=known).order_by("found_at")
    reported = {conflict.state_id: conflict for conflict in conflicts}
    differ = []
    for push in pushes:
        # What a person or the sweep has to decide on is theirs; a race that no row can hold is given up by the push.
        is_theirs = push.state.dead_since or push.state.remote_deleted_at
        is_taken_for_pushed = push.state.pk and not is_theirs and push.state.pushed_version >= push.race.version
        if is_taken_for_pushed and (push.problem or push.differences) and not _awaits_poll(push, reported):
            differ.append(push.race.pk)
    before = Race.objects.filter(pk=OuterRef("local_pk")).values(before=F("version") - 1)
    return sync_state.states().filter(local_pk__in=differ).update(pushed_version=Subquery(before)) if differ else 0


def _awaits_poll(push: RacePush, reported: Mapping[int | None, SyncConflict]) -> bool:
    """Whether the row knew more than we did: it stands until the provider has answered again, if there is one."""
    race, state = push.race, push.state
    above, conflict = state.base.get("sync_version") or 0, reported.get(state.pk)
    is_reported = conflict is not None and conflict.remote == above
    since = conflict.found_at if conflict and is_reported else state.synced_at
    # A race that was deleted here, and came back by its row, may have come to the row's version by a decision.
    knew_more = above > race.version or (state.base.get("last_poll_time") and race.last_poll_time is None)
    if not race.provider_race_id or not (is_reported or knew_more):
        return False
    return not (race.last_poll_time and since and race.last_poll_time > since)
