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
# Beyond the first row, of a hundred.
MORE_MS = {"POST": 0.505, "PUT": 0.59}
# Begin, stage fifty updates and commit took 332 ms together; which share each had was not measured.
OPERATION_MS = 6.2


def real_ms(method: str, path: str, raw: bytes) -> float:
    """For a request with this address (without its query) and body."""
    if method == "GET":
        return LIST_MS if path.endswith(("/rows", "/documents")) else GET_MS
    if path.endswith("/operations"):
        return WRITE_MS + OPERATION_MS * raw.count(b'"action"')
    more = max(0, raw.count(b'"$id"') - 1)
    return WRITE_MS + MORE_MS.get(method, 0) * more


class Pace:
    """The workers of a real server, which this one's threads take turns to be."""

    def __init__(self) -> None:
        self._workers = threading.BoundedSemaphore(WORKERS)
        self._at_work, self._lock = 0, threading.Lock()

    @contextmanager
    def taking(self, milliseconds: float) -> Iterator[None]:
        """The block, drawn out to this time, with a worker busy all along."""
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
