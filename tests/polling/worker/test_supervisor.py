"""The supervisor with real children: stand-ins for a pool, started, restarted and ended as pools are."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polling.worker import supervisor
from polling.worker.supervisor import PoolProcess, is_silent, restart_delay
from tests.processes import ROOT, environment, eventually, is_alive, manage, setting_in

CHILD = """
import json, os, pathlib, signal, subprocess, sys
below = subprocess.Popen(["sleep", "60"])
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
seen = {"pid": os.getpid(), "below": below.pid, "pool": arguments["--pool"], "name": os.environ.get("Q_CLUSTER_NAME")}
os.write(int(arguments["--keepalive"]), b".")
pathlib.Path(sys.argv[0]).with_suffix(".json").write_text(json.dumps(seen))
signal.pause()
"""


@pytest.mark.parametrize(("deaths", "seconds"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 10), (50, 10)])
def test_the_first_death_is_followed_by_a_restart_at_once_and_later_ones_ever_later(
    deaths: int, seconds: float
) -> None:
    assert restart_delay(deaths) == seconds


@pytest.mark.parametrize(("seconds", "silent"), [(0, False), (30, False), (30.1, True)])
def test_a_pool_is_silent_after_half_a_minute(seconds: float, silent: bool) -> None:
    assert is_silent(100, now=100 + seconds) is silent


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[PoolProcess]:
    script = tmp_path / "pool.py"
    script.write_text(CHILD)
    pool = PoolProcess("fast", [sys.executable, str(script), "--unused", "0"])
    yield pool
    pool.send_signal(signal.SIGKILL)
    pool.reap(now=0)


@pytest.fixture
def report(pool: PoolProcess, tmp_path: Path) -> Callable[[], dict[str, int | str]]:
    """What the child reports of itself, once it runs."""

    def read() -> dict[str, int | str]:
        pool.start(now=0)
        path = tmp_path / "pool.json"
        eventually("the child runs", lambda: path.exists() and path.read_text())
        return dict(json.loads(path.read_text()))

    return read


Report = Callable[[], dict[str, int | str]]


def test_a_child_knows_its_pool_and_leads_a_session_of_its_own(pool: PoolProcess, report: Report) -> None:
    child = report()
    assert (child["pid"], child["pool"], child["name"]) == (pool.pid, "fast", "fast")
    assert os.getsid(int(child["pid"])) == child["pid"]


def test_a_child_that_died_is_reaped_with_all_it_left_behind(pool: PoolProcess, report: Report) -> None:
    child = report()
    os.kill(int(child["pid"]), signal.SIGKILL)
    eventually("it has ended", pool.has_ended)
    assert pool.reap(now=99) == -signal.SIGKILL
    assert pool.pid is None
    eventually("its child too", lambda: not is_alive(int(child["below"])))


def test_a_child_that_falls_silent_is_killed(pool: PoolProcess, report: Report) -> None:
    report()
    pool.check_keepalive(now=10)
    pool.check_keepalive(now=40)
    assert not pool.has_ended()
    pool.check_keepalive(now=40.5)
    eventually("it has ended", pool.has_ended)


def test_a_child_that_dies_young_again_and_again_is_started_ever_later(pool: PoolProcess) -> None:
    pauses = []
    for now in (0, 100, 200):
        pool.start(now=now)
        pool.send_signal(signal.SIGKILL)
        eventually("it has ended", pool.has_ended)
        pool.reap(now=now + 1)
        pauses.append(pool.start_at - now - 1)
    assert pauses == [0, 1, 2]


def test_one_that_has_lived_starts_at_once_again(pool: PoolProcess) -> None:
    for now, lived in ((0, 1), (100, 1), (200, 60)):
        pool.start(now=now)
        pool.send_signal(signal.SIGKILL)
        eventually("it has ended", pool.has_ended)
        pool.reap(now=now + lived)
    assert pool.start_at == 260


def test_a_child_that_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    pool = PoolProcess("fast", [str(tmp_path / "nothing")])
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        pool.start(now=0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert pool.pid is None and not pool.has_ended()


TWO_POOLS = """
import logging, sys
from polling.worker.supervisor import PoolProcess, Supervisor
logging.basicConfig(level=logging.INFO, format="{levelname} {message}", style="{")
Supervisor([PoolProcess(name, [sys.argv[1 + number]]) for number, name in enumerate(("default", "fast"))]).run()
"""


def test_a_pool_that_cannot_be_started_costs_the_other_nothing_and_restarting_goes_on(tmp_path: Path) -> None:
    scripts = [tmp_path / "default", tmp_path / "fast"]
    reports, output = [path.with_suffix(".json") for path in scripts], tmp_path / "output.txt"

    def write(script: Path) -> None:
        script.with_suffix(".new").write_text(f"#!{sys.executable}\n{CHILD}")
        script.with_suffix(".new").chmod(0o700)
        script.with_suffix(".new").rename(script)

    write(scripts[0])
    with output.open("w") as file:
        process = subprocess.Popen([sys.executable, "-c", TWO_POOLS, *scripts], cwd=ROOT, stderr=file)
    try:
        eventually("it is logged twice", lambda: "ERROR" in output.read_text())
        eventually("the other runs", lambda: reports[0].exists() and reports[0].read_text())
        healthy = json.loads(reports[0].read_text())["pid"]
        assert process.poll() is None and is_alive(healthy)
        write(scripts[1])
        eventually("it runs after all", reports[1].exists)
        assert is_alive(healthy)
    finally:
        process.terminate()
    assert process.wait(20) == 0
    complaints = [line for line in output.read_text().splitlines() if "could not be started" in line]
    assert [line.split(" (")[0] for line in complaints] == [
        "WARNING worker pool fast could not be started",
        "ERROR worker pool fast could not be started",
    ]
    assert "No such file" in complaints[0]


def test_the_supervisor_loads_nothing_of_django() -> None:
    code = f"import runpy, sys; runpy.run_path({supervisor.__file__!r}); print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("workers", "pools"), [("0", []), ("2", ["fast"])])
def test_a_fast_pool_is_there_where_it_has_workers(workers: str, pools: list[str], tmp_path: Path) -> None:
    env = environment(tmp_path, POLL_FAST_WORKERS=workers)
    assert setting_in(env, "list(settings.Q_CLUSTER.get('ALT_CLUSTERS', {}))") == str(pools)


def test_the_fast_pool_has_its_workers_and_fires_no_schedules(tmp_path: Path) -> None:
    code = "from django_q.conf import Conf as c; print(c.CLUSTER_NAME, c.WORKERS, c.QUEUE_LIMIT, c.SCHEDULER, c.PREFIX)"
    env = environment(tmp_path, POLL_FAST_WORKERS="3") | {"Q_CLUSTER_NAME": "fast"}
    assert manage(env, "shell", "-v0", "-c", code).stdout == "fast 3 1 False racepoll\n"
