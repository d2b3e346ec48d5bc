"""What the sentinel of a worker pool checks once per cycle: deaths and queues that django-q2 does not survive.

A process that waits at a queue holds the queue's lock, and one that is killed never gives it back: the others then
wait for ever, all of them alive. The sentinel ends itself; its children die with it and the supervisor starts the
pool again. Without a supervisor (a bare cluster) nothing here acts.
"""

import contextlib
import logging
import multiprocessing
import os
import time
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any

from django_q.conf import Conf
from django_q.signals import post_execute, pre_execute

logger = logging.getLogger(__name__)

BEGIN_WITHIN = 10.0  # beyond the timeout of a task, which may be in all workers' hands
SAVE_WITHIN = 15.0
FETCH_WITHIN = 15.0  # a pusher whose broker is away stands still for 10 s before it ends
EXIT_CODE = 70
IDLE = -1.0


class Mark(IntEnum):
    """What the processes of the pool mark with the instant of its last occurrence, as places in shared memory."""

    TASK_BEGUN = 0
    RESULT_SAVED = 1
    FETCHED = 2


class Role(StrEnum):
    """What a child of the sentinel is for."""

    WORKER = "worker"
    MONITOR = "monitor"
    PUSHER = "pusher"


@dataclass(frozen=True, slots=True)
class Death:
    """A child that ended. `timer` is django-q2's: busy above 0, -1 idle, 0 timed out, -2 recycled."""

    role: Role
    exitcode: int
    timer: float = IDLE


def fatal_reason(death: Death) -> str:
    """Why the pool cannot go on after this death; empty where django-q2 replaces the process and goes on."""
    if death.exitcode >= 0:
        return ""
    if death.role is Role.MONITOR:
        return "the monitor was killed"
    if death.role is Role.WORKER and death.timer == IDLE:
        return "an idle worker was killed"
    return ""


@dataclass(slots=True)
class QueueFlow:
    """Whether what waits at one end of a queue is taken at the other, in time; `limit` in seconds."""

    limit: float
    _waiting_since: float | None = None

    def is_stuck(self, waiting: int, *, last: float, now: float) -> bool:
        """Whether something has waited all the time, and nothing was taken since `last`, for longer than the limit."""
        if waiting <= 0:
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        return now - max(self._waiting_since, last) > self.limit


@dataclass(slots=True)
class Watchdog:
    """What is known between two checks; all instants are `time.monotonic()`.

    `marks` is shared memory, one instant per `Mark`: a worker began a task, the monitor saved a result, the pusher went
    to its broker or came back.
    """

    keepalive_fd: int
    marks: Any = field(default_factory=lambda: RawArray("d", [time.monotonic()] * len(Mark)))
    _children: list[BaseProcess] = field(default_factory=list)
    _monitor: int = 0
    _pusher: int = 0
    _begin: QueueFlow = field(default_factory=lambda: QueueFlow(Conf.TIMEOUT + BEGIN_WITHIN))
    _save: QueueFlow = field(default_factory=lambda: QueueFlow(SAVE_WITHIN))
    _fetch: QueueFlow = field(default_factory=lambda: QueueFlow(FETCH_WITHIN))
    _all_busy_at: float = 0.0

    def problem(self, stat: Any, *, running: bool, now: float) -> str:
        """Why the pool cannot go on; empty while it can. `stat` is django-q2's own status of the cluster."""
        living = multiprocessing.active_children()
        deaths = [self._death_of(child) for child in self._children if child not in living]
        self._children, self._monitor, self._pusher = living, stat.monitor, stat.pusher
        reasons = [fatal_reason(death) for death in deaths]
        if running:
            reasons += self._stuck_queues(stat, now=now)
        return next(filter(None, reasons), "")

    def _death_of(self, child: BaseProcess) -> Death:
        exitcode = child.exitcode or 0
        if child.pid in (self._monitor, self._pusher):
            return Death(Role.MONITOR if child.pid == self._monitor else Role.PUSHER, exitcode)
        return Death(Role.WORKER, exitcode, _timer_of(child))

    def _stuck_queues(self, stat: Any, *, now: float) -> list[str]:
        began, saved, fetched = self.marks
        # None is free to take a task; django-q2 ends those that are busy beyond the timeout of their own.
        timers = [_timer_of(child) for child in self._children if hasattr(child, "timer")]
        if timers and all(timer > 0 for timer in timers):
            self._all_busy_at = now
        reasons = []
        if self._begin.is_stuck(stat.task_q_size, last=max(began, self._all_busy_at), now=now):
            reasons.append("no worker takes a task")
        if self._save.is_stuck(stat.done_q_size, last=saved, now=now):
            reasons.append("the monitor saves no result")
        # While the queue is full the pusher waits for room.
        if self._fetch.is_stuck(Conf.QUEUE_LIMIT - stat.task_q_size, last=fetched, now=now):
            reasons.append("the pusher fetches nothing")
        return reasons


def _timer_of(worker: Any) -> float:
    """What django-q2 counts down for a worker, read past its lock, which the dead may hold."""
    return float(worker.timer.get_obj().value)


_armed: Watchdog | None = None


def arm(keepalive_fd: int) -> None:
    """Watches over this pool from now on; call it before the cluster forks. `keepalive_fd` is the supervisor's pipe."""
    global _armed
    os.set_blocking(keepalive_fd, False)
    _armed = Watchdog(keepalive_fd)
    for signal, mark in ((pre_execute, Mark.TASK_BEGUN), (post_execute, Mark.RESULT_SAVED)):
        signal.connect(partial(_mark_task, mark), weak=False, dispatch_uid="polling.worker.watchdog")


def send_keepalive() -> bool:
    """Shows the supervisor that the pool lives; False where nobody listens any more."""
    if _armed is not None:
        with contextlib.suppress(BlockingIOError):
            try:
                os.write(_armed.keepalive_fd, b".")
            except BrokenPipeError:
                return False
    return True


def check(stat: Any, *, running: bool) -> None:
    """One check by the sentinel, which ends the process where the pool cannot go on.

    `stat` is django-q2's own status of the cluster; `running` is False while it starts or stops.
    """
    if _armed is None:
        return
    send_keepalive()
    if reason := _armed.problem(stat, running=running, now=time.monotonic()):
        logger.error("%s: the worker pool is started again", reason)
        os._exit(EXIT_CODE)


def record_fetch() -> None:
    """Records that the pusher goes to its broker, or comes back from it."""
    if _armed is not None:
        _armed.marks[Mark.FETCHED] = time.monotonic()


def _mark_task(mark: Mark, *, task: dict[str, Any], **_: object) -> None:
    """Marks now, but not for the tasks that the sentinel runs itself."""
    if _armed is not None and not task.get("sync"):
        _armed.marks[mark] = time.monotonic()
