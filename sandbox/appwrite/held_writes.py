"""Writes that wait until a test releases them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A test that hangs forever says less than one that fails.
LONGEST_SECONDS = 30.0


class HeldWrites:
    """The requests that wait, each until all are released or for 30 seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each with the event that ends the wait, and the one that is set when the request has its answer.
        self._held: list[tuple[threading.Event, threading.Event]] = []

    def __len__(self) -> int:
        with self._lock:
            return sum(not released.is_set() for released, _ in self._held)

    @contextmanager
    def holding(self) -> Iterator[Callable[[], None]]:
        """Holds the request that the block answers; the yielded function waits for the release."""
        released, answered = pair = threading.Event(), threading.Event()
        with self._lock:
            self._held.append(pair)

        def wait() -> None:
            released.wait(LONGEST_SECONDS)
            released.set()

        try:
            yield wait
        finally:
            released.set()
            answered.set()
            with self._lock:
                self._held.remove(pair)

    def release(self) -> int:
        """Releases all that wait now and returns their number, once they have their answers."""
        with self._lock:
            held = [pair for pair in self._held if not pair[0].is_set()]
        for released, _ in held:
            released.set()
        for _, answered in held:
            answered.wait(LONGEST_SECONDS)
        return len(held)
