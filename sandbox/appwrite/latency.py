"""How long a real server takes: 1.9.6 on a machine with two cores, medians of calls over a kept connection.

Reads were measured with a small table, writes with that of races: a PATCH alone 28 ms, sixteen at once 48 to 56 a
second, a bulk create of 100 rows 78 ms.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

WORKERS = 2
# Two at once take each other's time: 52 writes a second are 38 ms each.
SLOWER_TOGETHER = 38 / 28
LIST_MS, GET_MS, WRITE_MS = 10.3, 5.5, 28.0
# For each row of a bulk create beyond the first.
MORE_ROWS_MS = 0.505


def real_ms(method: str, path: str, raw: bytes) -> float:
    """Milliseconds of a request with this address (without its query) and body."""
    if method == "GET":
        return LIST_MS if path.endswith("/rows") else GET_MS
    more_rows = max(0, raw.count(b'"$id"') - 1) if method == "POST" else 0
    return WRITE_MS + MORE_ROWS_MS * more_rows


class RealPace:
    """Makes requests take as long as on a real server with two workers."""

    def __init__(self) -> None:
        self._workers = threading.BoundedSemaphore(WORKERS)
        self._at_work, self._lock = 0, threading.Lock()

    @contextmanager
    def taking(self, milliseconds: float) -> Iterator[None]:
        """Extends the block to this time, with a worker busy all along."""
        with self._workers:
            with self._lock:
                self._at_work += 1
                slower = SLOWER_TOGETHER if self._at_work > 1 else 1.0
            ends = time.monotonic() + slower * milliseconds / 1000
            try:
                yield
                time.sleep(max(0.0, ends - time.monotonic()))
            finally:
                with self._lock:
                    self._at_work -= 1
