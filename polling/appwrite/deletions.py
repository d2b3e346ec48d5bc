"""Rows deleted in Appwrite, and rows whose race was deleted here: found by a sweep, acted upon at its end."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from polling.appwrite.arrivals import Arrivals
from polling.appwrite.merge import Side
from polling.appwrite.rows import Rows
from polling.appwrite.states import DELETION_PENDING, forget, states
from polling.errors import Conflict, NotFound
from polling.models import SyncConflict, SyncState
from races.models import Race

logger = logging.getLogger(__name__)

FEW, PERCENT = 20, 5


def pending() -> QuerySet[SyncState]:
    """Deletions that were found and not acted upon, on either side. Until then nothing of them is pushed."""
    return states().filter(DELETION_PENDING)


def find(found: Iterable[SyncState], *, now: datetime) -> None:
    """Notes deletions. A row that was agreed on anew meanwhile is none."""
    for state in found:
        same = states().filter(pk=state.pk, base_updated_at=state.base_updated_at, remote_deleted_at=None)
        same.exclude(base_updated_at="").update(remote_deleted_at=now)


def too_many(*, since: datetime) -> str:
    """Why a person must look before anything is done, in words; empty where there are no more than usual."""
    return beyond_the_limit(pending().filter(remote_deleted_at__gte=since).count())


def beyond_the_limit(deletions: int) -> str:
    """The same, for a number of deletions."""
    known = states().exclude(base_updated_at="").count()
    limit = max(FEW, known * PERCENT // 100)
    if deletions <= limit:
        return ""
    return f"{deletions} of {known} rows were deleted since the last sweep, more than {limit}"


def act(some: Sequence[SyncState], rows: Rows, arrivals: Arrivals, *, now: datetime) -> None:
    """A race that is here is pushed anew, since an edit beats a deletion; a row whose race is gone is deleted."""
    alive = set(Race.objects.filter(pk__in=[state.local_pk for state in some]).values_list("pk", flat=True))
    for state in some:
        if state.local_pk in alive:
            _make_again(state, now=now)
        else:
            _remove(state, rows, arrivals)


def _make_again(found: SyncState, *, now: datetime) -> None:
    with transaction.atomic():
        state = pending().select_for_update().filter(pk=found.pk, base_updated_at=found.base_updated_at).first()
        if state is None:
            return
        state.base, state.base_updated_at, state.base_sequence, state.pushed_version = {}, "", "", 0
        state.save(update_fields=["base", "base_updated_at", "base_sequence", "pushed_version"])
        SyncConflict.objects.create(
            state=state,
            field="$id",
            base=state.remote_id,
            local=state.remote_id,
            chosen=Side.LOCAL.value,
            policy="deleted in Appwrite, but the race is here: made again",
            found_at=now,
        )


def _remove(state: SyncState, rows: Rows, arrivals: Arrivals) -> None:
    """With compare-and-set: whoever changed the row since gets the race back. A race that came back takes the row."""
    keep = _is_back(state)
    try:
        if not keep:
            rows.delete(state.remote_id, base_updated_at=state.base_updated_at)
            logger.info("row %s was deleted: its race is gone", state.remote_id)
    except NotFound:
        pass
    except Conflict:
        keep = True
    forget([state])
    if keep:
        for row in rows.by_id([state.remote_id]).values():
            arrivals.meet(row)


def _is_back(state: SyncState) -> bool:
    """Whether the same race of the provider exists under another key."""
    provider, race_id = state.base.get("provider"), state.base.get("provider_race_id")
    return bool(race_id) and Race.objects.filter(provider=provider, provider_race_id=race_id).exists()
