"""Asks the queue for passes of the sync with Appwrite: one waits at a time, however many ask for it."""

from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.db.models import Q
from django_q.tasks import async_task

from polling import clock
from polling.dispatch import claim_lease
from polling.models import SyncLease

SYNC_SECONDS = 25  # a pull and a push, with an Appwrite that takes seconds to answer


class Errand(StrEnum):
    """A task of polling.tasks, and the mark that says it is waited for."""

    PUSH = "a push is asked for"
    PULL = "a pull is asked for"
    SYNC = "a pass is asked for"


def request_push() -> None:
    """Asks for a push to Appwrite, where there is one. Call it after the commit.

    A push that waits in the queue will see this change too: then no other one is queued.
    """
    if settings.APPWRITE_ENDPOINT and _asks_first(Errand.PUSH, now=clock.now()):
        _enqueue("polling.tasks.push")


def request_sync() -> None:
    """Asks for a whole pass, a pull and then a push, where there is an Appwrite."""
    if settings.APPWRITE_ENDPOINT and _asks_first(Errand.SYNC, now=clock.now()):
        _enqueue("polling.tasks.sync", timeout=SYNC_SECONDS)


def request_hinted_pull() -> None:
    """Asks for a look at the rows that Appwrite's webhook told of, unless one waits in the queue."""
    if _asks_first(Errand.PULL, now=clock.now()):
        _enqueue("polling.tasks.pull_hinted")


def begins(errand: Errand) -> None:
    """What comes from here on needs a task of its own. Call it before looking for what to do."""
    SyncLease.objects.filter(table=errand.value).update(held_until=None)


def _asks_first(errand: Errand, *, now: datetime) -> bool:
    """Whether no such task is waited for. One that does not begin in time is taken to be lost."""
    until = now + claim_lease()
    waited, is_new = SyncLease.objects.get_or_create(table=errand.value, defaults={"held_until": until})
    if is_new or (waited.held_until and waited.held_until > now):
        return is_new
    free = Q(held_until__isnull=True) | Q(held_until__lte=now)
    return bool(SyncLease.objects.filter(free, table=errand.value).update(held_until=until))


def _enqueue(task: str, **options: int) -> None:
    # Never in the lane of the races about to start, which a poller would otherwise send it to: its own.
    async_task(task, q_options={"cluster": settings.Q_CLUSTER["name"], "save": False, **options})
