"""A real cluster between the two simulated servers, each a process: one race followed both ways."""

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.processes import descendants, end, environment, eventually, free_ports, is_alive, manage, start


@dataclass
class Box:
    """The running system, seen from outside: its database file and the two servers."""

    var: Path
    provider: str
    appwrite: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def cluster(self) -> subprocess.Popen[str]:
        return self.processes[-1]

    def query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with contextlib.closing(sqlite3.connect(f"file:{self.var}/racepoll.sqlite3?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    def first(self, sql: str, *values: object) -> sqlite3.Row | None:
        return next(iter(self.query(sql, *values)), None)

    def requests(self) -> list[dict[str, Any]]:
        log = requests.get(f"{self.provider}/sandbox/requests", timeout=5).json()
        return list(log["requests"])

    def row(self, row_id: str, patch: dict[str, object] | None = None) -> dict[str, Any]:
        url = f"{self.appwrite}/v1/tablesdb/racepoll/tables/races/rows/{row_id}"
        headers = {"X-Appwrite-Project": "sandbox", "X-Appwrite-Key": "sandbox"}
        if patch is None:
            return dict(requests.get(url, headers=headers, timeout=5).json())
        reply = requests.patch(url, headers=headers, json={"data": patch}, timeout=5)
        reply.raise_for_status()
        return dict(reply.json())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, dict[str, str]]]:
    """The two servers and a database with the card, for all tests; and the environment of a cluster on them."""
    var, port = tmp_path_factory.mktemp("cluster"), free_ports(2)
    box = Box(var, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}")
    env = environment(
        var,
        RACE_PROVIDERS="sandbox",
        SANDBOX_PROVIDER_URL=f"{box.provider}/affiliates/v1",
        APPWRITE_ENDPOINT=f"{box.appwrite}/v1",
        APPWRITE_PROJECT_ID="sandbox",
        APPWRITE_API_KEY="sandbox",
        APPWRITE_POLL_LOGS="all",
        POLL_TICK_SECONDS="1",
        POLL_WORKERS="2",
    )
    try:
        box.processes.append(start(env, var / "provider.txt", "sandbox", "provider", "--port", str(port)))
        state = ["--state", str(var / "appwrite")]
        box.processes.append(start(env, var / "appwrite.txt", "sandbox", "appwrite", "--port", str(port + 1), *state))
        for name in ("provider", "appwrite"):
            eventually(f"{name} serves", partial((var / f"{name}.txt").read_text))
        for command in (["migrate", "-v0"], ["appwrite_schema", "apply"], ["import_schedule"]):
            done = manage(env, *command)
            assert done.returncode == 0, done.stderr
        yield box, env
    finally:
        for process in reversed(box.processes):
            end(process)


@pytest.fixture
def box(home: tuple[Box, dict[str, str]], tmp_path: Path) -> Iterator[Box]:
    """With a cluster of the test's own."""
    box, env = home
    box.processes.append(start(env, tmp_path / "cluster.txt", "qcluster"))
    yield box
    end(box.processes.pop())


SLOT_POLLED = """
    SELECT race.id, race.provider_race_id, log.slot_at, log.started_at, log.finished_at, sync.remote_id
    FROM polling_polllog log JOIN races_race race ON race.id = log.race_id
    JOIN polling_syncstate sync ON sync.local_pk = race.id AND sync."table" = 'races'
    WHERE log.trigger = 'slot' AND log.state = 'ok' AND log.changed AND race.status = 'scheduled'
    ORDER BY log.slot_at LIMIT 1
"""


@pytest.mark.timeout(180)
def test_a_race_goes_from_slot_to_appwrite_and_a_decision_comes_back(box: Box) -> None:
    race = eventually("a slot is polled", lambda: box.first(SLOT_POLLED), seconds=60)

    asked = [entry for entry in box.requests() if race["provider_race_id"] in entry["path"]]
    assert asked, "the provider's own log has the request"

    def pushed() -> dict[str, Any] | None:
        row = box.row(race["remote_id"])
        stored = box.first("SELECT * FROM races_race WHERE id = ?", race["id"])
        assert stored is not None
        return row if row.get("sync_version") == stored["version"] else None

    row = eventually("the row has what the database has", pushed)
    runners = box.query("SELECT * FROM races_runner WHERE race_id = ? ORDER BY number", race["id"])
    assert [runner["number"] for runner in json.loads(row["runners"])] == [runner["number"] for runner in runners]
    assert row["status"] == "scheduled"
    assert row["provider_race_id"] == race["provider_race_id"]

    box.row(race["remote_id"], {"staff_note": "swab the winner", "status": "finalized"})
    sql = "SELECT * FROM races_race WHERE id = ? AND status = 'finalized' AND staff_note = 'swab the winner'"
    final = eventually("both are in the database", lambda: box.first(sql, race["id"]), seconds=20)
    assert (final["finalized_by"], final["next_poll_at"]) == ("appwrite", None)
    audit = box.query(
        "SELECT change_message FROM django_admin_log JOIN auth_user ON auth_user.id = user_id"
        " WHERE username = 'appwrite' AND object_id = ?",
        str(race["id"]),
    )
    messages = " ".join(entry["change_message"] for entry in audit)
    assert "Finalized" in messages
    assert "swab the winner" in messages
    late = box.query("SELECT slot_at FROM polling_tick GROUP BY slot_at HAVING count(*) > 1")
    assert late == [], "no slot is ticked twice"


@pytest.mark.timeout(120)
def test_the_cluster_ends_on_sigterm_and_leaves_no_process(box: Box) -> None:
    cluster, before = box.cluster(), box.query("SELECT slot_at FROM polling_tick")
    eventually("it ticks", lambda: len(box.query("SELECT slot_at FROM polling_tick")) > len(before))
    running = descendants(cluster.pid)
    assert len(running) >= 7, "a supervisor, a pool, its sentinel, pusher and monitor, two workers"
    cluster.send_signal(signal.SIGTERM)
    assert cluster.wait(25) == 0
    assert [pid for pid in running if is_alive(pid)] == []
