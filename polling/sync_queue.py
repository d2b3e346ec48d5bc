"""Queued tasks of the sync with Appwrite: one of each kind waits in the queue at a time, however many ask for it."""

from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django_q.tasks import async_task

from polling import clock
from polling.dispatch import claim_lease
from polling.models import QueuedTask

SYNC_SECONDS = 25  # a pull and a push, with an Appwrite that takes seconds to answer
PUSH, SYNC, NOTIFIED_PULL = "polling.tasks.push", "polling.tasks.sync", "polling.tasks.pull_notified_rows"


def request_push() -> None:
    """Queues a push to Appwrite, where there is one. Call it after the commit.

    A push that waits in the queue already will find this change too: then no other one is queued.
    """
    if settings.APPWRITE_ENDPOINT:
        _enqueue_once(PUSH, now=clock.now())


def request_sync() -> None:
    """Queues a pull and then a push, as one task, where there is an Appwrite and no such task waits."""
    if settings.APPWRITE_ENDPOINT:
        _enqueue_once(SYNC, now=clock.now(), timeout=SYNC_SECONDS)


def request_notified_pull() -> None:
    """Queues a pull of the rows that Appwrite's webhook reported, unless such a task waits."""
    _enqueue_once(NOTIFIED_PULL, now=clock.now())


def begin(task: str) -> None:
    """Notes that a task begins: what is requested from here on is queued again. Call it before looking for work."""
    QueuedTask.objects.filter(task=task).update(waits_until=None)


def _enqueue_once(task: str, *, now: datetime, **options: int) -> None:
    if _is_first_request(task, now=now):
        # Never in the pool of the races about to start, which a poller would otherwise send it to: its own.
        async_task(task, q_options={"cluster": settings.Q_CLUSTER["name"], "save": False, **options})


def _is_first_request(task: str, *, now: datetime) -> bool:
    """Whether no such task waits. One that does not begin in time is taken to be lost."""
    until = now + claim_lease()
    known, is_new = QueuedTask.objects.get_or_create(task=task, defaults={"waits_until": until})
    if is_new or (known.waits_until and known.waits_until > now):
        return is_new
    free = Q(waits_until__isnull=True) | Q(waits_until__lte=now)
    return bool(QueuedTask.objects.filter(free, task=task).update(waits_until=until))
