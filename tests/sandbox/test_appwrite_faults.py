"""Faults that need more than a reply: late, back-dated and racing writes, and tables that change unseen."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from sandbox.appwrite.latency import real_ms
from tests.sandbox.appwrite_api import ROWS, TABLE, Client, running, wait_until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def fault(client: Client, kind: str, **options: Any) -> None:
    reply = client.control("POST", "faults", {"kind": kind, **options})
    assert reply.status_code == 201, reply.text


def held_patch(client: Client, pool: ThreadPoolExecutor, base: str, **values: Any) -> "Future[requests.Response]":
    """A patch that was stamped and waits for the lock."""
    fault(client, "hold", method="PATCH")
    writing = pool.submit(Client(client.port).patch, "a", base, **values)
    wait_until(lambda: client.control("GET", "held").json()["total"] == 1)
    return writing


def test_a_held_write_becomes_visible_late_with_an_older_time(races: Client, pool: ThreadPoolExecutor) -> None:
    base = races.create("a", name="A").json()["$updatedAt"]
    writing = held_patch(races, pool, base, name="B")
    time.sleep(0.002)
    newer = races.create("b", name="B").json()
    assert races.get("a").json()["name"] == "A"
    assert races.control("POST", "release").json() == {"total": 1}
    late = races.get("a").json()
    assert (late["name"], writing.result().json()["$updatedAt"]) == ("B", late["$updatedAt"])
    assert late["$updatedAt"] < newer["$updatedAt"]


def test_a_hold_ends_by_itself_after_its_time(races: Client) -> None:
    fault(races, "hold", delay_ms=1)
    assert races.create("a", name="A").status_code == 201


def test_clearing_the_faults_lets_held_writes_go_on(races: Client, pool: ThreadPoolExecutor) -> None:
    base = races.create("a", name="A").json()["$updatedAt"]
    writing = held_patch(races, pool, base, name="B")
    races.control("DELETE", "faults")
    assert writing.result().status_code == 200


def test_a_write_that_commits_late_is_answered_before_it_is_visible(races: Client) -> None:
    fault(races, "late_commit", method="POST")
    answered = races.create("a", name="A")
    time.sleep(0.002)
    newer = races.create("b", name="B").json()
    assert (answered.status_code, races.ids()) == (201, ["b"])
    races.control("POST", "release")
    late = races.get("a").json()
    assert late["$updatedAt"] == answered.json()["$updatedAt"] < newer["$updatedAt"]


def test_a_refused_write_does_not_commit_late(races: Client) -> None:
    fault(races, "late_commit")
    assert races.patch("missing", name="A").status_code == 404
    assert races.control("POST", "release").json() == {"total": 0}


def test_racing_writers_with_one_base_both_win_in_1_8_and_one_in_1_9(
    races: Client, old_server: Client, pool: ThreadPoolExecutor
) -> None:
    outcomes = {}
    for version, client in (("1.8", old_server), ("1.9", races)):
        base = client.create("a", name="A").json()["$updatedAt"]
        time.sleep(0.002)
        slow = held_patch(client, pool, base, name="Slow")
        fast = client.patch("a", base, name="Fast")
        client.control("POST", "release")
        outcomes[version] = (fast.status_code, slow.result().status_code, client.get("a").json()["name"])
    assert outcomes == {"1.8": (200, 200, "Slow"), "1.9": (200, 409, "Fast")}


def test_writes_can_share_a_millisecond(races: Client) -> None:
    fault(races, "stamp", times=3)
    rows = [races.create(row_id, name="A").json() for row_id in ("a", "b")]
    time.sleep(0.002)
    rows.append(races.patch("a", name="B").json())
    later = races.create("c", name="A").json()
    assert len({row["$updatedAt"] for row in rows}) == 1
    assert later["$updatedAt"] > rows[0]["$updatedAt"]


def test_a_write_can_be_back_dated(races: Client) -> None:
    races.create("a", name="A")
    fault(races, "stamp", at="2020-01-02T03:04:05Z")
    row = races.patch("a", name="B").json()
    assert row["$updatedAt"] == "2020-01-02T03:04:05.000+00:00"


def test_an_error_after_the_commit_hides_a_success(races: Client) -> None:
    fault(races, "status_after_commit", status=503)
    reply = races.create("a", name="A")
    assert (reply.status_code, reply.json()["type"]) == (503, "general_service_disabled")
    assert races.ids() == ["a"]


def test_a_revoked_key_stays_out_until_the_fault_is_cleared(races: Client) -> None:
    fault(races, "key_revoked", times=None, after=1)
    replies = [races.get("a") for _ in range(3)]
    assert [reply.json()["type"] for reply in replies] == ["row_not_found", "user_unauthorized", "user_unauthorized"]
    races.control("DELETE", "faults")
    assert races.get("a").status_code == 404


def test_a_key_has_the_scopes_that_it_names(races: Client) -> None:
    def asked(method: str, path: str, scopes: str) -> str:
        reply = races.call(method, path, {}, headers={"X-Appwrite-Key": f"sandbox:{scopes}"})
        return str(reply.json().get("type", reply.status_code))

    assert asked("GET", ROWS, "rows.read,tables.read") == "200"
    assert asked("GET", TABLE, "rows.read,tables.read") == "200"
    assert asked("POST", ROWS, "rows.read,tables.read") == "general_unauthorized_scope"
    assert asked("GET", "/webhooks", "rows.read") == "general_unauthorized_scope"


def test_a_recreated_table_is_empty_and_counts_anew(races: Client) -> None:
    races.create("a", name="A")
    made_at = races.call("GET", TABLE).json()["$createdAt"]
    fault(races, "table_recreated", path_contains="/tables/races/")
    assert races.get("a").status_code == 404
    row = races.create("b", name="B").json()
    assert (row["$sequence"], races.call("GET", TABLE).json()["$createdAt"] > made_at) == ("1", True)


def test_rows_can_be_gone_before_a_write(races: Client) -> None:
    races.create("a", name="A")
    fault(races, "rows_deleted", method="PATCH")
    assert races.patch("a", name="B").status_code == 404
    assert races.ids() == []


def test_a_database_can_be_gone_before_a_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("appwrite")) as client:
        client.provision()
        fault(client, "database_deleted", after=1)
        assert client.call("GET", ROWS).status_code == 200
        assert client.call("GET", ROWS).json()["type"] == "database_not_found"


def test_a_mishap_to_what_is_not_there_is_none(races: Client) -> None:
    for kind in ("rows_deleted", "database_deleted"):
        fault(races, kind)
        assert races.call("GET", "/tablesdb/none/tables/none/rows").json()["type"] == "database_not_found"
    fault(races, "rows_deleted")
    assert races.call("GET", "/webhooks").status_code == 200


@pytest.mark.parametrize("body", [{"times": 0}, {"at": "yesterday"}, {"at": 5}])
def test_a_fault_that_cannot_befall_is_refused(races: Client, body: dict[str, Any]) -> None:
    assert races.control("POST", "faults", {"kind": "stamp", **body}).status_code == 400


def test_calls_can_take_as_long_as_on_a_real_server(races: Client, pool: ThreadPoolExecutor) -> None:
    fault(races, "like_real", times=None)
    started = time.monotonic()
    row = b'{"$id": "a"}'
    replies = [pool.submit(Client(races.port).get, "a") for _ in range(8)]
    assert [reply.result().status_code for reply in replies] == [404] * 8
    # Two workers: eight calls of 5.5 ms take the time of four.
    assert time.monotonic() - started >= 4 * 0.0055
    times = [real_ms("GET", ROWS, b""), real_ms("PATCH", f"{ROWS}/a", b""), real_ms("POST", ROWS, row * 100)]
    assert [round(milliseconds) for milliseconds in times] == [10, 28, 78]
