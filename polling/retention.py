"""How long rows are kept, and the deletion of those that are older.

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

BUDGET = timedelta(seconds=3)
GRACE = timedelta(days=1)  # rows that are older than their age by more than this are a backlog
HOLD_SECONDS = 0.01  # how long a batch should hold the write lock
PAUSE_SECONDS = 0.05  # at least, after each batch; SQLite looks for the lock again within this time
SMALLEST, FIRST, LARGEST = 20, 100, 900  # rows of a batch; SQLite takes 999 parameters in a statement

Keys = Collection[Any]


@dataclass(frozen=True, slots=True)
class Retention:
    """The age of one kind of row.

    `rows` returns those that are older than an instant and may be deleted, oldest first, by an index; `age` is the
    column that says how old a row is. `delete` deletes some of them by their keys, in the transaction of its caller,
    and returns how many rows went, whichever table they were in.
    """

    what: str
    setting: str
    age: str
    rows: Callable[[datetime], QuerySet[Any]]
    delete: Callable[[QuerySet[Any], Keys, datetime], int]

    @property
    def kept(self) -> timedelta:
        """How long rows are kept."""
        return settings.RETENTION[self.setting]


def _delete_rows(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """Deletes the rows of these keys that still may be deleted. Django's collector would read and follow each."""
    return rows.filter(pk__in=keys).order_by()._raw_delete(rows.db)


