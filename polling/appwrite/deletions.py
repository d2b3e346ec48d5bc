"""Rows deleted in Appwrite whose race is here: found by a sweep, and made again at its end."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from polling.appwrite.merge import Side
from polling.appwrite.states import DELETION_PENDING, states
from polling.models import SyncConflict, SyncState
from races.models import Race

FEW, PERCENT = 20, 5


def pending() -> QuerySet[SyncState]:
    """Deletions that were found and not acted upon, of races that are here. Until then nothing of them is pushed."""
    return states().filter(DELETION_PENDING, local_pk__in=Race.objects.values("pk"))


def find(found: Iterable[SyncState], *, now: datetime) -> None:
    """Notes deletions. A row that was agreed on anew meanwhile is none."""
    for state in found:
        same = states().filter(pk=state.pk, base_updated_at=state.base_updated_at, remote_deleted_at=None)
        same.exclude(base_updated_at="").update(remote_deleted_at=now)


def too_many(*, since: datetime | None) -> str:
    """Why a person must look before anything is done, in words; empty where there are no more than usual."""
    found = pending().filter(remote_deleted_at__gte=since) if since else pending()
    return beyond_the_limit(found.count())


def beyond_the_limit(deletions: int) -> str:
    """The same, for a number of deletions."""
    known = states().exclude(base_updated_at="").count()
    limit = max(FEW, known * PERCENT // 100)
    if deletions <= limit:
        return ""
    return f"{deletions} of {known} rows were deleted since the last sweep, more than {limit}"


def make_again(found: SyncState, *, now: datetime) -> bool:
    """Lets the push write the race's row anew, since an edit beats a deletion; whether it was still deleted."""
    with transaction.atomic():
        state = pending().select_for_update().filter(pk=found.pk, base_updated_at=found.base_updated_at).first()
        if state is None:
            return False
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
    return True
