"""Memory of worker and web after work, and their processor time while nothing is due."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import requests

from bench.cluster import cluster
from bench.figures import Bar, Figure
from bench.near_races import bring_near, in_groups
from bench.process_tree import cost
from bench.processes import stop
from bench.provider import provider
from bench.run_options import RunOptions
from polling import clock, dispatch, staff
from polling.models import PollLog, Trigger
from races.decisions import COMMAND
from races.models import Race
from tests.processes import ROOT, eventually, free_ports

USUAL_SECONDS = 300


def run(options: RunOptions) -> Iterator[Figure]:
    """Forty races are polled and pages are served, so that everything is loaded; then every race ends."""
    lasting = options.lasting(USUAL_SECONDS)
    with provider() as source, cluster(options) as worker, _running_web() as (web, url):
        starts = in_groups(clock.now() + timedelta(minutes=50), groups=1, each=40, apart=timedelta())
        _poll_and_serve(list(bring_near(source, starts, now=clock.now()).values()), url)
        idle_from = cost(worker.pid, web.pid)
        time.sleep(lasting)
        idle_to = cost(worker.pid, web.pid)
        ended = "" if worker.poll() is web.poll() is None else "a process ended before the end"
    share = (idle_to.cpu_seconds - idle_from.cpu_seconds) / lasting * 100
    details = {"by_process_mb": idle_to.pss_mb, "seconds": lasting}
    short = "" if lasting >= USUAL_SECONDS else f"idle for {lasting:g} s, not {USUAL_SECONDS}"
    processes = sum(size > 0 for size in idle_to.pss_mb)
    yield Figure("memory", sum(idle_to.pss_mb), "MB", Bar("<=", 300), processes, why=ended, details=details)
    yield Figure("idle_cpu", share, "% of a core", Bar("<=", 2), processes, why=ended or short, details=details)


def _poll_and_serve(races: list[Race], url: str) -> None:
    for _ in range(3):
        logs = dispatch.force(races, trigger=Trigger.FORCED, requested_by="bench", now=clock.now())
        eventually("the polls are done", partial(_are_polled, logs))
    for _ in range(100):
        requests.get(url, timeout=10).raise_for_status()
    staff.finalize([race.pk for race in races], by=COMMAND, reason="bench", now=clock.now())
    assert not Race.objects.filter(next_poll_at__lt=clock.now() + timedelta(minutes=10)).exists(), "something is due"


def _are_polled(logs: list[PollLog]) -> bool:
    return not PollLog.objects.open().filter(pk__in=[log.pk for log in logs]).exists()


@contextmanager
def _running_web() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The web process as docs/deployment.md has it, serving."""
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, verbosity=0)
    address = f"127.0.0.1:{free_ports(1)}"
    command = [sys.executable, "manage.py", "web", "--listen", address, "-v0"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, start_new_session=True)
    url = f"http://{address}/admin/login/"
    try:
        eventually("the web answers", lambda: _does_answer(url))
        yield process, url
    finally:
        stop(process)


def _does_answer(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False
