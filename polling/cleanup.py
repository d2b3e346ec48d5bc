"""The deletion of rows that are older than they are kept (`polling.retention` says how long that is).

A pass deletes small batches, each in a transaction of its own that holds SQLite's write lock for some hundredths of a
second, with a pause after each in which waiting writers get their turn. The tables take turns, and a table whose
deletion fails does not stop the others. What a pass leaves, the next one deletes.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_q.models import Task

from polling.appwrite.push.expired_races import expire_races
from polling.errors import error_text
from polling.models import Incident, PollLog, RetentionState, SyncConflict, SyncState, Tick
from polling.models.poll_log import OPEN_STATES
from races.models import Meeting, PriceChange, Race, Runner
from races.status import TERMINAL

logger = logging.getLogger(__name__)

PASS_BUDGET = timedelta(seconds=3)
BACKLOG_AFTER = timedelta(days=1)  # rows that are kept too long by more than this are a backlog
HOLD_SECONDS = 0.01  # how long a batch should hold the write lock
PAUSE_SECONDS = 0.05  # at least, after each batch; SQLite looks for the lock again within this time
SMALLEST_BATCH, FIRST_BATCH, LARGEST_BATCH = 20, 100, 900  # rows of a batch; SQLite takes 999 parameters in a statement

Keys = Collection[Any]


@dataclass(frozen=True, slots=True)
class OldRows:
    """How the old rows of one kind are found and deleted.

    `name` is the kind, for people; `kept_as` the name of its retention. `find` returns the rows that are older than an
    instant and may be deleted, oldest first, by an index; `age_field` says how old a row is. `delete` deletes some of
    them by their primary keys, in the transaction of its caller, and returns how many rows went, of whichever table.
    """

    name: str
    kept_as: str
    age_field: str
    find: Callable[[datetime], QuerySet[Any]]
    delete: Callable[[QuerySet[Any], Keys, datetime], int]

    @property
    def kept_for(self) -> timedelta:
        """How long rows are kept."""
        return settings.RETENTION[self.kept_as]


def _delete_rows(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """Deletes the rows of these keys that still may be deleted. Django's collector would read and follow each."""
    return rows.filter(pk__in=keys).order_by()._raw_delete(rows.db)


