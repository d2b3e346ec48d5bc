"""What a bench runs on: its home, how long it may take, and the processes it starts."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests import processes

T = TypeVar("T")
STOPPING_SECONDS = 25


@dataclass(frozen=True, slots=True)
class Stage:
    """`var` is the run's own RACEPOLL_VAR. `seconds` shortens what is measured over time, `small` what is counted."""

    var: Path
    stack: str
    seconds: float | None = None
    small: bool = False

    def lasting(self, usual: float) -> float:
        return self.seconds or (min(usual, 10) if self.small else usual)

    def sized(self, usual: T, small: T) -> T:
        return small if self.small else usual


@contextlib.contextmanager
def running(stage: Stage, name: str, *arguments: str, **values: str) -> Iterator[subprocess.Popen[str]]:
    """A `manage.py` command of this run, stopped at the end; its output lies in the home."""
    process = processes.start({**os.environ, **values}, stage.var / f"{name}.txt", *arguments)
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


def sweep(var: Path) -> None:
    """Ends whatever still runs in this home: a bench that failed, or killed at random, may have left orphans."""
    for pid in processes.processes_of(var):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
