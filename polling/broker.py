"""Second-exact scheduling on django-q2's public `broker_class` setting.

django-q2 looks at its schedules every 30 s, hard coded. But the cluster's sentinel calls `set_stat` of its
broker once per guard cycle (0.5 s), between its own checks: there, at every tick of the wall clock, these
brokers call django-q2's own scheduler(), and let the watchdog look.
"""

import contextlib
import time
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

from polling import clock, pulse, schedules, watchdog
from polling.metronome import Metronome


class TickScheduler:
    """Mixed into a broker; runs in the sentinel, single-threaded."""

    _metronome: Metronome | None = None
    _rows_lie_ahead = False

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Stores the cluster's figures as django-q2 does, and fires the schedules if a tick falls into this cycle."""
        stat: Any = SignedPackage.loads(value)
        running = stat.status in (Conf.IDLE, Conf.WORKING)  # not while the cluster starts or stops
        watchdog.look(stat, running=running)
        is_here = False
        try:
            super().set_stat(key, value, timeout)  # type: ignore[misc] # the broker's
            is_here = True
        finally:
            if running and Conf.SCHEDULER:
                self._keep_time(fires=is_here)

    def dequeue(self) -> list[tuple[Any, Any]] | None:
        """Fetches tasks as django-q2 does; in the pusher, and the watchdog hears of it."""
        watchdog.note_fetching()
        try:
            found: list[tuple[Any, Any]] | None = super().dequeue()  # type: ignore[misc] # the broker's
        finally:
            watchdog.note_fetching()
        return found

    def _keep_time(self, *, fires: bool) -> None:
        """While the broker is away nothing fires, since nothing could be sent; the tick stays due, and that is said."""
        if self._metronome is None:
            self._metronome = Metronome(settings.POLL_TICK.total_seconds())
        if self._metronome.is_set_anew(_wall(), time.monotonic()):
            self._rows_lie_ahead = True
        if self._rows_lie_ahead:
            schedules.move_back(now=clock.now())
            self._rows_lie_ahead = False
        wait = self._metronome.wait(_wall())
        if wait <= Conf.GUARD_CYCLE:
            time.sleep(max(0.0, wait))
            # Before the tick, which may end the pause that is to be said.
            with contextlib.suppress(DatabaseTrouble):  # of which the scheduler is about to complain
                pulse.alert_if_overdue(now=clock.now())
            if fires:
                self._metronome.move_on(_wall())
                scheduler(broker=self)


def _wall() -> float:
    return clock.now().timestamp()


class OrmBroker(TickScheduler, ORM):  # type: ignore[misc]
    """The queue in the database: the embedded default."""


class RedisBroker(TickScheduler, Redis):  # type: ignore[misc]
    """The queue in Redis."""
