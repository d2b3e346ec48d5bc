"""Second-exact scheduling on django-q2's public `broker_class` setting.

django-q2 looks at its schedules every 30 s, hard coded. But the cluster's sentinel calls `set_stat` of its
broker once per guard cycle (0.5 s), between its own checks: there, at every tick of the wall clock, these
brokers call django-q2's own scheduler(), and let the watchdog check the pool.

No tick and no poll needs the statistics that `set_stat` stores: neither an error nor a slow disk may hold those.
"""

import contextlib
import logging
import time
from typing import Any, ClassVar

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django_q.brokers import Broker
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

from polling import clock, schedules, tasks
from polling.monitoring import heartbeat
from polling.monitoring.lasting_problem import LastingProblem
from polling.worker import watchdog
from polling.worker.ticker import Ticker

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.5  # a guard cycle: what takes longer delays the next one
RETRY_SECONDS = 15.0


class TickScheduler:
    """Mixed into a broker; runs in the sentinel, single-threaded. Nothing escapes from `set_stat`: django-q2 would
    write a line for it at every cycle, twice a second."""

    statistics_problem: ClassVar = "the cluster's statistics cannot be stored; ticks and polls go on"
    statistics_prove_the_queue: ClassVar = False
    cache: Any

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)  # type: ignore[call-arg] # the broker's
        self._ticker: Ticker | None = None
        self._schedules_lie_ahead = False
        self._store_after = 0.0
        self._statistics = LastingProblem(logger, self.statistics_problem)
        self._broken_schedules = LastingProblem(logger, "the queue's schedules cannot be run")

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Fires the schedules if a tick falls into this cycle, and stores the cluster's statistics."""
        stat: Any = SignedPackage.loads(value)
        running = stat.status in (Conf.IDLE, Conf.WORKING)  # not while the cluster starts or stops
        watchdog.check(stat, running=running)
        if self.statistics_prove_the_queue:
            self._store_statistics(key, value, timeout)
        if running and Conf.SCHEDULER:
            self._tick_if_due(fires=not (self.statistics_prove_the_queue and self._statistics.lasts))
        if not self.statistics_prove_the_queue and time.monotonic() >= self._store_after:
            self._store_statistics(key, value, timeout)

    @staticmethod
    def get_cache() -> Any:
        """The cache of the statistics; None where it cannot be opened, which only `set_stat` minds."""
        with contextlib.suppress(OSError):
            return Broker.get_cache()
        return None

    def dequeue(self) -> list[tuple[Any, Any]] | None:
        """Fetches tasks as django-q2 does, in the pusher; the watchdog sees when it begins and ends."""
        watchdog.record_fetch()
        try:
            found: list[tuple[Any, Any]] | None = super().dequeue()  # type: ignore[misc] # the broker's
        finally:
            watchdog.record_fetch()
        return found

    def _store_statistics(self, key: str, value: str, timeout: int) -> None:
        """Stores them as django-q2 does; after an error, or where it is slow, again only after RETRY_SECONDS."""
        began = time.monotonic()
        with self._statistics.guard():
            if self.cache is None:
                self.cache = Broker.get_cache()
            super().set_stat(key, value, timeout)  # type: ignore[misc] # the broker's
        ended = time.monotonic()
        if self._statistics.lasts or ended - began > SLOW_SECONDS:
            self._store_after = ended + RETRY_SECONDS

    def _tick_if_due(self, *, fires: bool) -> None:
        """Waits for a tick that falls into this cycle, reports that ticks are overdue, and runs the schedules.

        With `fires` off (the queue is away, so nothing could be sent) nothing is run and the tick stays due.
        """
        if self._ticker is None:
            self._ticker = Ticker(settings.POLL_TICK.total_seconds())
        if self._ticker.reset_if_set_back(_wall_seconds(), time.monotonic()):
            self._schedules_lie_ahead = True
        if self._schedules_lie_ahead:
            with contextlib.suppress(AnyDatabaseError):  # which the scheduler is about to report
                schedules.move_back(now=clock.now())
                self._schedules_lie_ahead = False
        wait = self._ticker.wait(_wall_seconds())
        if wait <= Conf.GUARD_CYCLE:
            time.sleep(max(0.0, wait))
            # Before the tick, which may end the pause that is to be reported.
            with contextlib.suppress(AnyDatabaseError):
                heartbeat.alert_if_overdue(now=clock.now())
            if fires:
                self._ticker.advance(_wall_seconds())
                self._run_schedules()

    def _run_schedules(self) -> None:
        """One pass of django-q2's scheduler, which a single broken row undoes; the tick is then run without it."""
        fired_at = clock.now()
        scheduler(broker=self)
        with contextlib.suppress(AnyDatabaseError):  # which the scheduler has just reported
            if schedules.is_tick_due(now=fired_at):
                if self._broken_schedules.begins():
                    logger.error(
                        "the queue's schedules cannot be run, so the tick is run without them; is a row broken?"
                    )
                tasks.master_tick()
            else:
                self._broken_schedules.end()


def _wall_seconds() -> float:
    return clock.now().timestamp()


class OrmBroker(TickScheduler, ORM):  # type: ignore[misc]
    """The queue in the database: the embedded default."""


class RedisBroker(TickScheduler, Redis):  # type: ignore[misc]
    """The queue in Redis, which takes the statistics too: where it refuses them it takes no task either."""

    statistics_problem = "the queue in Redis takes nothing; no tick is run until it does"
    statistics_prove_the_queue = True
