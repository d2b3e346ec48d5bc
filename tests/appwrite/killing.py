"""Runs that die by SIGKILL between two calls to Appwrite."""

import os
import signal
import threading
import warnings
from collections.abc import Callable
from itertools import count

from django.db import connections

from tests.appwrite.gate import ANY, Gate


def run_until(gate: Gate, call: int, run: Callable[[], object], *, answered: bool) -> bool:
    """Runs it in a process of its own, which is killed at its so manyeth call; whether it got there.

    The call is not passed on, or, if `answered`, has been done by the server and nobody hears its answer.
    """
    connections.close_all()
    born, calls = threading.Event(), count(1)

    def kill() -> None:
        if next(calls) == call:
            born.wait()
            os.kill(pid, signal.SIGKILL)

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
    del hooks[ANY]
    return os.WIFSIGNALED(status)
