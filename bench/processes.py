"""The processes that a bench starts, and their end."""

import contextlib
import os
import signal
import subprocess
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
    """Ends whatever still runs in this home: a bench that failed, or killed at random, may have left orphans."""
    for pid in processes.processes_of(var):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
