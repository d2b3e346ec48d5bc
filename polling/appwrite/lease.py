"""Who may push a table or sweep: one at a time, on any database, with no transaction open meanwhile."""

import time
import uuid
from datetime import datetime, timedelta

from django.db.models import Q

from polling.models import SyncLease

HOLDS_FOR = timedelta(seconds=60)
SWEEP = "sweep"


def push_of(table: str) -> str:
    """The work that a push of a table is."""
    return f"push of {table}"


class Lease:
    """The lease of a piece of work. It is taken and renewed by an UPDATE whose row count decides."""

    def __init__(self, work: str, *, now: datetime) -> None:
        self._work = work
        self._holder = uuid.uuid4().hex
        self._began, self._started = now, time.monotonic()

    def now(self) -> datetime:
        """The present instant of the run: its own, and the time elapsed since."""
        return self._began + timedelta(seconds=time.monotonic() - self._started)

    def take(self) -> bool:
        """Whether it is ours now: nobody holds it, nor is it to wait after a failure."""
        SyncLease.objects.get_or_create(work=self._work)
        return self._update_holder(Q(held_until__isnull=True) | Q(held_until__lte=self.now()))

    def renew(self) -> bool:
        """Whether it is ours still."""
        return self._update_holder(Q(holder=self._holder))

    def _update_holder(self, condition: Q) -> bool:
        free = SyncLease.objects.filter(condition, work=self._work)
        return bool(free.update(holder=self._holder, held_until=self.now() + HOLDS_FOR))

    def release(self, *, wait: timedelta | None = None) -> None:
        """Gives it back; with `wait` nobody takes it before that, because the server failed."""
        until = None if wait is None else self.now() + wait
        SyncLease.objects.filter(work=self._work, holder=self._holder).update(holder="", held_until=until)


def clear_wait(work: str) -> None:
    """Lets the work begin at once, where nobody holds its lease."""
    SyncLease.objects.filter(work=work, holder="").update(held_until=None)
