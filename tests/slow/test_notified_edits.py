"""An edit in Appwrite is in Django within a second, through the real webhook, web server, queue and workers."""

import contextlib
import signal
import sqlite3
import statistics
import time
from pathlib import Path

import pytest

from tests.processes import environment, eventually, free_ports, start
from tests.sandbox.appwrite_api import Client, query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ROWS = "/tablesdb/racepoll/tables/races/rows"
EDITS = 20


def test_a_notified_edit_is_in_django_within_a_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_ports(3)
    url = f"http://127.0.0.1:{port}/hooks/appwrite/"
    env = environment(tmp_path, PORT=str(port), APPWRITE_WEBHOOK_SECRET="long enough", APPWRITE_WEBHOOK_URL=url)
    output = tmp_path / "up.txt"
    process = start(env, output, "up")
    try:
        eventually("all is up", lambda: "Ctrl-C" in output.read_text(), seconds=90)
        api = Client(port + 2)
        row_id = eventually("races are in Appwrite", lambda: first_row(api), seconds=60)
        # A pull comes every 15 s: between two of them, only the notification can have reported an edit.
        waits = [seconds_until_it_is_here(api, row_id, f"note {number}", tmp_path) for number in range(EDITS)]
        delivered = api.control("GET", "deliveries").json()["deliveries"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)
    with capsys.disabled():
        print(f"\nnotified edits, seconds: median {statistics.median(waits):.3f}, longest {max(waits):.3f}")  # noqa: T201
    assert {sent["status"] for sent in delivered} == {204}, output.read_text()
    assert statistics.median(waits) < 1
    assert sorted(waits)[EDITS * 9 // 10] < 2, "the pull, and not the notifications, brought them"


def first_row(api: Client) -> str | None:
    reply = api.call("GET", ROWS, params={"queries[0]": query("limit", values=[1])})
    return reply.json()["rows"][0]["$id"] if reply.ok and reply.json()["rows"] else None


def seconds_until_it_is_here(api: Client, row_id: str, note: str, var: Path) -> float:
    began = time.monotonic()
    assert api.call("PATCH", f"{ROWS}/{row_id}", {"data": {"staff_note": note}}).ok
    path = f"file:{var}/demo.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        while not database.execute("SELECT 1 FROM races_race WHERE staff_note = ?", [note]).fetchone():
            assert time.monotonic() - began < 20, "the edit never came"
            time.sleep(0.005)
    return time.monotonic() - began
