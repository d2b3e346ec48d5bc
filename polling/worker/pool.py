"""One worker pool: django-q2's cluster for one queue, made to die as a whole and to share its memory."""

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


def run(*, keepalive_fd: int | None) -> int:
    """Runs the cluster until SIGTERM, or until its sentinel dies; returns the exit code.

    `keepalive_fd` is the supervisor's pipe. Without one nothing watches the pool, and it dies with nobody.
    """
    if keepalive_fd is not None and os.getsid(0) == os.getpid():
        watchdog.arm(keepalive_fd)
        die_with_parent(signal.SIGTERM)
        _kill_forks_with_their_parent()
        if not watchdog.send_keepalive():  # the supervisor had died before we were bound to it
            return 1
    _preload_for_workers()
    pool = WorkerPool()
    pool.run()
    return 1 if pool.sentinel_died else 0


class WorkerPool:
    """The cluster, and the signals that end it. django-q2 would stop it inside the signal handler, which can hang."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self._stopping = False
        self._woken, self._wake = os.pipe()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop_signal)

    def run(self) -> None:
        """Runs until a signal asks for the end or the sentinel is dead."""
        self._cluster.start()
        sentinel = self._cluster.sentinel
        while not self._stopping and sentinel.is_alive():
            connection.wait([sentinel.sentinel, self._woken])
        # In a thread: it never returns where the sentinel is killed in the middle of it.
        threading.Thread(target=self._cluster.stop_event.set, daemon=True).start()
        sentinel.join()

    @property
    def sentinel_died(self) -> bool:
        """Whether the sentinel ended otherwise than it should."""
        return bool(self._cluster.sentinel.exitcode)

    def _on_stop_signal(self, *_: object) -> None:
        self._stopping = True
        # A stop that hangs ends by SIGALRM: it kills this process, and the kernel all that descend from it.
        signal.alarm(STOP_SECONDS)
        os.write(self._wake, b".")


def _kill_forks_with_their_parent() -> None:
    """Has every process forked from here on killed when its parent dies, however that came: no orphans."""
    parent = 0

    def remember_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    def bind_to_parent() -> None:
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    os.register_at_fork(before=remember_parent, after_in_child=bind_to_parent)


def _preload_for_workers() -> None:
    """Loads what the workers need and freezes it, so that the forks share its pages."""
    for name in NEEDED:
        importlib.import_module(name)
    with contextlib.suppress(DatabaseError):  # the workers will report it, if it lasts
        connections["default"].ensure_connection()
    connections.close_all()
    gc.collect()
    gc.freeze()
