"""A real cluster, watched through its own database."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime

from bench.processes import running
from bench.run_options import RunOptions
from polling.models import Heartbeat
from tests.processes import eventually


@contextlib.contextmanager
def cluster(options: RunOptions, **values: str) -> Iterator[subprocess.Popen[str]]:
    """`manage.py qcluster`, with these settings, from its first tick on."""
    before = _last_heartbeat()
    with running(options, "cluster", "qcluster", **values) as process:
        eventually("the cluster ticks", lambda: _last_heartbeat() != before, seconds=60)
        yield process


def _last_heartbeat() -> datetime | None:
    """When a tick last succeeded; a tick that sleeps leaves no other trace."""
    return Heartbeat.objects.values_list("at", flat=True).first()


def every(seconds: float, *, lasting: float) -> Iterator[float]:
    """Yields the seconds passed, once every `seconds`, until `lasting` are over; a slow body skips turns."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < lasting:
        yield passed
        time.sleep(min(seconds - (time.monotonic() - began) % seconds, max(0.0, lasting - passed)))
