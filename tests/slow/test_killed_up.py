"""What the kernel does when memory runs out: SIGKILL to `manage.py up`, or to one of those it started."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import descendants, end, environment, eventually, free_ports, is_alive, processes_of, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, PORT=str(free_ports(3)))


@pytest.fixture
def up(env: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The whole of racepoll, polling."""
    process = _started(env, tmp_path)
    yield process
    end(process)


def _started(env: dict[str, str], var: Path) -> subprocess.Popen[str]:
    output = var / "up.txt"
    process = start(env, output, "up")
    eventually("it polls", lambda: "staff " in output.read_text() and _polls(var) > 0, seconds=120)
    return process


def _polls(var: Path) -> int:
    with closing(sqlite3.connect(f"file:{var}/demo.sqlite3?mode=ro", uri=True)) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM polling_polllog WHERE state = 'ok'").fetchall()
    return int(count)


def test_nothing_outlives_a_killed_up_and_the_next_start_needs_no_other_port(
    up: subprocess.Popen[str], env: dict[str, str], tmp_path: Path
) -> None:
    below = descendants(up.pid)[1:]
    assert len(below) >= 8, "web, two simulations, supervisor, pool, sentinel, pusher, monitor, workers"
    up.kill()
    up.wait()
    again = _started(env, tmp_path)
    try:
        assert not any(map(is_alive, below)), "it began before the last one had ended"
    finally:
        again.send_signal(signal.SIGINT)
    assert again.wait(60) == 0, (tmp_path / "up.txt").read_text()
    assert processes_of(tmp_path) == []


def test_nothing_outlives_a_killed_worker(up: subprocess.Popen[str], tmp_path: Path) -> None:
    worker = next(pid for pid in descendants(up.pid) if b"supervisor.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    below = descendants(worker)
    os.kill(worker, signal.SIGKILL)
    eventually("all below it have ended", lambda: not any(map(is_alive, below)), seconds=60)
    assert up.wait(60) == 1, "up ends with its worker"
    assert "worker ended with exit code -9; all is stopped" in (tmp_path / "up.txt").read_text()
    assert processes_of(tmp_path) == []
