"""How long a real server takes: 1.9.6 on a machine with two cores, medians of calls over a kept connection."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Eight callers at once got 208 patches a second out of it, one got 115: as two workers would give.
WORKERS = 2
LIST_MS, GET_MS, WRITE_MS = 10.3, 5.5, 8.4
# Beyond the first row: a hundred took 46.6 ms to create and 66.4 ms to upsert.
MORE_MS = {"POST": 0.39, "PUT": 0.59}
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

    @contextmanager
    def taking(self, milliseconds: float) -> Iterator[None]:
        """The block, drawn out to this time, with a worker busy all along."""
        with self._workers:
            ends = time.monotonic() + milliseconds / 1000
            yield
            time.sleep(max(0.0, ends - time.monotonic()))
