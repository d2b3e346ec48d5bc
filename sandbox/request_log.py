"""Which requests a server got: the latest in memory for tests to count, all of them as JSON lines in a file."""

import contextlib
import json
import threading
from collections import deque
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
KEPT = 100_000


class RequestLog:
    """The last 100,000 requests since the start or the last clearing; the file keeps all."""

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._file = file.open("a", encoding="utf-8") if file else None

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            if self._file is not None:
                with contextlib.suppress(OSError):  # a full disk costs the line, not the answer
                    self._file.write(json.dumps(entry) + "\n")
                    self._file.flush()

    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None
