"""A queue may deliver a task twice, to two machines at once, and long after: each claim is polled once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import servers
from tests.processes import ROOT, eventually
from tests.slow.machines import OPEN_STATES, Machines, machines, requests_doubled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POLL = "from polling import tasks; input('ready\\n'); print(tasks.poll_races({claims}))"
DUE = """
    UPDATE races_race SET next_poll_at = CASE WHEN id IN (
        SELECT id FROM races_race WHERE advertised_start > now() ORDER BY advertised_start LIMIT 12
    ) THEN now() END
"""
AGAIN = "INSERT INTO django_q_ormq (key, payload, lock) SELECT key, payload, now() - interval '1 hour' FROM kept"


@pytest.fixture
def claimed(postgres: servers.Postgres, tmp_path: Path) -> Iterator[Machines]:
    """A tick has claimed what is due and sent it; no cluster runs yet."""
    with machines(tmp_path, database=postgres.new_database()) as them:
        with psycopg.connect(them.database, autocommit=True) as connection:
            connection.execute(DUE)
        them.manage("tick")
        assert them.value("SELECT count(*) FROM django_q_ormq") > 0
        yield them


def test_tasks_put_back_are_polled_once(claimed: Machines) -> None:
    claims = {poll["id"] for poll in claimed.polls() if poll["state"] == "claimed"}

    def ended() -> bool:
        return not any(poll["state"] in OPEN_STATES for poll in claimed.polls() if poll["id"] in claims)

    with psycopg.connect(claimed.database, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM django_q_ormq")
        connection.execute(AGAIN)
        claimed.start("a", "qcluster")
        claimed.start("b", "qcluster")
        eventually("the claims have ended", ended, seconds=60)
        connection.execute(AGAIN)  # and once more, late
        eventually("the queue is empty", lambda: claimed.value("SELECT count(*) FROM django_q_ormq") == 0)
    claimed.stop("a", "b")
    assert requests_doubled(claimed) == {}
    assert {poll["state"] for poll in claimed.polls() if poll["id"] in claims} <= {"ok", "skipped"}


def test_processes_that_get_the_same_task_at_once_share_its_claims(claimed: Machines) -> None:
    claims = sorted(poll["id"] for poll in claimed.polls() if poll["state"] == "claimed")
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", POLL.format(claims=claims)]
    rivals = [
        subprocess.Popen(
            command, cwd=ROOT, env=claimed.environment(name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b", "c")
    ]
    for rival in rivals:
        assert rival.stdout is not None and rival.stdout.readline() == "ready\n"
    for rival in rivals:  # all are there before the first begins
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    polled = [race for rival in rivals for race in numbers(rival.communicate(timeout=60)[0])]
    answered = [poll["race_id"] for poll in claimed.polls() if poll["state"] == "ok"]
    assert sorted(polled) == sorted(answered)
    # A claim whose next slot has begun meanwhile is skipped, by one of them.
    assert len(answered) + sum(poll["reason"] == "stale" for poll in claimed.polls()) == len(claims)
    assert {race: len(at) for race, at in claimed.requests().items() if len(at) > 1} == {}


def numbers(printed: str) -> list[int]:
    return [int(word) for word in printed.strip().strip("[]").split(",") if word.strip()]
