"""What is known of the row of each race: what is still to push, what both sides agreed on, what failed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Collate, Upper

from polling.appwrite.mapping import Remote
from polling.errors import error_text
from polling.models import SyncState
from races.models import Race
from races.status import TERMINAL, RaceStatus

TABLE = "races"
KEY = ("target", "table", "local_pk")
NO_FAILURE: dict[str, Any] = {"attempts": 0, "next_try_at": None, "dead_since": None, "error": ""}
UNCHANGED = ("pushed_version", "synced_at", "undo_pending", *NO_FAILURE)
AGREED = ("remote_id", "base", "base_updated_at", "base_sequence", "sent", "remote_deleted_at", *UNCHANGED)
# A row that fails so many times, while other rows go, is given up. What fails with all others never is: an outage
# counts for no more than so many attempts.
MOST_ATTEMPTS = 20
MOST_ATTEMPTS_IN_OUTAGE = 9
# The last poll alone is written only for a race so near, and once a minute: polls do not come to the second.
POLL_TIME_WITHIN, POLL_TIME_EVERY = timedelta(hours=1), timedelta(seconds=50)
# Not "all but the terminal", which no index answers.
OPEN = [status.value for status in RaceStatus if status not in TERMINAL]
# A deletion in Appwrite that a sweep has found, and not acted upon yet.
DELETION_PENDING = Q(remote_deleted_at__isnull=False) & ~Q(base_updated_at="")


def states() -> QuerySet[SyncState]:
    """The rows of races in the configured Appwrite."""
    return SyncState.objects.filter(target=settings.APPWRITE_TARGET, table=TABLE)


def between(after: str, last: str | None) -> QuerySet[SyncState]:
    """The rows that a listing by `$id` has behind `after` and up to `last`; for Appwrite capitals do not matter."""
    plain = "C" if connection.vendor == "postgresql" else "BINARY"
    placed = states().annotate(place=Collate(Upper("remote_id"), plain)).filter(place__gt=after.upper())
    return placed if last is None else placed.filter(place__lte=last.upper())


def dirty(*, now: datetime, waiting: bool = False) -> QuerySet[Race]:
    """Races that may have something to push, what changed last first: a result does not wait behind a first load.

    With `waiting` also those whose next try is still to come.
    """
    tried = states().exclude(_is_held(now=now, waiting=waiting) | DELETION_PENDING)
    ahead = Race.objects.filter(pk=OuterRef("local_pk"), version__gt=OuterRef("pushed_version"))
    new = Race.objects.values("pk").difference(states().values("local_pk"))
    behind = tried.filter(Exists(ahead))
    quiet = tried.filter(
        synced_at__lte=now - POLL_TIME_EVERY, local_pk=OuterRef("pk"), synced_at__lt=OuterRef("last_poll_time")
    )
    near = Race.objects.filter(
        status__in=OPEN, advertised_start__lte=now + POLL_TIME_WITHIN, last_poll_time__isnull=False
    )
    # A list of keys, by small queries: asked of each race, the same reads the whole table of races.
    pks = new.union(behind.values("local_pk"), near.filter(Exists(quiet)).values("pk"), all=True)
    return Race.objects.filter(pk__in=pks).order_by(F("last_changed_at").desc(nulls_last=True), "pk")


def orphans(*, now: datetime, waiting: bool = False) -> QuerySet[SyncState]:
    """The rows of races that were deleted from Django; those that left by age are not among them."""
    return states().exclude(_is_held(now=now, waiting=waiting)).filter(~has_race(), expired_at=None).order_by("pk")


def _is_held(*, now: datetime, waiting: bool) -> Q:
    """A row that is given up, or not to be tried yet."""
    return Q(dead_since__isnull=False) | (Q() if waiting else Q(next_try_at__gt=now))


def new_state(race_id: int, row_id: str, **values: Any) -> SyncState:
    """A state that is not stored yet."""
    return SyncState(target=settings.APPWRITE_TARGET, table=TABLE, local_pk=race_id, remote_id=row_id, **values)


def agreed(race_id: int, remote: Remote, *, version: int, now: datetime) -> SyncState:
    """The state of a row on which both sides agree; not stored yet."""
    return new_state(
        race_id,
        remote.row_id,
        base=remote.values,
        base_updated_at=remote.updated_at,
        base_sequence=remote.sequence,
        pushed_version=version,
        synced_at=now,
        sent=None,
        remote_deleted_at=None,
        **NO_FAILURE,
    )


def unchanged(race_id: int, row_id: str, *, version: int, now: datetime) -> SyncState:
    """The state of a row that holds already what its race does; not stored yet."""
    return new_state(race_id, row_id, pushed_version=version, synced_at=now, **NO_FAILURE)


def save(found: Sequence[SyncState], fields: Iterable[str]) -> None:
    """Stores states; those that are there already in these fields alone, and in the order that all locks have."""
    found = sorted(found, key=lambda state: state.local_pk)
    SyncState.objects.bulk_create(found, update_conflicts=True, unique_fields=KEY, update_fields=list(fields))


def postpone(found: Sequence[SyncState], error: Exception, *, until: datetime, own: bool = False) -> None:
    """Notes one more failure on each row that still has the base it failed with; it is not tried before `until`.

    Failures that are the rows' `own`, and not of all, bring them nearer to being given up.
    """
    for state in found:
        attempts = state.attempts + 1
        state.attempts = attempts if own else max(state.attempts, min(attempts, MOST_ATTEMPTS_IN_OUTAGE))
        state.next_try_at, state.error = until, error_text(error)
    with transaction.atomic():
        save(_with_same_base(found), ("attempts", "next_try_at", "error"))


def mark_dead(state: SyncState, error: Exception, *, now: datetime, version: int | None = None) -> bool:
    """Gives a row up until staff act; whether it did.

    Not if its base, or the version of its race, is another than it failed with: that may be fit.
    """
    state.attempts, state.dead_since, state.error = state.attempts + 1, now, error_text(error)
    with transaction.atomic():
        same = version is None or Race.objects.filter(pk=state.local_pk, version=version).exists()
        found = _with_same_base([state]) if same else []
        save(found, ("attempts", "dead_since", "error"))
    return bool(found)


def is_given_up_for(error: Exception) -> bool:
    """Whether a row has been given up for the same reason, and nobody has acted yet."""
    return states().filter(dead_since__isnull=False, error=error_text(error)).exists()


def _with_same_base(found: Sequence[SyncState]) -> list[SyncState]:
    """The states whose base nobody has replaced since they were read, under locks."""
    bases = dict(lock_bases([state.local_pk for state in found]))
    return [state for state in found if bases.get(state.local_pk, "") == state.base_updated_at]


def clear_stale_failures(*, now: datetime) -> int:
    """Clears failures of rows that have nothing to push any more; returns how many.

    While they stood, the next failure would not be news.
    """
    retried = failing().filter(Q(next_try_at__isnull=True) | Q(next_try_at__lte=now))
    if not retried.exists():
        return 0
    known = retried.filter(has_race(), remote_deleted_at=None).exclude(base_updated_at="")
    return known.exclude(local_pk__in=dirty(now=now).order_by().values("pk")).update(**NO_FAILURE)


def delete_orphans_of(row_ids: Iterable[str]) -> None:
    """Deletes what is known of these rows by races that are gone: the same race has come back under another key."""
    states().filter(remote_id__in=list(row_ids)).exclude(local_pk__in=Race.objects.values("pk")).delete()


def has_race() -> Q:
    """The row's race is in Django."""
    return Q(Exists(Race.objects.filter(pk=OuterRef("local_pk"))))


