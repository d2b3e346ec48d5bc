"""The processes that a bench starts, and their end."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.run_options import RunOptions
from tests import processes

STOPPING_SECONDS = 25


@contextlib.contextmanager
def running(options: RunOptions, name: str, *arguments: str, **values: str) -> Iterator[subprocess.Popen[str]]:
    """A `manage.py` command of this run, stopped at the end; its output is `name`.txt in the home."""
    process = processes.start({**os.environ, **values}, options.var / f"{name}.txt", *arguments)
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Asks it to end, then ends what is left of its session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOPPING_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_leftovers(var: Path) -> None:
    """Ends whatever still runs in this home, and waits until it has ended.

    A bench that failed, or killed at random, may have left orphans.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + STOPPING_SECONDS
    while time.monotonic() < deadline:
        found = set(processes.processes_of(var)) - {os.getpid()}
        killed |= found
        if not found and not any(map(processes.is_alive, killed)):
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
