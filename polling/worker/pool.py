"""One lane: django-q2's cluster for one queue, made to die as a whole and to share its memory."""

import contextlib
import gc
import importlib
import os
import signal
import threading
from multiprocessing import connection

from django.db import DatabaseError, connections
from django_q.cluster import Cluster

from polling.worker import watchdog
from polling.worker.bound_child import die_with_parent

STOP_SECONDS = 18
# What every worker would otherwise import for itself at its first task.
NEEDED = ("polling.tasks", "polling.worker.broker", "croniter", "encodings.idna", "html.entities", "_strptime")


def run(*, pulse: int | None) -> int:
    """Runs the cluster until SIGTERM, or until its sentinel dies; returns the exit code."""
    if pulse is not None and os.getsid(0) == os.getpid():
        watchdog.arm(pulse)
        die_with_parent(signal.SIGTERM)
        _bind_children()
        if not watchdog.beat():  # the supervisor had died before we were bound to it
            return 1
    _load()
    lane = Lane()
    lane.run()
    return 1 if lane.sentinel_died else 0


class Lane:
    """The cluster, and the signals that end it. django-q2 would stop it inside the signal handler, which can hang."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self._stopping = False
        self._woken, self._wake = os.pipe()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)

    def run(self) -> None:
        """Until a signal asks for the end or the sentinel is dead."""
        self._cluster.start()
        sentinel = self._cluster.sentinel
        while not self._stopping and sentinel.is_alive():
            connection.wait([sentinel.sentinel, self._woken])
        # In a thread: it never returns where the sentinel is killed in the middle of it.
        threading.Thread(target=self._cluster.stop_event.set, daemon=True).start()
        sentinel.join()

    @property
    def sentinel_died(self) -> bool:
        """Whether it ended otherwise than it should."""
        return bool(self._cluster.sentinel.exitcode)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        # A stop that hangs ends by SIGALRM: it kills this process, and the kernel all that descend from it.
        signal.alarm(STOP_SECONDS)
        os.write(self._wake, b".")


def _bind_children() -> None:
    """Has every process forked from here on killed when its parent dies, however that came: no orphans."""
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    def bind() -> None:
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    os.register_at_fork(before=remember, after_in_child=bind)


def _load() -> None:
    """Loads what the workers need and freezes it, so that the forks share its pages."""
    for name in NEEDED:
        importlib.import_module(name)
    with contextlib.suppress(DatabaseError):  # the workers will say so, if it lasts
        connections["default"].ensure_connection()
    connections.close_all()
    gc.collect()
    gc.freeze()
