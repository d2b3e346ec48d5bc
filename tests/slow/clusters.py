"""A real cluster on a real broker beside the simulated provider, and what can be seen of it from outside."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.processes import descendants, end, environment, eventually, free_ports, manage, processes_of, start

TICK = 3  # seconds; races are polled every 15, the fastest that the provider allows
ROLES = """
import json
from django_q.status import Stat
print(json.dumps([
    {"pool": s.pid, "sentinel": s.sentinel, "monitor": s.monitor, "pusher": s.pusher, "workers": s.workers}
    for s in Stat.get_all() if s.workers and s.monitor and s.pusher
]))
"""


@dataclass
class Running:
    """The cluster: its home, its parent process, the provider it polls."""

    var: Path
    env: dict[str, str]
    provider: str
    clusters: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> None:
        """Starts `manage.py qcluster`, as systemd would after it was killed."""
        self.clusters.append(start(self.env, self.var / f"cluster-{len(self.clusters)}.txt", "qcluster"))

    @property
    def parent(self) -> subprocess.Popen[str]:
        return self.clusters[-1]

    @property
    def output(self) -> str:
        return "".join((self.var / f"cluster-{count}.txt").read_text() for count in range(len(self.clusters)))

    def processes(self) -> list[int]:
        """The parent and all below it."""
        return descendants(self.parent.pid)

    def left(self) -> list[int]:
        """What lives of this home, wherever it descends from."""
        return processes_of(self.var)

    def roles(self, pool: str = "default") -> dict[str, Any]:
        """Process ids by role, as django-q2 shows them on its monitor pages."""

        def look() -> dict[str, Any] | None:
            found = json.loads(manage(self.env, "shell", "-v0", "-c", ROLES).stdout)
            return next((one for one in found if pool in _arguments(one["pool"])), None)

        return eventually(f"the pool {pool} is up", look)

    def query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with contextlib.closing(sqlite3.connect(f"file:{self.var}/racepoll.sqlite3?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    def answered(self, *, since: datetime) -> datetime | None:
        """When the first poll of a slot that has been answered since then was begun."""
        sql = "SELECT min(started_at) AS at FROM polling_polllog WHERE state = 'ok' AND trigger = 'slot'"
        [found] = self.query(f"{sql} AND started_at > ?", _sql(since))
        return _instant(found["at"]) if found["at"] else None

    def polls(self, state: str, *, since: datetime | None = None) -> int:
        """How many are in this state now, of all or of those begun since then."""
        sql = "SELECT count(*) AS count FROM polling_polllog WHERE state = ?"
        [found] = self.query(f"{sql} AND started_at > ?", state, _sql(since)) if since else self.query(sql, state)
        return int(found["count"])

    def ticks(self, *, since: datetime) -> int:
        """How many began since then."""
        [found] = self.query("SELECT count(*) AS count FROM polling_tick WHERE started_at > ?", _sql(since))
        return int(found["count"])

    def longest_pause(self, *, since: datetime) -> timedelta | None:
        """The longest time between two ticks in a row, from the last before then; None while none came after."""
        rows = self.query("SELECT started_at FROM polling_tick ORDER BY slot_at")
        ticks = [_instant(row["started_at"]) for row in rows]
        return max((late - early for early, late in pairwise(ticks) if late > since), default=None)

    def doubled(self) -> list[tuple[str, str]]:
        """Races and slots that the provider's own log shows to have been asked for more than once."""
        begun: dict[str, list[tuple[datetime, str]]] = {}
        for row in self.query(
            "SELECT provider_race_id AS race, started_at, slot_at FROM polling_polllog log"
            " JOIN races_race race ON race.id = log.race_id WHERE started_at IS NOT NULL ORDER BY started_at"
        ):
            begun.setdefault(row["race"], []).append((_instant(row["started_at"]), row["slot_at"]))
        asked = Counter((entry["race_id"], _slot(entry, begun)) for entry in self.requests() if entry["race_id"])
        return [race_and_slot for race_and_slot, count in asked.items() if count > 1]

    def requests(self) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.provider}/sandbox/requests", timeout=5).json()["requests"])

    def slow(self, seconds: float) -> None:
        """Every answer of the provider takes so long from now on."""
        requests.delete(f"{self.provider}/sandbox/faults", timeout=5)
        if seconds:
            fault = {"kind": "slow", "delay_ms": int(seconds * 1000)}
            requests.post(f"{self.provider}/sandbox/faults", json=fault, timeout=5).raise_for_status()


@contextlib.contextmanager
def running(broker: str, var: Path, template: Path, **values: str) -> Iterator[Running]:
    """A cluster that has begun to poll; `template` is a migrated database."""
    windows = {"POLL_TICK_SECONDS": str(TICK), "POLL_WINDOWS": "4:15,0:15", "RACE_DETAIL": "always"}
    shutil.copy(template, var / "racepoll.sqlite3")
    with contextlib.ExitStack() as stack:
        if broker == "redis":
            values |= {"REDIS_URL": stack.enter_context(servers.redis()).url(), "DJANGO_SECRET_KEY": "k" * 50}
        port = free_ports(1)  # only now: Redis has taken its own
        provider = f"http://127.0.0.1:{port}"
        outside = {"RACE_PROVIDERS": "sandbox", "SANDBOX_PROVIDER_URL": f"{provider}/affiliates/v1"}
        env = environment(var, **windows, **outside, **values)
        served = var / "provider.txt"
        sandbox = start(environment(var / "provider"), served, "sandbox", "provider", "--port", str(port))
        stack.callback(end, sandbox)
        eventually("the provider serves", partial(served.read_text))
        done = manage(env, "import_schedule")
        assert done.returncode == 0, done.stderr
        cluster = Running(var, env, provider)
        try:
            cluster.start()
            eventually("races are polled", lambda: cluster.polls("ok"), seconds=60)
            yield cluster
        finally:
            for process in cluster.clusters:
                end(process)


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _slot(entry: dict[str, Any], begun: dict[str, list[tuple[datetime, str]]]) -> str:
    """The slot of the poll that was begun last before the request; the log rounds to milliseconds."""
    at = datetime.fromisoformat(entry["at"]) + timedelta(milliseconds=1)
    return next((slot for started, slot in reversed(begun.get(entry["race_id"], [])) if started <= at), "no poll's")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _sql(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
