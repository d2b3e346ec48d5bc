"""What the clusters depend on goes away and comes back: ticks and polls go on by themselves, nothing twice."""

import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests import servers
from tests.processes import ROOT, eventually
from tests.slow.machines import TICK, Machines, Record, machines, requests_doubled, running_steadily

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OUTAGE_SECONDS = 6.0
# A claim whose worker never came back is written off after its lease, 22 s, and tried again at the next tick.
SLOTS_AFTER = 16


def test_postgresql_restarts_under_two_clusters(postgres: servers.Postgres, tmp_path: Path) -> None:
    with machines(tmp_path, database=postgres.new_database()) as them:
        clusters(them)
        since = running_steadily(them)

        postgres.crash()
        outage()
        postgres.start()
        goes_on(them, since=since)


def test_redis_restarts_and_forgets_the_queue(postgres: servers.Postgres, redis: servers.Redis, tmp_path: Path) -> None:
    with machines(tmp_path, database=postgres.new_database(), redis=redis.url(1)) as them:
        clusters(them)
        since = running_steadily(them)

        redis.stop(signal.SIGKILL)
        outage()
        redis.start()
        goes_on(them, since=since)


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.rollback()
"""


def test_another_writer_holds_sqlite_for_ten_seconds(tmp_path: Path) -> None:
    with machines(tmp_path, database="") as them:
        clusters(them, "a")
        since = running_steadily(them)

        file = str(tmp_path / "sqlite" / "racepoll.sqlite3")
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == "locked\n"
            outage(seconds=10)
            writer.communicate()
        goes_on(them, since=since)
        assert "database is locked" not in them.output_of("a")


FROZEN = """
from django.db import transaction
from django_q.models import Schedule
with transaction.atomic():
    Schedule.objects.select_for_update().get(name="master tick")
    input("holds the tick\\n")
"""


def test_a_machine_that_freezes_in_its_tick_is_cut_off_and_the_others_tick(
    postgres: servers.Postgres, tmp_path: Path
) -> None:
    with machines(tmp_path, database=postgres.new_database()) as them:
        clusters(them, "a")
        since = running_steadily(them)
        with subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v0", "-c", FROZEN],
            cwd=ROOT, env=them.environment("b"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        ) as frozen:  # fmt: skip
            assert frozen.stdout is not None and frozen.stdout.readline() == "holds the tick\n"
            goes_on(them, since=since)
            assert frozen.poll() is None
            frozen.kill()
        assert "lock timeout" in them.output_of("a"), "what it waited for is logged"


def clusters(them: Machines, *names: str) -> None:
    for name in names or ("a", "b"):
        them.start(name, "qcluster")


def outage(*, seconds: float = OUTAGE_SECONDS) -> None:
    time.sleep(seconds)  # nothing to wait for: it is how long the server is away


def goes_on(them: Machines, *, since: datetime) -> None:
    """Ticks and polls resume; every slot has a row that says what became of it; nobody is asked twice."""
    back, began = them.newest_tick(), time.monotonic()
    eventually("it ticks again", lambda: them.newest_tick() > back, seconds=60)
    resumed = time.monotonic() - began
    until = them.wait_for_ticks(SLOTS_AFTER)
    them.wait_for_open_polls(until=until)
    them.stop(*[name for name in ("b", "a") if name in them.running])
    print(f"first tick {resumed:.1f} s after it was back")  # noqa: T201 - shown by -rP: the figure of docs/deployment.md

    polls = [poll for poll in them.polls() if since <= poll["slot_at"] < until]
    accounted = {(poll["race_id"], poll["slot_at"]) for poll in polls}
    assert them.plan(since=since, until=until) - accounted == set(), "every slot has its row"
    assert [poll for poll in polls if not says_why(poll)] == []
    assert requests_doubled(them) == {}

    late = [poll for poll in polls if poll["slot_at"] >= until - 6 * TICK]
    assert late and {poll["state"] for poll in late} == {"ok"}, "at the end all is as before"
    ticks = [tick for tick in them.ticks() if tick["slot_at"] >= until - 6 * TICK]
    assert [tick for tick in ticks if tick["error"]] == []
    assert len(ticks) >= 6, "none is missed"


def says_why(poll: Record) -> bool:
    """Whether a poll that did not come off says the reason."""
    reasons = {"skipped": poll["reason"], "failed": poll["error_class"], "lost": poll["error_class"]}
    return bool(reasons.get(poll["state"], poll["state"] in ("ok", "missed")))
