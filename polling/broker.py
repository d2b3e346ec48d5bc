"""Second-exact scheduling on django-q2's public `broker_class` setting.

django-q2 looks at its schedules every 30 s, hard coded. But the cluster's sentinel calls `set_stat` of its
broker once per guard cycle (0.5 s), between its own checks: there, at every slot of the wall clock, these
brokers call django-q2's own scheduler().
"""

import time
from typing import Any

from django.conf import settings
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

GRACE = 0.02  # scheduler() takes rows with next_run strictly before its own now


class SlotScheduler:
    """Mixed into a broker; runs in the sentinel, single-threaded."""

    _slot: float | None = None

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Stores the cluster's figures as django-q2 does, and fires the schedules if a slot begins in this cycle."""
        super().set_stat(key, value, timeout)  # type: ignore[misc]
        now = time.time()
        step = settings.POLL_TICK.total_seconds()
        # The first slot, and a clock that was set back by more than a step.
        if self._slot is None or self._slot - now > step:
            self._slot = (now // step + 1) * step
        wait = self._slot + GRACE - now
        if wait > Conf.GUARD_CYCLE or not Conf.SCHEDULER or not _is_running(value):
            return
        time.sleep(max(0.0, wait))
        self._slot = (time.time() // step + 1) * step
        scheduler(broker=self)


def _is_running(value: str) -> bool:
    """Not while the cluster starts or stops."""
    stat: Any = SignedPackage.loads(value)
    return stat.status in (Conf.IDLE, Conf.WORKING)


class OrmBroker(SlotScheduler, ORM):  # type: ignore[misc]
    """The queue in the database: the embedded default."""


class RedisBroker(SlotScheduler, Redis):  # type: ignore[misc]
    """The queue in Redis."""
