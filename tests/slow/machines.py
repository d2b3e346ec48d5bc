"""Clusters on one database between a provider and an observer: what runs them, and what is asked of their records."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import requests
from psycopg.rows import dict_row

from polling.cadence import Cadence, Window
from tests.processes import environment, eventually, free_ports, manage, start

TICK = timedelta(seconds=2)
# A cadence in which dozens of slots pass in a minute, none nearer to another than the provider has news.
NEWS_EVERY = timedelta(seconds=15)
WINDOWS = "20:32,10:16,0:16"
CADENCE = Cadence(
    tuple(Window(timedelta(minutes=opens), timedelta(seconds=step)) for opens, step in ((20, 32), (10, 16), (0, 16))),
    TICK,
)

Record = dict[str, Any]
OPEN_STATES = ("claimed", "running")


def instant(value: Any) -> datetime:
    """A stored instant; SQLite gives its text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)


@dataclass
class Machines:
    """One database, one provider, and the clusters that were started."""

    home: Path
    database: str
    port: int
    redis: str = ""
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Of a machine: its own home, and what all share. On SQLite the home is shared, since the database is in it."""
        home = self.home / ("sqlite" if self.on_sqlite else name)
        values = {
            "RACE_PROVIDERS": "sandbox",
            "SANDBOX_PROVIDER_URL": f"http://127.0.0.1:{self.port}/affiliates/v1",
            "RACE_DETAIL": "always",  # a request for every poll, which the provider's log then shows by race
            "POLL_TICK_SECONDS": str(TICK.seconds),
            "POLL_WINDOWS": WINDOWS,
            "POLL_HOLD_SECONDS": "0",  # `plan` knows no races that wait past their start
            "POLL_WORKERS": "2",
            # The old races of the card, all at once, would use up the quota, and far windows be throttled for minutes.
            "POLL_REQUESTS_A_MINUTE": "6000",
            "POLL_REQUESTS_AT_ONCE": "1000",
            "DJANGO_SECRET_KEY": "shared by all machines",
        }
        if not self.on_sqlite:
            values["DATABASE_URL"] = self.database
        if self.redis:
            values["REDIS_URL"] = self.redis
        return environment(home, **values)

    @property
    def on_sqlite(self) -> bool:
        return not self.database

    def start(self, name: str, *command: str) -> None:
        """Starts a command on the machine of this name, its output in a file."""
        self.running[name] = start(self.environment(name), self.home / f"{name}.txt", *command)

    def manage(self, *command: str) -> str:
        """Runs a command to its good end; returns its output."""
        done = manage(self.environment("a"), *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def output_of(self, name: str, *, since: int = 0) -> str:
        """The output from this place on."""
        return (self.home / f"{name}.txt").read_text()[since:]

    def stop(self, *names: str) -> None:
        """Asks for the end of these, or of all, the last started first, and sees to it."""
        for name in names or list(reversed(self.running)):
            process = self.running.pop(name)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(25)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill(self, name: str) -> None:
        """As if the machine's power had failed."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    # --- what the records say -----------------------------------------------------------------------------------------

    def query(self, sql: str) -> list[Record]:
        if self.on_sqlite:
            file = f"file:{self.home}/sqlite/racepoll.sqlite3?mode=ro"
            with contextlib.closing(sqlite3.connect(file, uri=True, timeout=20)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(sql)]
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(sql.encode()).fetchall()

    def value(self, sql: str) -> Any:
        """The only value of the only row."""
        [row] = self.query(sql)
        return next(iter(row.values()))

    def requests(self) -> dict[str, list[datetime]]:
        """When each race was asked for, by the provider's own log."""
        log = requests.get(f"http://127.0.0.1:{self.port}/sandbox/requests", timeout=10).json()["requests"]
        found = defaultdict(list)
        for entry in log:
            if entry["race_id"]:
                found[entry["race_id"]].append(datetime.fromisoformat(entry["at"]))
        return found

    def ticks(self) -> list[Record]:
        found = self.query("SELECT slot_at, due, claimed, error FROM polling_tick ORDER BY slot_at")
        return [{**tick, "slot_at": instant(tick["slot_at"])} for tick in found]

    def newest_tick(self) -> datetime:
        return max(instant(row["slot_at"]) for row in self.query("SELECT max(slot_at) AS slot_at FROM polling_tick"))

    def wait_for_ticks(self, count: int, *, seconds: float = 120) -> datetime:
        """Returns the newest tick when so many more slots than now have been ticked or have passed."""
        wanted = self.newest_tick() + count * TICK
        eventually(f"{count} more ticks", lambda: self.newest_tick() >= wanted, seconds=seconds)
        return wanted

    def wait_for_open_polls(self, *, until: datetime) -> None:
        """Until every poll wanted before this instant has ended."""

        def ended() -> bool:
            return not any(poll["state"] in OPEN_STATES for poll in self.polls() if poll["slot_at"] < until)

        eventually("polls end", ended, seconds=60)

    def polls(self) -> list[Record]:
        """All poll logs with their race's provider id."""
        found = self.query(
            "SELECT log.*, race.provider_race_id FROM polling_polllog log JOIN races_race race ON race.id = log.race_id"
        )
        return [{**poll, "slot_at": instant(poll["slot_at"])} for poll in found]

    def plan(self, *, since: datetime, until: datetime) -> set[tuple[int, datetime]]:
        """What the cadence wants from `since` to before `until`: race and slot.

        Of races whose start never moved; of one that ended, up to a step before its end.
        """
        planned = set()
        for race in self.query("SELECT * FROM races_race WHERE advertised_start = original_advertised_start"):
            ended = race["finalized_at"] and instant(race["finalized_at"]) - CADENCE.windows[-1].step
            last = min(until, ended) if ended else until
            slots = CADENCE.between(instant(race["advertised_start"]), since=since, until=last, min_interval=NEWS_EVERY)
            planned |= {(race["id"], slot) for slot in slots}
        return planned


@contextlib.contextmanager
def machines(home: Path, *, database: str, redis: str = "") -> Iterator[Machines]:
    """A migrated database with the card imported, a provider that serves, and no cluster yet."""
    port = free_ports(1)
    them = Machines(home, database, port, redis)
    try:
        them.start("provider", "sandbox", "provider", "--port", str(port))
        eventually("the provider serves", partial(them.output_of, "provider"))
        them.manage("migrate", "-v0")
        them.manage("import_schedule")
        yield them
    finally:
        them.stop()


def running_steadily(them: Machines) -> datetime:
    """Waits until the old races of the card have been fetched and ended; the first slot from which on to count."""
    old = "SELECT count(*) FROM races_race WHERE status <> 'finalized' AND detail_wanted"
    eventually("it ticks", them.ticks, seconds=60)
    eventually("old races are ended", lambda: them.value(old) == 0, seconds=90)
    them.wait_for_ticks(3)
    return them.newest_tick() + TICK


def requests_doubled(them: Machines) -> dict[str, tuple[int, int]]:
    """Races asked for more often than polls of them were begun: requests and polls, by race."""
    begun: dict[str, int] = defaultdict(int)
    for poll in them.polls():
        begun[poll["provider_race_id"]] += poll["started_at"] is not None
    asked = {race: len(at) for race, at in them.requests().items()}
    return {race: (count, begun[race]) for race, count in asked.items() if count > begun[race]}
