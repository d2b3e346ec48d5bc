"""Children of `up`: they end with their parent, however it ends, and hold its lock as long as they live."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from polling.worker import bound_child
from tests.processes import ROOT, descendants, environment, eventually, is_alive, manage

# A parent as `up` is: it takes the folder's lock and starts children that serve.
PARENT = """
import sys, time
import django
django.setup()
from pathlib import Path
from polling.worker.dev_processes import DevProcesses
from polling.worker.instance_lock import take_instance_lock
lock = take_instance_lock(Path(sys.argv[1]), report=lambda _: None)
processes = DevProcesses(kept_open=[lock])
with processes.stopped_by_signals():
    processes.start("provider", "sandbox", "provider", "--port", "0")
    processes.wait()
"""


@pytest.mark.timeout(180)
def test_children_end_with_a_killed_parent_and_the_next_start_waits_for_that(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"DJANGO_SETTINGS_MODULE": "racepoll_site.settings"}
    command = [sys.executable, "-u", "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    children: list[int] = []
    try:
        assert parent.stdout
        assert "http://127.0.0.1:" in parent.stdout.readline()
        children = descendants(parent.pid)[1:]
        assert children
        second = manage(env, "up")
        assert second.returncode == 2
        assert second.stderr.startswith(f"CommandError: racepoll runs here already, process {parent.pid}: {tmp_path}")
        assert len(second.stderr.splitlines()) == 1
    finally:
        parent.kill()
        parent.wait()
    eventually("its children end", lambda: not any(map(is_alive, children)), seconds=60)
    again = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    assert again.stdout
    assert "http://127.0.0.1:" in again.stdout.readline(), "the lock is free"
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0
    for process in (parent, again):
        assert process.stdout
        process.stdout.close()


def test_a_child_whose_parent_is_gone_before_it_is_bound_does_not_begin(tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    command = [sys.executable, "-IS", str(Path(bound_child.__file__)), "1", "/usr/bin/touch", str(mark)]
    assert subprocess.run(command, check=False).returncode == 1
    assert not mark.exists()
    command[3] = str(os.getpid())
    assert subprocess.run(command, check=False).returncode == 0
    assert mark.exists()
