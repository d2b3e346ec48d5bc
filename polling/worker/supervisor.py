"""Keeps the worker pools running. A script that imports nothing of Django, so that it stays small.

`manage.py qcluster` becomes this process. Each pool (django-q2's cluster for one queue) is a child in a session of its
own, which writes a byte into an inherited pipe twice a second, its keepalive. A pool that ended or fell silent is
killed, whatever is left of it, and started again; SIGTERM, SIGINT and SIGHUP end all of them.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
DEFAULT = "default"
LOOK_EVERY = 1.0
SILENT_AFTER = 30.0  # above the longest wait for SQLite's lock, 20 s, and the tick's own 10 s
EARLY_DEATH = 10.0  # a pool that ended before has failed at starting
LONGEST_DELAY = 10.0
# A poll may take 12 s. An import or any work of the sync may take longer: it is killed then, and its next run goes on.
# Whoever supervises us waits 20 s or more.
GRACE_SECONDS = 18.0
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger("polling.worker.supervisor")


def restart_delay(early_deaths: int) -> float:
    """Seconds before the next start after so many early deaths in a row: none after the first, then ever more."""
    return min(LONGEST_DELAY, 2.0 ** (early_deaths - 2)) if early_deaths > 1 else 0.0


def is_silent(keepalive_at: float, *, now: float) -> bool:
    """Whether the last keepalive is so long ago that the sentinel must be stuck."""
    return now - keepalive_at > SILENT_AFTER


class PoolProcess:
    """The child process that runs one worker pool: started, watched, killed and started again.

    `now` is `time.monotonic()` everywhere.
    """

    def __init__(self, name: str, command: Sequence[str] = (sys.executable, str(MANAGE), "qcluster")) -> None:
        self.name = name
        self.start_at = 0.0
        self.early_deaths = 0
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._keepalives = -1
        self._started_at = self._keepalive_at = 0.0

    @property
    def pid(self) -> int | None:
        """The child, and its session and process group; None while there is none."""
        return self._process.pid if self._process else None

    def start(self, *, now: float) -> None:
        """Starts the child, with the writing end of a new pipe. Raises OSError where the system cannot."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        command = [*self._command, "--pool", self.name, "--keepalive", str(theirs), "--skip-checks"]
        # django-q2 reads at import which of its clusters it is.
        environment = {name: value for name, value in os.environ.items() if name != "Q_CLUSTER_NAME"}
        if self.name != DEFAULT:
            environment["Q_CLUSTER_NAME"] = self.name
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command, env=environment, pass_fds=[theirs], stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._keepalives = ours
        self._started_at = self._keepalive_at = now
        if self.early_deaths < 2:
            logger.info("worker pool %s started, process %d", self.name, self._process.pid)

    def check_keepalive(self, *, now: float) -> None:
        """Reads the keepalives that have come; kills a pool that has sent none for too long."""
        if self._process is None:
            return
        with contextlib.suppress(BlockingIOError):
            if os.read(self._keepalives, 4096):
                self._keepalive_at = now
        if self.early_deaths and now - self._started_at > EARLY_DEATH:
            if self.early_deaths > 1:
                logger.info("worker pool %s runs again", self.name)
            self.early_deaths = 0
        if is_silent(self._keepalive_at, now=now):
            logger.error("worker pool %s has been silent for %.0f s", self.name, SILENT_AFTER)
            self.send_signal(signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether the child is dead; it stays a zombie until `reap`, so that its group's number stays its own."""
        if self._process is None:
            return False
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def reap(self, *, now: float) -> int:
        """Kills what the dead child left behind and plans the next start; returns its exit code."""
        if self._process is None:
            return 0
        self.send_signal(signal.SIGKILL)
        code = self._process.wait()
        os.close(self._keepalives)
        self._process = None
        self.plan_start(self.early_deaths + 1 if now - self._started_at < EARLY_DEATH else 1, now=now)
        return code

    def plan_start(self, early_deaths: int, *, now: float) -> None:
        """Plans the next start, after so many early deaths in a row."""
        self.early_deaths = early_deaths
        self.start_at = now + restart_delay(early_deaths)

    def send_signal(self, number: signal.Signals) -> None:
        """Signals the child, which ends its own; SIGKILL goes to all of its group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill = os.killpg if number is signal.SIGKILL else os.kill
                kill(self._process.pid, number)


class Supervisor:
    """Starts the worker pools, restarts those that ended, and ends all of them when a signal asks for it."""

    def __init__(self, pools: Sequence[PoolProcess]) -> None:
        self._pools = pools
        self._stopping = False
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        for number in STOPS:
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes

    def run(self) -> None:
        """Runs until a signal ends it; then until every pool has ended, or was killed."""
        while not self._stopping:
            now = time.monotonic()
            for pool in self._pools:
                pool.check_keepalive(now=now)
                self._restart_if_ended(pool, now=now)
            _reap_orphans(self._pools)
            self._wait_for_signal(LOOK_EVERY)
        self._end_pools(deadline=time.monotonic() + GRACE_SECONDS)

    def _restart_if_ended(self, pool: PoolProcess, *, now: float) -> None:
        if pool.has_ended():
            code = pool.reap(now=now)
            _report_failure(pool, f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}")
        if pool.pid is None and now >= pool.start_at:
            try:
                pool.start(now=now)
            except OSError as error:  # no memory, no process to be had: it may pass, and the other pools live
                pool.plan_start(pool.early_deaths + 1, now=now)
                _report_failure(pool, f"could not be started ({error})")

    def _end_pools(self, *, deadline: float) -> None:
        for pool in self._pools:
            pool.send_signal(signal.SIGTERM)
        while any(pool.pid for pool in self._pools):
            now = time.monotonic()
            for pool in self._pools:
                if pool.has_ended():
                    pool.reap(now=now)
                elif now > deadline:
                    logger.error("worker pool %s did not end in %.0f s and is killed", pool.name, GRACE_SECONDS)
                    pool.send_signal(signal.SIGKILL)
            self._wait_for_signal(0.2)
        logger.info("all worker pools have ended")

    def _on_stop_signal(self, *_: object) -> None:
        self._stopping = True

    def _wait_for_signal(self, seconds: float) -> None:
        """Sleeps until a signal comes, at most so long."""
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)


def _reap_orphans(pools: Sequence[PoolProcess]) -> None:
    """As process 1 of a container we inherit orphans, which would stay zombies."""
    ours = {pool.pid for pool in pools}
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if found.si_pid in ours:
                return
            os.waitpid(found.si_pid, 0)


def _report_failure(pool: PoolProcess, problem: str) -> None:
    """Logs the first and the second failure in a row, not all that follow."""
    if pool.early_deaths < 2:
        logger.warning("worker pool %s %s; it is started again", pool.name, problem)
    elif pool.early_deaths == 2:
        logger.error("worker pool %s %s again; restarting goes on", pool.name, problem)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="{asctime} {levelname:<7} {name}: {message}", style="{")
    Supervisor([PoolProcess(name) for name in sys.argv[1:]]).run()
