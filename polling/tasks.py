"""The tasks that django-q2 runs, named by path in schedules.py, dispatch.py and sync_queue.py.

Each reads the clock, calls what does the work, and asks for a push where that is due; no rule stands here.
"""

import logging
from collections.abc import Sequence

from django_q.exceptions import TimeoutException

from polling import cleanup, clock, importing, pollers, sync_queue, tick
from polling.appwrite.pull import run as appwrite_pull
from polling.appwrite.push import full_scan
from polling.appwrite.push import run as appwrite_push
from polling.appwrite.sweep import run as appwrite_sweep
from polling.appwrite.webhook import change_notifications, watch
from polling.monitoring import overdue_races, ping

logger = logging.getLogger(__name__)


def master_tick() -> None:
    """Runs the master tick, at every step of the wall clock, in the cluster's sentinel: nothing may escape."""
    try:
        tick.run(now=clock.now())
    except (Exception, TimeoutException):  # noqa: BLE001 - an escape would end the sentinel, and with it all ticks
        logger.exception("the master tick failed")


def poll_race(log_id: int) -> list[int]:
    """Polls the race of one claim; returns its primary key, if it answered."""
    return pollers.run([log_id], now=clock.now())


def poll_races(log_ids: Sequence[int]) -> list[int]:
    """Polls the races of many claims; returns the primary keys of those that answered."""
    return pollers.run(log_ids, now=clock.now())


def import_schedule() -> None:
    """Imports the card of every provider."""
    importing.import_all(now=clock.now())


def push() -> None:
    """Sends what changed to Appwrite."""
    sync_queue.begin(sync_queue.PUSH)
    if appwrite_push.run(now=clock.now()).unfinished:
        sync_queue.request_push()


def scan_for_changes() -> None:
    """Looks for races that changed past the sync, so that they are pushed too."""
    if full_scan.run(now=clock.now()):
        sync_queue.request_push()


def sync() -> None:
    """Pulls what changed in Appwrite, then pushes; after a pull that failed the next one pushes."""
    sync_queue.begin(sync_queue.SYNC)
    if not appwrite_pull.run(now=clock.now()).error:
        push()


def sweep() -> None:
    """Compares every row in Appwrite with what is known of it; what is left to write is pushed."""
    swept = appwrite_sweep.run(now=clock.now())
    if swept.changed or swept.deleted or swept.logs:
        sync_queue.request_push()


def pull_notified_rows() -> None:
    """Looks at the rows that Appwrite's webhook reported; what is not theirs to change is undone at once."""
    sync_queue.begin(sync_queue.NOTIFIED_PULL)
    if appwrite_pull.run(row_ids=change_notifications.take(), now=clock.now()).changed:
        sync_queue.request_push()


def watch_webhook() -> None:
    """Looks whether Appwrite still calls its webhook."""
    watch.run(now=clock.now())


def flag_overdue_races() -> None:
    """Flags races that started long ago and have not ended."""
    overdue_races.escalate(now=clock.now())


def ping_monitor() -> None:
    """Pings an outside monitor, if there is one, while ticks come on time."""
    ping.ping_monitor(now=clock.now())


def delete_old_rows() -> None:
    """Deletes rows that are older than they are kept, as many as one pass has time for."""
    cleanup.run(now=clock.now())
