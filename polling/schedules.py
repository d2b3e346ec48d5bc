"""The django-q2 Schedule rows that racepoll runs by."""

import logging
from ast import literal_eval
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from croniter import croniter
from django.apps import AppConfig
from django.conf import settings
from django_q.models import Schedule

from polling import clock
from polling.sync_queue import SYNC_SECONDS

logger = logging.getLogger(__name__)

MASTER_TICK = "master tick"

RETIRED = ("prune old records",)  # rows of earlier versions, whose functions are gone


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule: cron fields are minute hour day month weekday second."""

    name: str
    func: str
    cron: str
    kwargs: str = "{'q_options': {'save': False}}"


def rows() -> list[Row]:
    """The table. The master tick runs in the sentinel itself (`sync`), so that no slow poll can starve it."""
    step = settings.POLL_TICK.seconds
    every_tick = f"* * * * * */{step}" if step < 60 else "* * * * * 0"
    in_sentinel = "{'q_options': {'sync': True, 'save': False, 'timeout': 10}}"
    # The card of a great day takes longer than a poll may.
    patient = "{'q_options': {'save': False, 'timeout': 40}}"
    two_way = f"{{'q_options': {{'save': False, 'timeout': {SYNC_SECONDS}}}}}"
    return [
        Row(MASTER_TICK, "polling.tasks.master_tick", every_tick, in_sentinel),
        Row("sync with Appwrite", "polling.tasks.sync", "* * * * * */15", two_way),
        Row("sweep Appwrite", "polling.tasks.sweep", _every(settings.APPWRITE_SWEEP_MINUTES), patient),
        Row("look for changes past the sync", "polling.tasks.scan_for_changes", "* * * * * 40"),
        Row("watch Appwrite's webhook", "polling.tasks.watch_webhook", "*/5 * * * * 35"),
        Row("import the card", "polling.tasks.import_schedule", "*/5 * * * * 5", patient),
        Row("flag races that do not end", "polling.tasks.flag_overdue_races", "*/5 * * * * 20"),
        Row("ping the monitor", "polling.tasks.ping_monitor", "* * * * * 10"),
        Row("delete old rows", "polling.tasks.delete_old_rows", "*/2 * * * * 25", patient),
    ]


def _every(minutes: int) -> str:
    """Less than an hour in minutes, from there on in whole hours."""
    return f"*/{minutes} * * * * 50" if minutes < 60 else f"0 */{minutes // 60} * * * 50"


def longest_timeout() -> int:
    """The seconds that a task of the queue may take, be it the slowest of the table."""
    options: list[dict[str, int]] = [literal_eval(row.kwargs)["q_options"] for row in rows()]
    return max(one.get("timeout", settings.POLL_TASK_TIMEOUT.seconds) for one in options)


def ensure() -> None:
    """Makes the rows as the table says. Idempotent; `next_run` is kept where the cron is as it was."""
    now = clock.now()
    Schedule.objects.filter(name__in=RETIRED).delete()
    for row in rows():
        wanted: dict[str, Any] = {"func": row.func, "cron": row.cron, "kwargs": row.kwargs, "repeats": -1}
        wanted |= {"schedule_type": Schedule.CRON}
        known = Schedule.objects.filter(name=row.name).first()
        # A row whose cron changed, or that a clock set back has left far ahead, starts anew.
        if known is None or known.cron != row.cron or (known.next_run or now) > now + timedelta(days=1):
            wanted["next_run"] = now
        Schedule.objects.update_or_create(name=row.name, defaults=wanted)


def names() -> set[str]:
    """The rows that are racepoll's own."""
    return {row.name for row in rows()}


def first_tick_at() -> datetime | None:
    """When the master tick is to run next: while there has been none, its first. None where its row is missing."""
    next_run: datetime | None = Schedule.objects.filter(name=MASTER_TICK).values_list("next_run", flat=True).first()
    return next_run


def is_tick_due(*, now: datetime) -> bool:
    """Whether the master tick's row was due before `now`; False where there is no such row."""
    return bool(Schedule.objects.filter(name=MASTER_TICK, next_run__lt=now).exists())


def move_back(*, now: datetime) -> int:
    """Brings back rows that a clock, set back since, left further ahead than their next instant; says how many."""
    moved = 0
    for row in Schedule.objects.filter(schedule_type=Schedule.CRON, next_run__gt=now):
        try:
            following = croniter(row.cron, now).get_next(datetime)
        except ValueError:  # a cron that somebody mistyped is its own row's trouble alone
            continue
        if row.next_run > following:
            moved += Schedule.objects.filter(pk=row.pk, next_run=row.next_run).update(next_run=following)
    if moved:
        logger.warning("%d schedules lay too far ahead, as after a clock that was set back", moved)
    return moved


def after_migrate(sender: AppConfig, **_: object) -> None:
    """The receiver of post_migrate. Waits for django-q2's own tables, which are made last."""
    if sender.name in ("polling", "django_q") and Schedule._meta.db_table in _tables():
        ensure()


def _tables() -> list[str]:
    from django.db import connection

    return connection.introspection.table_names()
