"""Runs that die by SIGKILL between two calls to Appwrite."""

import os
import signal
import threading
import warnings
from collections.abc import Callable
from itertools import count

from django.db import connections

from tests.appwrite.gate import ANY, Gate, NotPassedOnError


def run_until(gate: Gate, call: int, run: Callable[[], object], *, answered: bool) -> bool:
    """Runs it in a process of its own, which is killed at its so manyeth call; whether it got there.

    The call is not passed on, or, if `answered`, has been done by the server and nobody hears its answer. What else was
    on its way has been done by then: on a slow machine too nothing of the dead run comes later.
    """
    connections.close_all()
    opened_before = set(gate.connections)
    born, calls = threading.Event(), count(1)

    def kill() -> None:
        if next(calls) == call:
            born.wait()
            os.kill(pid, signal.SIGKILL)
            if not answered:
                raise NotPassedOnError

    hooks = gate.after if answered else gate.before
    hooks[ANY] = kill
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child uses none of ours
        pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    born.set()
    _, status = os.waitpid(pid, 0)
    gate.wait_until_closed(but=opened_before)
    del hooks[ANY]
    return os.WIFSIGNALED(status)
