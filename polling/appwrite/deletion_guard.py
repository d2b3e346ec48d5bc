"""Rows deleted in Appwrite whose race is here, and rows to delete there: the guard stops either when they are many.

A sweep finds deletions, and so does a push that would change such a row; the push creates the row again. When more are
gone than usual none is recreated, and when more are to go than usual none is deleted, until staff have looked.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q, QuerySet

from polling.appwrite import checkpoints, conflicts, row_compare
from polling.appwrite.api.rows import MOST_ROWS, Rows, batches
from polling.appwrite.merge import Clash, Side
from polling.appwrite.sync_state import DELETION_PENDING, TABLE, orphans, states
from polling.models import SyncConflict, SyncState
from races.models import Race

FEW, PERCENT = 20, 5
RECREATED = "deleted in Appwrite, but the race is here: recreated"
MOST_CONFIRMED = 5 * MOST_ROWS
NEVER_WRITTEN = Q(base_updated_at="", sent__isnull=True)  # nor tried: Appwrite has no such row
FOUND, TO_GO = "were deleted since the last sweep", "are to go, as their races are gone from Django"


def excess(deletions: int, what: str = FOUND) -> str:
    """Why staff must look first, in words, as so many rows `what`; empty where these are no more than usual."""
    known = states().exclude(base_updated_at="").count()
    limit = max(FEW, known * PERCENT // 100)
    return f"{deletions} of {known} rows {what}, more than {limit}" if deletions > limit else ""


# --- rows deleted in Appwrite -----------------------------------------------------------------------------------------


def pending_deletions() -> QuerySet[SyncState]:
    """Deletions that were found and not acted upon, of races that are here. Until then nothing of them is pushed."""
    return states().filter(DELETION_PENDING, local_pk__in=Race.objects.values("pk"))


def excess_pending(*, since: datetime | None) -> str:
    """Why staff must look before the pending deletions, those found `since` an instant, are acted upon."""
    pending = pending_deletions()
    return excess((pending.filter(remote_deleted_at__gte=since) if since else pending).count())


def note_deletions(missing: Iterable[SyncState], *, now: datetime) -> None:
    """Keeps that these rows are missing, but not of a row that was agreed on again since its state was read."""
    fresh = [state for state in missing if state.base_updated_at and state.remote_deleted_at is None]
    as_read = [Q(pk=state.pk, base_updated_at=state.base_updated_at) for state in fresh]
    if as_read:
        states().filter(reduce(or_, as_read), remote_deleted_at=None).update(remote_deleted_at=now)


def may_recreate(missing: Sequence[SyncState], rows: Rows, *, now: datetime) -> bool:
    """Whether rows that a push has found missing may be recreated: it asks first how many are missing in all.

    Where more are gone than usual the guard holds all of them, which a sweep would find one by one, and logs it once.
    Raises the PollingError of a listing that cannot be read; nothing is recreated then.
    """
    if checkpoints.are_deletions_held(TABLE):
        note_deletions(missing, now=now)
        return False
    unseen = [state for page in row_compare.pages(rows, after="") for state in page.unseen]
    there = rows.by_id(state.remote_id for state in unseen[:MOST_CONFIRMED])  # a second look, at the first of very many
    gone = [*missing, *(state for state in unseen if state.remote_id not in there)]
    # What is pending already has been counted, and released since.
    fresh = {state.pk: state for state in gone if state.remote_deleted_at is None}
    # Rows deleted little by little are counted together.
    swept_at = checkpoints.checkpoint_of(TABLE).swept_at
    recreated = SyncConflict.objects.filter(state__in=states(), field="$id", policy=RECREATED)
    why = excess(len(fresh) + (recreated.filter(found_at__gt=swept_at) if swept_at else recreated).count())
    if why:
        for some in batches(fresh.values(), MOST_ROWS):
            note_deletions(some, now=now)
        checkpoints.hold_deletions(TABLE, why)
    return not why


def request_recreation(state: SyncState, *, now: datetime) -> bool:
    """Lets the push create a race's row again, as an edit wins over a deletion.

    Returns whether it did: not where the race is gone too, or the state is no longer what it was read as.
    """
    same = states().filter(base_updated_at=state.base_updated_at, remote_deleted_at=state.remote_deleted_at)
    with transaction.atomic():
        found = same.select_for_update().filter(pk=state.pk, local_pk__in=Race.objects.values("pk")).first()
        if found is None:
            return False
        row = found.remote_id
        conflicts.log(found, [Clash("$id", row, row, None, Side.LOCAL, RECREATED)], now=now)
        found.base, found.base_updated_at, found.base_sequence, found.sent = {}, "", "", None
        found.pushed_version = 0
        found.save(update_fields=["base", "base_updated_at", "base_sequence", "sent", "pushed_version"])
    return True


# --- rows to delete in Appwrite ---------------------------------------------------------------------------------------


def rows_to_delete(*, now: datetime, waiting: bool = False) -> QuerySet[SyncState]:
    """Rows that Appwrite may have of races deleted from Django; with `waiting` also those whose next try is to come."""
    return orphans(now=now, waiting=waiting).exclude(NEVER_WRITTEN)


def excess_to_delete(*, now: datetime) -> str:
    """Why staff must look before rows are deleted; counts each row once, so that a released guard lets it go."""
    fresh = rows_to_delete(now=now).filter(remote_deleted_at=None)
    return excess(fresh.update(remote_deleted_at=now), TO_GO)
