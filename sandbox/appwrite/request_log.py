"""Which requests the API got: kept in memory for tests to count, and as JSON lines in a file."""

import json
import threading
from collections import deque
from datetime import datetime
from pathlib import Path

from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import JsonObject

KEPT = 100_000


class RequestLog:
    """The last 100,000 requests since the start or the last clearing; the file keeps all."""

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.Lock()
        self._entries: deque[JsonObject] = deque(maxlen=KEPT)
        self._file = file.open("a", encoding="utf-8") if file else None

    def add(
        self, method: str, target: str, status: int | None, fault: str | None, *, at: datetime, seconds: float
    ) -> None:
        """`status` is None where no answer was even prepared."""
        path, _, query = target.partition("?")
        entry = {
            "method": method,
            "path": path,
            "query": query,
            "status": status,
            "fault": fault,
            "at": canonical(at),
            "duration_ms": round(seconds * 1000, 3),
        }
        with self._lock:
            self._entries.append(entry)
            if self._file is not None:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()

    def entries(self) -> list[JsonObject]:
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