def _delete_poll_logs(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """The polls that were retries of these remain and refer to none."""
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


def _delete_states(rows: QuerySet[Any], keys: Keys, now: datetime) -> int:
    """The conflicts of these rows remain, with the words that they keep of them."""
    SyncConflict.objects.filter(state__in=keys).update(state=None)
    return _delete_rows(rows, keys, now)


def _poll_logs(before: datetime) -> QuerySet[PollLog]:
    return PollLog.objects.filter(~Q(state__in=OPEN_STATES), slot_at__lt=before).order_by("slot_at")


def _races(before: datetime) -> QuerySet[Race]:
    """Those that ended; a race that was reopened, or has a claimed poll or an incident that goes on, is in use."""
    claims = PollLog.objects.filter(race=OuterRef("pk"), state__in=OPEN_STATES)
    disputes = Incident.objects.filter(race=OuterRef("pk"), ended_at=None)
    ended = Race.objects.filter(~Exists(claims), ~Exists(disputes), status__in=TERMINAL, finalized_at__lt=before)
    return ended.filter(advertised_start__lt=before).order_by("advertised_start")


def _meetings(before: datetime) -> QuerySet[Meeting]:
    """Those that no race is left of."""
    old = Q(racing_day__lt=before.date()) | Q(racing_day=None)
    return Meeting.objects.filter(old, ~Exists(Race.objects.filter(meeting=OuterRef("pk")))).order_by("racing_day")


def _incidents(before: datetime) -> QuerySet[Incident]:
    return Incident.objects.filter(ended_at__lt=before).order_by("ended_at")


def _conflicts(before: datetime) -> QuerySet[SyncConflict]:
    return SyncConflict.objects.filter(resolved_at__lt=before).order_by("resolved_at")


def _rows_elsewhere(before: datetime) -> QuerySet[SyncState]:
    """What is known of rows in an Appwrite that is not configured any more; pushes remove those in the present one."""
    marked = SyncState.objects.filter(expired_at__isnull=False, expired_at__lt=before)
    return marked.exclude(target=settings.APPWRITE_TARGET).order_by("expired_at")


# Every table that grows, and the setting that says for how many days its rows are kept: RETENTION_<setting>_DAYS.
RETENTIONS = (
    Retention("ticks", "TICKS", "slot_at",
              lambda before: Tick.objects.filter(slot_at__lt=before).order_by("slot_at"), _delete_rows),
    Retention("poll logs", "POLL_LOGS", "slot_at", _poll_logs, _delete_poll_logs),
    Retention("price changes", "PRICES", "observed_at",
              lambda before: PriceChange.objects.filter(observed_at__lt=before).order_by("observed_at"), _delete_rows),
    Retention("races", "RACES", "advertised_start", _races, _delete_races),
    Retention("meetings", "RACES", "racing_day", _meetings, _delete_rows),
    Retention("sync states of other Appwrite projects", "RACES", "expired_at", _rows_elsewhere, _delete_states),
    Retention("incidents", "INCIDENTS", "ended_at", _incidents, _delete_rows),
    Retention("conflicts", "CONFLICTS", "resolved_at", _conflicts, _delete_rows),
    Retention("decisions", "DECISIONS", "action_time",
              lambda before: LogEntry.objects.filter(action_time__lt=before).order_by("action_time"), _delete_rows),
    Retention("sessions", "SESSIONS", "expire_date",
              lambda before: Session.objects.filter(expire_date__lt=before).order_by("expire_date"), _delete_rows),
    Retention("queued tasks that ended", "TASKS", "stopped",
              lambda before: Task.objects.filter(stopped__lt=before).order_by("stopped"), _delete_rows),
)  # fmt: skip


@dataclass
class _Work:
    """What a pass still has to do for one kind of row."""

    retention: Retention
    size: int = FIRST
    deleted: int = 0
    error: str = ""

    def step(self, *, now: datetime) -> tuple[bool, float]:
        """Deletes one batch; says whether there may be more, and for how many seconds it held its transaction."""
        rows = self.retention.rows(now - self.retention.kept)
        # Read before the transaction: on SQLite that takes the write lock at its beginning.
        keys = list(rows.values_list("pk", flat=True)[: self.size])
        if not keys:
            return False, 0.0
        began = time.monotonic()
        with transaction.atomic():
            gone = self.retention.delete(rows, keys, now)
        took = time.monotonic() - began
        self.deleted += gone
        self.size = max(SMALLEST, min(LARGEST, int(self.size * HOLD_SECONDS / max(took, 0.001))))
        return gone > 0, took


def run(*, now: datetime, budget: timedelta = BUDGET) -> dict[str, int]:
    """One pass over all tables, for as long as the budget lasts; returns how many rows went, by kind.

    Every kind gets its first batch, so that a long backlog of one keeps no other waiting.
    """
    ends = time.monotonic() + budget.total_seconds()
    works = [_Work(retention) for retention in RETENTIONS]
    left = [work for work in works if _stepped(work, now=now)]
    while left and time.monotonic() < ends:
        work = left.pop(0)
        if _stepped(work, now=now):
            left.append(work)
    _report({work.retention.what: work.error for work in works if work.error}, now=now)
    return {work.retention.what: work.deleted for work in works if work.deleted}


def _stepped(work: _Work, *, now: datetime) -> bool:
    """Whether there may be more of its kind; a kind that fails is left until the next pass."""
    try:
        more, took = work.step(now=now)
    except Exception as error:  # noqa: BLE001 - one table that fails must not stop the others
        work.error = error_text(error)
        if work.retention.what not in failures():
            logger.warning("old %s cannot be deleted", work.retention.what, exc_info=True)
        return False
    if took:
        time.sleep(max(PAUSE_SECONDS, 1.5 * took))
    return more


def _report(errors: dict[str, str], *, now: datetime) -> None:
    """Remembers what fails, and raises one alert when rows begin to wait for more than a day."""
    RetentionState.objects.get_or_create(pk=1)
    known, state = failures(), RetentionState.objects.filter(pk=1)
    if errors != known:
        state.update(errors=errors)
    for what in sorted(known.keys() - errors.keys()):
        logger.info("old %s can be deleted again", what)
    waiting = backlog(now=now)
    if waiting and state.filter(behind_since=None).update(behind_since=now):
        logger.error("old rows wait to be deleted: %s", "; ".join(waiting))
    if not waiting and state.filter(behind_since__isnull=False).update(behind_since=None):
        logger.info("no old rows wait to be deleted any more")


def backlog(*, now: datetime) -> list[str]:
    """The kinds of rows that have exceeded their age by more than a day, each with its oldest row's instant."""
    lines = []
    for retention in RETENTIONS:
        rows = retention.rows(now - retention.kept - GRACE).filter(**{f"{retention.age}__isnull": False})
        for oldest in rows.values_list(retention.age, flat=True)[:1]:
            lines.append(f"{retention.what} of {oldest:%Y-%m-%d}, kept for {retention.kept.days} days")
    return lines


def failures() -> dict[str, str]:
    """The last error of each kind of row whose deletion fails."""
    state = RetentionState.objects.filter(pk=1).first()
    return dict(state.errors) if state else {}
