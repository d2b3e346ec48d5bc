"""Writes that wait until a test lets them go on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A test that hangs forever says less than one that fails.
LONGEST_SECONDS = 30.0


class Hold:
    """One request that waits. `ended` is set when it has had its answer."""

    def __init__(self, delay_ms: float) -> None:
        self.opened = threading.Event()
        self.ended = threading.Event()
        self._seconds = delay_ms / 1000 or LONGEST_SECONDS

    def wait(self) -> None:
        self.opened.wait(self._seconds)
        self.opened.set()


class Gate:
    """The requests that wait, each until its time is over or until all are released."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: list[Hold] = []

    def __len__(self) -> int:
        with self._lock:
            return sum(not hold.opened.is_set() for hold in self._holds)

    def hold(self, delay_ms: float) -> Hold:
        made = Hold(delay_ms)
        with self._lock:
            self._holds.append(made)
        return made

    @contextmanager
    def ending(self, hold: Hold) -> Iterator[None]:
        try:
            yield
        finally:
            hold.opened.set()
            hold.ended.set()
            with self._lock:
                self._holds.remove(hold)

    def release(self) -> int:
        """Lets all go on that wait now and returns their number, once they have ended."""
        with self._lock:
            holds = [hold for hold in self._holds if not hold.opened.is_set()]
        for hold in holds:
            hold.opened.set()
        for hold in holds:
            hold.ended.wait(LONGEST_SECONDS)
        return len(holds)
