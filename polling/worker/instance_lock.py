"""One racepoll to a folder: a lock that lives as long as the process that took it, and its children."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from django.core.management import CommandError

ENDING_SECONDS = 25.0  # a worker whose parent was killed ends its polls first, within 18 s
OTHER = "Another PORT does not help, another RACEPOLL_VAR does"


def only_one_in(folder: Path, *, say: Callable[[str], None]) -> int:
    """Takes the folder's lock and returns the file that holds it, for children to keep open.

    Waits, and says so, while what a killed racepoll left there is ending. Raises CommandError (exit 2) where another
    one runs.
    """
    file = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = None
    while not _is_locked_by_us(file):
        holder = _holder(file)
        if holder and _lives(holder):
            raise _runs_already(folder, f", process {holder}")
        if deadline is None:
            deadline = time.monotonic() + ENDING_SECONDS
            say("waiting for the processes of an earlier start to end")
        elif time.monotonic() > deadline:
            raise _runs_already(folder, "")
        time.sleep(0.1)
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _is_locked_by_us(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: int) -> int:
    """The process that took the lock, 0 where it has not said so yet."""
    text = os.pread(file, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _runs_already(folder: Path, who: str) -> CommandError:
    words = f"racepoll runs here already{who}: {folder} is in use; Ctrl-C there ends it. {OTHER}"
    return CommandError(words, returncode=2)
