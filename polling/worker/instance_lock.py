"""One running racepoll per folder: a lock that lives as long as the process that took it, and its children."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from django.core.management import CommandError

ENDING_SECONDS = 25.0  # a worker whose parent was killed ends its polls first, within 18 s
OTHER = "Another PORT does not help, another RACEPOLL_VAR does"


def take_instance_lock(folder: Path, *, report: Callable[[str], None]) -> int:
    """Takes the folder's lock and returns the file that holds it, for children to keep open.

    Waits, and reports that it does, while the processes of a racepoll that was killed are ending. Raises CommandError
    (exit code 2) where another one runs.
    """
    file = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = None
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            # The number of the process that took the lock, unless it has not written it yet.
            holder = os.pread(file, 32, 0).strip()
        if holder.isdigit() and Path(f"/proc/{int(holder)}").exists():
            raise _already_running(folder, f", process {int(holder)}")
        if deadline is None:
            deadline = time.monotonic() + ENDING_SECONDS
            report("waiting for the processes of an earlier start to end")
        elif time.monotonic() > deadline:
            raise _already_running(folder, "")
        time.sleep(0.1)
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _already_running(folder: Path, who: str) -> CommandError:
    words = f"racepoll runs here already{who}: {folder} is in use; Ctrl-C there ends it. {OTHER}"
    return CommandError(words, returncode=2)
