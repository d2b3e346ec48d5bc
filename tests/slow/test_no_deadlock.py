"""Everything that writes races, at once and on the same ones: nobody waits for somebody who waits for him."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import servers
from tests.processes import ROOT, environment, eventually, free_ports, manage, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = {"ticks": 60, "polls": 90, "imports": 8, "syncs": 15, "staff": 60, "flags": 20}
PARTS = [*ROUNDS, "polls", "staff"]
DEADLOCK, LOCK_TIMEOUT = "40P01", "55P03"


@pytest.fixture
def server() -> Iterator[servers.Postgres]:
    """One of its own, so that its log is of this test alone."""
    with servers.postgres() as server:
        yield server


@pytest.fixture
def env(server: servers.Postgres, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database with the card, between a provider and an Appwrite that run."""
    port = free_ports(2)
    env = environment(
        tmp_path,
        DATABASE_URL=server.new_database(),
        DJANGO_SETTINGS_MODULE="racepoll_site.settings",
        DJANGO_SECRET_KEY="of this test",
        RACE_PROVIDERS="sandbox",
        SANDBOX_PROVIDER_URL=f"http://127.0.0.1:{port}/affiliates/v1",
        RACE_DETAIL="changed",
        POLL_WINDOWS="60:15,0:15",  # some fifty races, each due at every tick
        POLL_REQUESTS_A_MINUTE="60000",
        POLL_REQUESTS_AT_ONCE="10000",
        APPWRITE_ENDPOINT=f"http://127.0.0.1:{port + 1}/v1",
        APPWRITE_PROJECT_ID="sandbox",
        APPWRITE_API_KEY="sandbox",
        LOG_LEVEL="ERROR",
    )
    commands = {"provider": ["--port", str(port)], "appwrite": ["--port", str(port + 1), "--state", str(tmp_path)]}
    running = [start(env, tmp_path / f"{name}.txt", "sandbox", name, *words) for name, words in commands.items()]
    try:
        for name in commands:
            eventually(f"{name} serves", (tmp_path / f"{name}.txt").read_text)
        for command in (["migrate", "-v0"], ["appwrite_schema", "apply", "-v0"], ["import_schedule"]):
            done = manage(env, *command)
            assert done.returncode == 0, done.stderr
        yield env
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


@pytest.mark.timeout(1500)
def test_all_that_writes_races_at_once_never_deadlocks(
    server: servers.Postgres, env: dict[str, str], tmp_path: Path
) -> None:
    clock = [str(time.monotonic()), datetime.now(UTC).isoformat()]  # noqa: TID251 - the card is that of the wall clock
    running = [
        begin(env, tmp_path / f"{number}.txt", part, str(ROUNDS[part]), *clock) for number, part in enumerate(PARTS)
    ]
    try:
        for process in running:
            assert process.wait(900) == 0
    finally:
        for process in running:
            process.kill()

    logged = server.log.read_text().splitlines()
    assert [line for line in logged if line.startswith((DEADLOCK, LOCK_TIMEOUT))] == []
    outputs = [(tmp_path / f"{number}.txt").read_text() for number in range(len(PARTS))]
    assert outputs == [str(ROUNDS[part]) for part in PARTS], "all rounds, and no error in any"
    checked = begin(env, tmp_path / "check.txt", "check", "1", *clock)
    assert checked.wait(300) == 0, (tmp_path / "check.txt").read_text()
    plans = json.loads((tmp_path / "check.txt").read_text())
    assert (plans["wrong"], plans["moved"]) == ([], [])
    assert plans["races"] > 100


def begin(env: dict[str, str], output: Path, *arguments: str) -> subprocess.Popen[str]:
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.slow.contention", *arguments],
            cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
