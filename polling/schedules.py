"""The django-q2 Schedule rows that racepoll runs by."""

import logging
from ast import literal_eval
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from croniter import croniter
from django.apps import AppConfig
from django.conf import settings
from django.db import connection
from django_q.models import Schedule

from polling import clock
from polling.sync_queue import SYNC_SECONDS

logger = logging.getLogger(__name__)

MASTER_TICK = "master tick"
TICK_SECONDS = 10  # the tick's timeout
LONG_SECONDS = 40  # the timeout of what takes longer than a poll may: the card of a great day, a sweep, a deletion


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A row of django-q2's table of schedules; the cron fields are minute hour day month weekday second."""

    name: str
    func: str
    cron: str
    kwargs: str = "{'q_options': {'save': False}}"


def rows() -> list[ScheduleRow]:
    """All rows. The master tick runs in the sentinel itself (`sync`), so that no slow poll can keep it waiting."""
    step = settings.POLL_TICK.seconds
    every_tick = f"* * * * * */{step}" if step < 60 else "* * * * * 0"
    in_sentinel = f"{{'q_options': {{'sync': True, 'save': False, 'timeout': {TICK_SECONDS}}}}}"
    long = f"{{'q_options': {{'save': False, 'timeout': {LONG_SECONDS}}}}}"
    sweep = settings.APPWRITE_SWEEP_MINUTES  # from an hour on, whole hours
    every_sweep = f"*/{sweep} * * * * 50" if sweep < 60 else f"0 */{sweep // 60} * * * 50"
    two_way = f"{{'q_options': {{'save': False, 'timeout': {SYNC_SECONDS}}}}}"
    return [
        ScheduleRow(MASTER_TICK, "polling.tasks.master_tick", every_tick, in_sentinel),
        ScheduleRow("sync with Appwrite", "polling.tasks.sync", "* * * * * */15", two_way),
        ScheduleRow("sweep Appwrite", "polling.tasks.sweep", every_sweep, long),
        ScheduleRow("look for changes past the sync", "polling.tasks.scan_for_changes", "* * * * * 40"),
        ScheduleRow("watch Appwrite's webhook", "polling.tasks.watch_webhook", "*/5 * * * * 35"),
        ScheduleRow("import the card", "polling.tasks.import_schedule", "*/5 * * * * 5", long),
        ScheduleRow("flag races that do not end", "polling.tasks.flag_overdue_races", "*/5 * * * * 20"),
        ScheduleRow("ping the monitor", "polling.tasks.ping_monitor", "* * * * * 10"),
        ScheduleRow("delete old rows", "polling.tasks.delete_old_rows", "*/2 * * * * 25", long),
    ]


def longest_timeout() -> int:
    """The seconds that the slowest task of the queue may take."""
    options: list[dict[str, int]] = [literal_eval(row.kwargs)["q_options"] for row in rows()]
    return max(one.get("timeout", settings.POLL_TASK_TIMEOUT.seconds) for one in options)


def ensure() -> None:
    """Writes the rows as `rows` has them. Idempotent; `next_run` is kept where the cron is as it was."""
    now = clock.now()
    for row in rows():
        values: dict[str, Any] = {"func": row.func, "cron": row.cron, "kwargs": row.kwargs, "repeats": -1}
        values |= {"schedule_type": Schedule.CRON}
        known = Schedule.objects.filter(name=row.name).first()
        # A row whose cron changed, or that a clock set back has left far ahead, is due now.
        if known is None or known.cron != row.cron or (known.next_run or now) > now + timedelta(days=1):
            values["next_run"] = now
        Schedule.objects.update_or_create(name=row.name, defaults=values)


def names() -> set[str]:
    """The names of racepoll's own rows; there may be others."""
    return {row.name for row in rows()}


def first_tick_at() -> datetime | None:
    """When the master tick is to run next: while there has been none, its first. None where its row is missing."""
    next_run: datetime | None = Schedule.objects.filter(name=MASTER_TICK).values_list("next_run", flat=True).first()
    return next_run


def is_tick_due(*, now: datetime) -> bool:
    """Whether the master tick's row was due before `now`; False where there is no such row."""
    return bool(Schedule.objects.filter(name=MASTER_TICK, next_run__lt=now).exists())


def move_back(*, now: datetime) -> int:
    """Moves rows that a clock, set back since, left further ahead than their next instant; returns how many."""
    moved = 0
    for row in Schedule.objects.filter(schedule_type=Schedule.CRON, next_run__gt=now):
        try:
            following = croniter(row.cron, now).get_next(datetime)
        except ValueError:  # a cron that somebody mistyped stops its own row alone
            continue
        if row.next_run > following:
            moved += Schedule.objects.filter(pk=row.pk, next_run=row.next_run).update(next_run=following)
    if moved:
        logger.warning("%d schedules lay too far ahead, as after a clock that was set back", moved)
    return moved


def after_migrate(sender: AppConfig, **_: object) -> None:
    """Receives post_migrate and writes the rows, once django-q2's own tables are there, which are made last."""
    if sender.name in ("polling", "django_q") and Schedule._meta.db_table in connection.introspection.table_names():
        ensure()
