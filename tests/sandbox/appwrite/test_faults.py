"""Faults that need more than a reply: late and racing writes, and tables that are lost."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

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


def test_clearing_the_faults_lets_held_writes_go_on(races: Client, pool: ThreadPoolExecutor) -> None:
    base = races.create("a", name="A").json()["$updatedAt"]
    writing = held_patch(races, pool, base, name="B")
    races.control("DELETE", "faults")
    assert writing.result().status_code == 200


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


def test_a_revoked_key_stays_out_until_the_fault_is_cleared(races: Client) -> None:
    fault(races, "key_revoked", times=None, after=1)
    replies = [races.get("a") for _ in range(3)]
    assert [reply.json()["type"] for reply in replies] == ["row_not_found", "user_unauthorized", "user_unauthorized"]
    races.control("DELETE", "faults")
    assert races.get("a").status_code == 404


def test_a_recreated_table_is_empty_and_its_sequences_start_again(races: Client) -> None:
    races.create("a", name="A")
    made_at = races.call("GET", TABLE).json()["$createdAt"]
    fault(races, "table_recreated", path_contains="/tables/races/")
    assert races.get("a").status_code == 404
    row = races.create("b", name="B").json()
    assert (row["$sequence"], races.call("GET", TABLE).json()["$createdAt"] > made_at) == ("1", True)


def test_a_database_can_be_gone_before_a_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("appwrite")) as client:
        client.provision()
        fault(client, "database_deleted", after=1)
        assert client.call("GET", ROWS).status_code == 200
        assert client.call("GET", ROWS).json()["type"] == "database_not_found"


def test_what_does_not_exist_cannot_be_lost(races: Client) -> None:
    for kind in ("table_recreated", "database_deleted"):
        fault(races, kind)
        assert races.call("GET", "/tablesdb/none/tables/none/rows").json()["type"] == "database_not_found"
    fault(races, "table_recreated")
    assert races.call("GET", "/webhooks").status_code == 200


def test_a_fault_that_no_request_would_get_is_refused(races: Client) -> None:
    assert races.control("POST", "faults", {"kind": "hold", "times": 0}).status_code == 400
