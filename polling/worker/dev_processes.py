"""The processes of `manage.py up`: they live and die together, and their output is prefixed by name."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

GRACE_SECONDS = 20.0
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
BOUND_CHILD = Path(__file__).with_name("bound_child.py")


@dataclass(frozen=True, slots=True)
class Child:
    """A named process."""

    name: str
    process: subprocess.Popen[str]


class DevProcesses:
    """Starts children and stops them all; the first that dies ends the others.

    Each gets a session of its own: a signal to a whole process group would hang django-q2's cluster. Where this
    process is killed, the kernel ends each of them (`bound_child.py`). `kept_open` are files that they hold open while
    they live.
    """

    def __init__(self, kept_open: Sequence[int] = ()) -> None:
        self._kept_open = kept_open
        self._children: list[Child] = []
        self._stopping = threading.Event()

    def start(self, name: str, *command: str) -> None:
        """Runs a command of `manage.py`. Call it in the main thread, to whose life the kernel binds the child's."""
        bound = [sys.executable, "-IS", str(BOUND_CHILD), str(os.getpid())]
        process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            [*bound, sys.executable, str(MANAGE), *command],
            pass_fds=self._kept_open,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._children.append(Child(name, process))
        threading.Thread(target=_relay_output, args=(name, process.stdout), daemon=True).start()

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Turns SIGINT, SIGTERM and SIGHUP into an orderly stop; stops all children at the end, whatever happened."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopping.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            self._stop_children()
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> Child | None:
        """Blocks until a signal comes (None) or a child dies (that child)."""
        while not self._stopping.wait(0.2):
            if dead := self.first_dead():
                return dead
        return None

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked for the end."""
        return self._stopping.is_set()

    def first_dead(self) -> Child | None:
        """A child that has ended; None while all live."""
        return next((child for child in self._children if child.process.poll() is not None), None)

    def _stop_children(self) -> None:
        """Stops them one after another, the last started first: what the others depend on must outlive them."""
        deadline = time.monotonic() + GRACE_SECONDS
        for child in reversed(self._children):
            child.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
            # What a killed child left in its session goes too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


def _relay_output(name: str, output: IO[str] | None) -> None:
    for line in output or ():
        # Where nobody reads us any more the children must still be drained, or they would stand still.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(f"{name:<9}| {line}")
            sys.stdout.flush()