def _delete_poll_logs(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """Deletes poll logs; those that were retries of them remain, and refer to none."""
    PollLog.objects.filter(retry_of__in=keys).update(retry_of=None)
    return _delete_rows(rows, keys, now)


def _delete_races(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """Deletes what belongs to the oldest of these races, a batch at a time, and the races once nothing is left.

    The races are locked, so that nobody adds to them or opens them meanwhile; one that is in use is left for later.
    """
    oldest = rows.filter(pk__in=list(keys)[: max(1, len(keys) // 10)])
    races = list(oldest.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))
    if not races:
        return 0
    prices = PriceChange.objects.filter(runner__race__in=races).values_list("pk", flat=True)[: len(keys)]
    logs = PollLog.objects.filter(race__in=races).values_list("pk", flat=True)[: len(keys)]
    if found := list(prices):
        return _delete_rows(PriceChange.objects.all(), found, now)
    if found := list(logs):
        return _delete_poll_logs(PollLog.objects.all(), found, now)
    expire_races(races, now=now)
    Incident.objects.filter(race__in=races)._raw_delete(rows.db)
    runners = _delete_rows(Runner.objects.all(), Runner.objects.filter(race__in=races).values("pk"), now)
    return runners + _delete_rows(Race.objects.all(), races, now)


def _delete_sync_states(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """Deletes sync states; the conflicts of their rows remain, with the names that they keep of them."""
    SyncConflict.objects.filter(state__in=keys).update(state=None)
    return _delete_rows(rows, keys, now)


def _old_races(before: datetime) -> QuerySet[Race]:
    """Races that ended; one that was reopened, or has a claimed poll or an incident that goes on, is in use."""
    claims = PollLog.objects.filter(race=OuterRef("pk"), state__in=OPEN_STATES)
    disputes = Incident.objects.filter(race=OuterRef("pk"), ended_at=None)
    ended = Race.objects.filter(~Exists(claims), ~Exists(disputes), status__in=TERMINAL, finalized_at__lt=before)
    return ended.filter(advertised_start__lt=before).order_by("advertised_start")


def _old_meetings(before: datetime) -> QuerySet[Meeting]:
    """Meetings of which no race is left."""
    old = Q(racing_day__lt=before.date()) | Q(racing_day=None)
    return Meeting.objects.filter(old, ~Exists(Race.objects.filter(meeting=OuterRef("pk")))).order_by("racing_day")


def _sync_states_elsewhere(before: datetime) -> QuerySet[SyncState]:
    """Sync states of an Appwrite that is not configured any more; pushes remove the rows in the configured one."""
    marked = SyncState.objects.filter(expired_at__isnull=False, expired_at__lt=before)
    return marked.exclude(target=settings.APPWRITE_TARGET).order_by("expired_at")


# Every table that grows; each retention has at least one row here.
OLD_ROWS = (
    OldRows("ticks", "TICKS", "slot_at",
            lambda before: Tick.objects.filter(slot_at__lt=before).order_by("slot_at"), _delete_rows),
    OldRows("poll logs", "POLL_LOGS", "slot_at",
            lambda before: PollLog.objects.filter(~Q(state__in=OPEN_STATES), slot_at__lt=before).order_by("slot_at"),
            _delete_poll_logs),
    OldRows("price changes", "PRICES", "observed_at",
            lambda before: PriceChange.objects.filter(observed_at__lt=before).order_by("observed_at"), _delete_rows),
    OldRows("races", "RACES", "advertised_start", _old_races, _delete_races),
    OldRows("meetings", "RACES", "racing_day", _old_meetings, _delete_rows),
    OldRows("sync states of other Appwrite projects", "RACES", "expired_at",
            _sync_states_elsewhere, _delete_sync_states),
    OldRows("incidents", "INCIDENTS", "ended_at",
            lambda before: Incident.objects.filter(ended_at__lt=before).order_by("ended_at"), _delete_rows),
    OldRows("conflicts", "CONFLICTS", "resolved_at",
            lambda before: SyncConflict.objects.filter(resolved_at__lt=before).order_by("resolved_at"), _delete_rows),
    OldRows("decisions", "DECISIONS", "action_time",
            lambda before: LogEntry.objects.filter(action_time__lt=before).order_by("action_time"), _delete_rows),
    OldRows("sessions", "SESSIONS", "expire_date",
            lambda before: Session.objects.filter(expire_date__lt=before).order_by("expire_date"), _delete_rows),
    OldRows("queued tasks that ended", "TASKS", "stopped",
            lambda before: Task.objects.filter(stopped__lt=before).order_by("stopped"), _delete_rows),
)  # fmt: skip


@dataclass
class Deletion:
    """How far a pass has got with one kind of row, and its next batch's size."""

    old_rows: OldRows
    size: int = FIRST_BATCH
    deleted: int = 0
    error: str = ""

    def delete_batch(self, *, now: datetime) -> tuple[bool, float]:
        """Deletes one batch; says whether there may be more, and for how many seconds it held its transaction."""
        rows = self.old_rows.find(now - self.old_rows.kept_for)
        # Read before the transaction: on SQLite that takes the write lock at its beginning.
        keys = list(rows.values_list("pk", flat=True)[: self.size])
        if not keys:
            return False, 0.0
        began = time.monotonic()
        with transaction.atomic():
            gone = self.old_rows.delete(rows, keys, now)
        took = time.monotonic() - began
        self.deleted += gone
        self.size = max(SMALLEST_BATCH, min(LARGEST_BATCH, int(self.size * HOLD_SECONDS / max(took, 0.001))))
        return gone > 0, took


def run(*, now: datetime, budget: timedelta = PASS_BUDGET) -> dict[str, int]:
    """Makes one pass over all tables, for as long as the budget lasts; returns how many rows went, by kind.

    Every kind gets its first batch, so that a long backlog of one keeps no other waiting. An error is reported once
    and kept with its kind until that can be deleted again; it is not raised.
    """
    ends = time.monotonic() + budget.total_seconds()
    deletions = [Deletion(old_rows) for old_rows in OLD_ROWS]
    left = [deletion for deletion in deletions if _delete_some(deletion, now=now)]
    while left and time.monotonic() < ends:
        deletion = left.pop(0)
        if _delete_some(deletion, now=now):
            left.append(deletion)
    _report_problems({one.old_rows.name: one.error for one in deletions if one.error}, now=now)
    return {one.old_rows.name: one.deleted for one in deletions if one.deleted}


def _delete_some(deletion: Deletion, *, now: datetime) -> bool:
    """Deletes a batch, and pauses; whether there may be more. A kind that fails is left until the next pass."""
    try:
        more, took = deletion.delete_batch(now=now)
    except Exception as error:  # noqa: BLE001 - one table that fails must not stop the others
        deletion.error = error_text(error)
        if deletion.old_rows.name not in failures():
            logger.warning("old %s cannot be deleted", deletion.old_rows.name, exc_info=True)
        return False
    if took:
        time.sleep(max(PAUSE_SECONDS, 1.5 * took))
    return more


def _report_problems(errors: dict[str, str], *, now: datetime) -> None:
    """Stores what fails, and raises one alert when rows begin to wait for more than a day."""
    RetentionState.objects.get_or_create(pk=1)
    known, state = failures(), RetentionState.objects.filter(pk=1)
    if errors != known:
        state.update(errors=errors)
    for name in sorted(known.keys() - errors.keys()):
        logger.info("old %s can be deleted again", name)
    waiting = backlog(now=now)
    if waiting and state.filter(behind_since=None).update(behind_since=now):
        logger.error("old rows wait to be deleted: %s", "; ".join(waiting))
    if not waiting and state.filter(behind_since__isnull=False).update(behind_since=None):
        logger.info("no old rows wait to be deleted any more")


def backlog(*, now: datetime) -> list[str]:
    """The kinds of rows that are kept too long by more than a day, as lines with the date of the oldest row."""
    lines = []
    for kind in OLD_ROWS:
        rows = kind.find(now - kind.kept_for - BACKLOG_AFTER).filter(**{f"{kind.age_field}__isnull": False})
        for oldest in rows.values_list(kind.age_field, flat=True)[:1]:
            lines.append(f"{kind.name} of {oldest:%Y-%m-%d}, kept for {kind.kept_for.days} days")
    return lines


def failures() -> dict[str, str]:
    """The last error of each kind of row whose deletion fails, by the kind's name."""
    state = RetentionState.objects.filter(pk=1).first()
    return dict(state.errors) if state else {}
