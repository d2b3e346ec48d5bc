"""A real cluster, seen by its own database."""

import contextlib
import subprocess
import time
from collections.abc import Iterator

from bench.stage import Stage, running
from polling.models import Tick
from tests.processes import eventually


@contextlib.contextmanager
def cluster(stage: Stage) -> Iterator[subprocess.Popen[str]]:
    """`manage.py qcluster`, from its first tick on."""
    before = Tick.objects.count()
    with running(stage, "cluster", "qcluster") as process:
        eventually("the cluster ticks", lambda: Tick.objects.count() > before, seconds=60)
        yield process


def every(seconds: float, *, lasting: float) -> Iterator[float]:
    """Yields the seconds passed, once every `seconds`, until `lasting` are over; a slow body skips turns."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < lasting:
        yield passed
        time.sleep(min(seconds - (time.monotonic() - began) % seconds, max(0.0, lasting - passed)))
