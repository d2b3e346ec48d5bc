"""A real cluster, seen by its own database."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime

from bench.stage import Stage, running
from polling.models import Heartbeat
from tests.processes import eventually


@contextlib.contextmanager
def cluster(stage: Stage, **values: str) -> Iterator[subprocess.Popen[str]]:
    """`manage.py qcluster`, with these settings, from its first tick on."""
    before = _beats()
    with running(stage, "cluster", "qcluster", **values) as process:
        eventually("the cluster ticks", lambda: _beats() != before, seconds=60)
        yield process


def _beats() -> datetime | None:
    """When a tick last ended well; a tick that sleeps leaves no other trace."""
    return Heartbeat.objects.values_list("at", flat=True).first()


def every(seconds: float, *, lasting: float) -> Iterator[float]:
    """Yields the seconds passed, once every `seconds`, until `lasting` are over; a slow body skips turns."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < lasting:
        yield passed
        time.sleep(min(seconds - (time.monotonic() - began) % seconds, max(0.0, lasting - passed)))