def is_pushed() -> Q:
    """The row's race is in Django, and has not changed since the last push of it."""
    return Q(Exists(Race.objects.filter(pk=OuterRef("local_pk"), version__lte=OuterRef("pushed_version"))))


def is_missing() -> Q:
    """A sweep has found the row deleted in Appwrite, and will make it again."""
    return Q(dead_since=None) & DELETION_PENDING & has_race()


def is_waiting(*, now: datetime) -> Q:
    """The row's last push failed, and its next try is still to come."""
    tried = Q(dead_since=None, next_try_at__gt=now)
    return tried & ~is_missing() & ~is_pushed()


def has_failed(*, now: datetime) -> Q:
    """The row's last push failed and it is still to be pushed, whether its next try is due or still to come."""
    tried = Q(dead_since=None) & (Q(attempts__gt=0) | Q(next_try_at__gt=now))
    return tried & ~is_missing() & ~is_pushed()


def failing() -> QuerySet[SyncState]:
    """Rows whose last push failed and that are tried again."""
    return states().filter(attempts__gt=0, dead_since=None)


def most_attempts() -> int:
    """How often in a row pushes have failed, by the row that failed most."""
    return failing().aggregate(most=Max("attempts"))["most"] or 0


def lock_bases(race_ids: Iterable[int]) -> Iterable[tuple[int, str]]:
    """The races' rows and the `$updatedAt` of their bases, under locks taken in one order."""
    rows = states().filter(local_pk__in=list(race_ids)).order_by("local_pk").select_for_update()
    return rows.values_list("local_pk", "base_updated_at")


def requeue_dead(chosen: QuerySet[SyncState] | None = None) -> int:
    """Lets rows that were given up, all or those chosen, be tried again; returns how many."""
    given_up = (states() if chosen is None else chosen).filter(dead_since__isnull=False)
    return given_up.update(**NO_FAILURE)


def clear_waits() -> None:
    """Lets rows that wait for a later try be tried at once."""
    states().filter(next_try_at__isnull=False).update(next_try_at=None)
