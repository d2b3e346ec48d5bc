"""Small files: bounded reading, and writing that only the owner can read.

Whatever is written here is whole or absent: a full disk or a kill in the middle leaves the old file as it was.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

MOST_BYTES = 64 * 1024
OWNER_FOLDER, OWNER_FILE = 0o700, 0o600
OTHERS = 0o077
# What racepoll itself stores in its folder; a folder with nothing of it belongs to somebody else.
OWN_NAMES = frozenset({"secret_key", "staff-login", "static", "cluster", "sandbox", "up.lock"})
OWN_PATTERNS = ("*.sqlite3", "*.sqlite3-*", "secret_key", "staff-login", "demo-*.env", "up.lock")


class UnreadableFile(ValueError):
    """A file that cannot be read as text. The message follows the file's name and shows nothing of its content."""


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file, without a byte order mark. Raises UnreadableFile, also for more than 64 KB."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise UnreadableFile(f"is larger than {MOST_BYTES // 1024} KB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"is not UTF-8 (line {line})") from None  # the error holds the content


def write_private(path: Path, text: str) -> None:
    """Replaces a file as a whole, readable by its owner alone. Raises OSError with the old file in place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # whatever ends it, a signal too: the half-written file must not stay
        Path(name).unlink(missing_ok=True)
        raise


def stored_secret(path: Path, create: Callable[[], str]) -> str:
    """The secret in this file, created on first use; of processes that start at once one creates it and all read it.

    A blank file (the disk was full once) is written again. Raises OSError or UnreadableFile.
    """
    if secret := _read_secret(path):
        return secret
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not _read_secret(path):
            write_private(path, create())
        return _read_secret(path)
    finally:
        os.close(folder)


def _read_secret(path: Path) -> str:
    return read_text(path).strip() if path.exists() else ""


def make_private_folder(path: Path) -> None:
    """Creates the folder, or closes an existing one of ours to others, with the databases and secrets in it.

    A folder that holds only what others put there (somebody names /tmp) keeps its mode. Raises OSError where the
    folder cannot be created or read; a mode that only somebody else may change stays.
    """
    path.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
    names = {entry.name for entry in path.iterdir()}
    kept = [entry for pattern in OWN_PATTERNS for entry in path.glob(pattern)]
    if kept or not names or names & OWN_NAMES:
        _close_to_others(path, stat.S_ISDIR, OWNER_FOLDER)
    for entry in kept:
        _close_to_others(entry, stat.S_ISREG, OWNER_FILE)


def _close_to_others(path: Path, is_kind: Callable[[int], bool], mode: int) -> None:
    with contextlib.suppress(OSError):  # read-only, or somebody else's; or -wal and -shm, which come and go
        found = path.lstat().st_mode
        if is_kind(found) and found & OTHERS and not found & stat.S_ISVTX:
            path.chmod(mode)
