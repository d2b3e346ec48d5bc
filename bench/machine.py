"""What a figure was measured on: the machine and the versions."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from django.conf import settings
from django.db import connection


def machine() -> dict[str, object]:
    """The machine; `load` is its load average when the run began, by which a noisy figure is known."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    cpu = found[1] if found else platform.processor()
    cores = len(os.sched_getaffinity(0))
    return {"cores": cores, "cpu": cpu, "kernel": platform.release(), "load": round(os.getloadavg()[0], 2)}


def versions() -> dict[str, str]:
    """The versions of what racepoll runs on, and which database and queue it uses."""
    release = ".".join(map(str, connection.get_database_version()))
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("django", "django-q2")},
        "database": f"{connection.vendor} {release}",
        "queue": "redis" if settings.REDIS_URL else "database",
    }
