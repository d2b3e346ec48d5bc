"""Time that passes only where a test lets it: no budget ends because the machine is slow."""

import math
import threading
import time
from itertools import count

import pytest

from polling.appwrite import lease
from polling.appwrite.api import client, parallel, rows
from polling.appwrite.push import races as push_races
from polling.http import deadline, transport

BUDGET_SECONDS = 600.0  # in our time; in real time it is what a call may take on the slowest machine


class StoppedTime:
    """What our modules see of `time`. It all but stands still until `jump`: no two readings are the same."""

    def __init__(self) -> None:
        # Ahead of all that was noted in real time.
        self._seconds, self._lock = time.monotonic() + 3600, threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            self._seconds += 1e-6
            return self._seconds

    def jump(self, seconds: float = 2 * BUDGET_SECONDS) -> None:
        with self._lock:
            self._seconds += seconds


class SlowServer(parallel.Concurrency):
    """Lets the first `free` calls through; when these are answered the time of the run is over, once.

    The others are carried out all the same, and answered too late. `ends_with_answers` where the calls come at once:
    the time ends when so many answers have been noticed by us, whichever call is the next.
    """

    def __init__(self, stopped: StoppedTime) -> None:
        super().__init__()
        self.free, self.ends_with_answers = 0, 0
        self.seconds_each = 0.0
        self.is_on, self.most_inside = True, 0
        self._stopped = stopped
        self._inside, self._noticed, self._numbers = 0, 0, count()
        self._lock, self._served, self._over = threading.Lock(), threading.Event(), threading.Event()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            self.most_inside = max(self.most_inside, self._inside)
            is_late = self.is_on and not self.seconds_each and next(self._numbers) >= self.free
        if is_late:
            if self.free and self.ends_with_answers:
                self._served.wait(BUDGET_SECONDS)
            self._end()

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
        if self.seconds_each:
            self._stopped.jump(self.seconds_each)

    def note_answer(self, seconds: float) -> None:
        super().note_answer(seconds)
        self._noticed += 1
        if self.is_on and self._noticed == self.ends_with_answers:
            self._served.set()
            self._end()

    def release(self) -> None:
        """From now on nothing is late."""
        self.is_on = False

    def _end(self) -> None:
        with self._lock:
            if not self._over.is_set():
                self._over.set()
                self._stopped.jump()


def stop_time(monkeypatch: pytest.MonkeyPatch) -> StoppedTime:
    """Our modules' time stands still, and no call of theirs is given up in real time."""
    stopped = StoppedTime()
    for module in (client, lease, rows, transport, deadline):
        monkeypatch.setattr(module, "time", stopped)
    monkeypatch.setattr(parallel, "monotonic", stopped.monotonic)
    monkeypatch.setattr(transport, "CONNECT_SECONDS", BUDGET_SECONDS)
    monkeypatch.setattr(client, "SILENT_SECONDS", BUDGET_SECONDS)
    monkeypatch.setattr(client, "TOTAL_SECONDS", math.inf)
    monkeypatch.setattr(push_races, "READ_BACK_SECONDS", 2 * BUDGET_SECONDS)
    return stopped


def take_no_write_for_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it waits: in stopped time a call that is cut off has waited for the whole budget."""
    monkeypatch.setattr(rows, "SLOWEST_WRITE_SECONDS", math.inf)
