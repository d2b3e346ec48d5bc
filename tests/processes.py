"""Runs the project's own commands as processes, each test with a RACEPOLL_VAR of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
OUR_PREFIXES = (
    "APPWRITE_",
    "TAB_AFFILIATES_",
    "RACE_",
    "RACEPOLL_",
    "DJANGO_",
    "SANDBOX_",
    "POLL_",
    "DATABASE_",
    "REDIS_",
    "PROVIDER_",
    "MONITOR_",
    "LOG_",
    "PORT",
)
T = TypeVar("T")


def environment(var: Path, **values: str) -> dict[str, str]:
    """This process's environment without what configures racepoll, and with these values."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_PREFIXES)}
    return {**kept, "RACEPOLL_VAR": str(var), "RACEPOLL_ENV_FILE": os.devnull, **values}


def manage(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a `manage.py` command to its end, within 90 s."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False)


def setting_in(env: dict[str, str], expression: str, *, cwd: Path = ROOT) -> str:
    """The value, as text, of an expression of `settings` in a process that has this environment.

    The process reads the settings alone: loading the apps as well, as commands do, costs a second and a half.
    """
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from django.conf import settings; print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env={**env, "DJANGO_SETTINGS_MODULE": "racepoll_site.settings"},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def start(env: dict[str, str], output: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a `manage.py` command in a session of its own, its output in a file."""
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports that are free now."""
    # Processes started one after another look in places apart: none takes what another has just found.
    for first in range(20_000 + os.getpid() * 101 % 39_000, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def eventually(what: str, look: Callable[[], T | None], *, seconds: float = 40) -> T:
    """What `look` returns, as soon as it is true. Fails after `seconds`, naming `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def processes_of(var: Path) -> list[int]:
    """The ids of the processes whose environment names this RACEPOLL_VAR."""
    mark = f"RACEPOLL_VAR={var}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The ids of the process and of all that descend from it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return found


def end(process: subprocess.Popen[str], *, seconds: float = 25) -> None:
    """Asks a process to end, waits for it, and kills what is left of its group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
