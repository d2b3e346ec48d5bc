"""Rows deleted in Appwrite whose race is here: found by a sweep, or by a push that would change them, and made again.

The deletion guard stands before both: when more rows are gone than usual, none is made again until a person has looked.
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
MADE_AGAIN = "deleted in Appwrite, but the race is here: made again"
MOST_CONFIRMED = 5 * MOST_ROWS
NEVER_WRITTEN = Q(base_updated_at="", sent__isnull=True)  # nor tried: Appwrite has no such row
FOUND, TO_GO = "were deleted since the last sweep", "are to go, as their races are gone from Django"


def pending() -> QuerySet[SyncState]:
    """Deletions that were found and not acted upon, of races that are here. Until then nothing of them is pushed."""
    return states().filter(DELETION_PENDING, local_pk__in=Race.objects.values("pk"))


def find(found: Iterable[SyncState], *, now: datetime) -> None:
    """Notes deletions. A row that was agreed on anew meanwhile is none."""
    fresh = [state for state in found if state.base_updated_at and state.remote_deleted_at is None]
    as_read = [Q(pk=state.pk, base_updated_at=state.base_updated_at) for state in fresh]
    if as_read:
        states().filter(reduce(or_, as_read), remote_deleted_at=None).update(remote_deleted_at=now)


def too_many(*, since: datetime | None) -> str:
    """Why a person must look before anything is done, in words; empty where there are no more than usual."""
    found = pending().filter(remote_deleted_at__gte=since) if since else pending()
    return beyond_the_limit(found.count())


def beyond_the_limit(deletions: int, what: str = FOUND) -> str:
    """The same, for a number of deletions, and what came or is to come of their rows."""
    known = states().exclude(base_updated_at="").count()
    limit = max(FEW, known * PERCENT // 100)
    if deletions <= limit:
        return ""
    return f"{deletions} of {known} rows {what}, more than {limit}"


def rows_to_delete(*, now: datetime, waiting: bool = False) -> QuerySet[SyncState]:
    """Rows that Appwrite may have of races deleted from Django; with `waiting` also those whose next try is to come."""
    return orphans(now=now, waiting=waiting).exclude(NEVER_WRITTEN)


def too_many_to_go(*, now: datetime) -> str:
    """The same, for rows whose races were deleted in Django, of those that nobody has counted so far."""
    fresh = rows_to_delete(now=now).filter(remote_deleted_at=None)
    return beyond_the_limit(fresh.update(remote_deleted_at=now), TO_GO)


def may_make_again(found: Sequence[SyncState], rows: Rows, *, now: datetime) -> bool:
    """Whether rows that a push has found missing may be made again: it asks first how many are missing in all.

    Where more are gone than usual the guard holds all of them, which a sweep would find one by one, and says so once.
    Raises the PollingError of a listing that cannot be read; nothing is made again then.
    """
    if checkpoints.are_deletions_held(TABLE):
        find(found, now=now)
        return False
    # What is pending already has been counted, and released since.
    missing = {state.pk: state for state in (*found, *_missing(rows)) if state.remote_deleted_at is None}
    why = beyond_the_limit(len(missing) + _made_again_since_the_sweep())
    if why:
        for some in batches(missing.values(), MOST_ROWS):
            find(some, now=now)
        checkpoints.hold_deletions(TABLE, why)
    return not why


def _missing(rows: Rows) -> list[SyncState]:
    """All rows that are gone; of very many only the first are looked for a second time."""
    unseen = [state for page in row_compare.pages(rows, after="") for state in page.unseen]
    there = rows.by_id(state.remote_id for state in unseen[:MOST_CONFIRMED])
    return [state for state in unseen if state.remote_id not in there]


def _made_again_since_the_sweep() -> int:
    """So that rows deleted little by little are counted together."""
    swept_at = checkpoints.checkpoint_of(TABLE).swept_at
    made = SyncConflict.objects.filter(state__in=states(), field="$id", policy=MADE_AGAIN)
    return (made.filter(found_at__gt=swept_at) if swept_at else made).count()


def make_again(known: QuerySet[SyncState], *, base_updated_at: str, now: datetime) -> bool:
    """Lets the push write a race's row anew, since an edit beats a deletion; whether it was still agreed on so."""
    with transaction.atomic():
        state = known.select_for_update().filter(base_updated_at=base_updated_at).first()
        if state is None:
            return False
        row = state.remote_id
        conflicts.log(state, [Clash("$id", row, row, None, Side.LOCAL, MADE_AGAIN)], now=now)
        state.base, state.base_updated_at, state.base_sequence, state.sent = {}, "", "", None
        state.pushed_version = 0
        state.save(update_fields=["base", "base_updated_at", "base_sequence", "sent", "pushed_version"])
    return True
