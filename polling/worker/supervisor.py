"""Keeps the lanes of the cluster running. A script that imports nothing of Django, so that it stays small.

`manage.py qcluster` becomes this process. Each lane is a child in a session of its own, which writes a byte into
an inherited pipe twice a second. A lane that ended or fell silent is killed, whatever is left of it, and started
again; SIGTERM, SIGINT and SIGHUP end all of them.
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
SETTLED_AFTER = 10.0  # a lane that lived as long has not failed at starting
LONGEST_PAUSE = 10.0
GRACE_SECONDS = 18.0  # a task may take 15 s; whoever supervises us waits 20 s or more
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger("polling.supervisor")


def pause(young_deaths: int) -> float:
    """Seconds before the next start, after so many in a row that did not last: at once, then ever later."""
    return min(LONGEST_PAUSE, 2.0 ** (young_deaths - 2)) if young_deaths > 1 else 0.0


def is_silent(heard_at: float, *, now: float) -> bool:
    """Whether the sentinel has said nothing for so long that it must be stuck."""
    return now - heard_at > SILENT_AFTER


class Lane:
    """A child that runs one queue's cluster."""

    def __init__(self, name: str, command: Sequence[str] = (sys.executable, str(MANAGE), "qcluster")) -> None:
        self.name = name
        self.start_at = 0.0
        self.young_deaths = 0
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._pulse = -1
        self._started_at = self._heard_at = 0.0

    @property
    def pid(self) -> int | None:
        """The child, and its session and process group; None while there is none."""
        return self._process.pid if self._process else None

    def start(self, *, now: float) -> None:
        """Starts the child, with the writing end of a new pipe. Raises OSError where the system cannot."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        command = [*self._command, "--lane", self.name, "--pulse", str(theirs), "--skip-checks"]
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
        self._pulse = ours
        self._started_at = self._heard_at = now
        if self.young_deaths < 2:
            logger.info("lane %s started, process %d", self.name, self._process.pid)

    def listen(self, *, now: float) -> None:
        """Takes what the sentinel has said; kills a lane that has fallen silent."""
        if self._process is None:
            return
        with contextlib.suppress(BlockingIOError):
            if os.read(self._pulse, 4096):
                self._heard_at = now
        if self.young_deaths and now - self._started_at > SETTLED_AFTER:
            if self.young_deaths > 1:
                logger.info("lane %s runs again", self.name)
            self.young_deaths = 0
        if is_silent(self._heard_at, now=now):
            logger.error("lane %s has been silent for %.0f s", self.name, SILENT_AFTER)
            self.signal(signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether the child is dead; it stays a zombie until `bury`, so that its group's number stays its own."""
        if self._process is None:
            return False
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def bury(self, *, now: float) -> int:
        """Kills what the dead child left behind and plans the next start; returns its exit code."""
        if self._process is None:
            return 0
        self.signal(signal.SIGKILL)
        code = self._process.wait()
        os.close(self._pulse)
        self._process = None
        self.put_off(self.young_deaths + 1 if now - self._started_at < SETTLED_AFTER else 1, now=now)
        return code

    def put_off(self, young_deaths: int, *, now: float) -> None:
        """Plans the next start, after so many in a row that did not last."""
        self.young_deaths = young_deaths
        self.start_at = now + pause(young_deaths)

    def signal(self, number: signal.Signals) -> None:
        """To the child, which ends its own; SIGKILL to all of its group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill = os.killpg if number is signal.SIGKILL else os.kill
                kill(self._process.pid, number)


class Supervisor:
    """Starts lanes, looks after them, and ends them when a signal says so."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._stopping = False
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        for number in STOPS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes

    def run(self) -> None:
        """Until a signal ends it; then until every lane has ended, or was killed."""
        while not self._stopping:
            now = time.monotonic()
            for lane in self._lanes:
                lane.listen(now=now)
                self._revive(lane, now=now)
            _reap_strangers(self._lanes)
            self._sleep(LOOK_EVERY)
        self._end(deadline=time.monotonic() + GRACE_SECONDS)

    def _revive(self, lane: Lane, *, now: float) -> None:
        if lane.has_ended():
            code = lane.bury(now=now)
            _complain(lane, f"ended with {_said(code)}")
        if lane.pid is None and now >= lane.start_at:
            try:
                lane.start(now=now)
            except OSError as error:  # no memory, no process to be had: it may pass, and the other lanes live
                lane.put_off(lane.young_deaths + 1, now=now)
                _complain(lane, f"could not be started ({error})")

    def _end(self, *, deadline: float) -> None:
        for lane in self._lanes:
            lane.signal(signal.SIGTERM)
        while any(lane.pid for lane in self._lanes):
            now = time.monotonic()
            for lane in self._lanes:
                if lane.has_ended():
                    lane.bury(now=now)
                elif now > deadline:
                    logger.error("lane %s did not end in %.0f s and is killed", lane.name, GRACE_SECONDS)
                    lane.signal(signal.SIGKILL)
            self._sleep(0.2)
        logger.info("all lanes have ended")

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, at most so long."""
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)


def _reap_strangers(lanes: Sequence[Lane]) -> None:
    """As process 1 of a container we inherit orphans, which would stay zombies."""
    ours = {lane.pid for lane in lanes}
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if found.si_pid in ours:
                return
            os.waitpid(found.si_pid, 0)


def _complain(lane: Lane, trouble: str) -> None:
    """Of the first and the second trouble in a row, not of all that follow."""
    if lane.young_deaths < 2:
        logger.warning("lane %s %s; it is started again", lane.name, trouble)
    elif lane.young_deaths == 2:
        logger.error("lane %s %s again; it is tried on and on", lane.name, trouble)


def _said(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="{asctime} {levelname:<7} {name}: {message}", style="{")
    Supervisor([Lane(name) for name in sys.argv[1:]]).run()
