"""Transactions of the stand-in, beyond what the conformance kit looks at."""

import time
from typing import Any

import pytest
import requests

from tests.sandbox.appwrite_api import ROWS, Client
from tests.sandbox.receiver import receiving

PATH = "/tablesdb/transactions"


def begun(client: Client) -> str:
    reply = client.call("POST", PATH, {"ttl": 60})
    assert reply.status_code == 201, reply.text
    return str(reply.json()["$id"])


def operation(action: str, row_id: str = "", data: Any = None) -> dict[str, Any]:
    made = {"action": action, "databaseId": "main", "tableId": "races", "rowId": row_id, "data": data}
    return {name: part for name, part in made.items() if part not in (None, "")}


def stage(client: Client, transaction: str, *operations: dict[str, Any]) -> requests.Response:
    return client.call("POST", f"{PATH}/{transaction}/operations", {"operations": list(operations)})


def commit(client: Client, transaction: str) -> requests.Response:
    return client.call("PATCH", f"{PATH}/{transaction}", {"commit": True})


def outcome(reply: requests.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"]


def test_a_committed_transaction_is_gone_and_a_rolled_back_one_has_failed(races: Client) -> None:
    done, undone = begun(races), begun(races)
    stage(races, done, operation("create", "a", {"name": "A"}))
    assert commit(races, done).json()["status"] == "committed"
    assert outcome(races.call("GET", f"{PATH}/{done}")) == (404, "transaction_not_found")
    races.call("PATCH", f"{PATH}/{undone}", {"rollback": True})
    assert races.call("GET", f"{PATH}/{undone}").json()["status"] == "failed"
    assert outcome(commit(races, undone)) == (400, "transaction_not_ready")
    assert races.call("DELETE", f"{PATH}/{undone}").status_code == 204
    assert undone not in [entry["$id"] for entry in races.call("GET", PATH).json()["transactions"]]


def test_both_ways_to_end_at_once_are_refused(races: Client) -> None:
    reply = races.call("PATCH", f"{PATH}/{begun(races)}", {"commit": True, "rollback": True})
    assert outcome(reply) == (400, "general_bad_request")


def test_an_expired_transaction_takes_nothing_and_does_nothing(races: Client) -> None:
    transaction = begun(races)
    stage(races, transaction, operation("create", "a", {"name": "A"}))
    races.control("POST", "faults", {"kind": "transactions_expired"})
    assert outcome(commit(races, transaction)) == (410, "transaction_expired")
    assert outcome(stage(races, transaction, operation("create", "b", {"name": "B"}))) == (410, "transaction_expired")
    assert outcome(races.call("GET", ROWS, params={"transactionId": transaction})) == (410, "transaction_expired")
    assert races.ids() == []


def test_bulk_writes_are_staged_as_one_operation_and_done_at_the_commit(races: Client) -> None:
    races.create_many({"$id": "a", "name": "A"}, {"$id": "b", "name": "B"}, {"$id": "c", "name": "C"})
    transaction = begun(races)
    staged = {"transactionId": transaction}
    rows = [{"$id": "d", "name": "D"}, {"$id": "e", "name": "E"}]
    replies = [
        races.call("POST", ROWS, {**staged, "rows": rows}),
        races.call("PUT", ROWS, {**staged, "rows": [{"$id": "a", "name": "Other"}]}),
        races.call("PATCH", ROWS, {**staged, "data": {"runners": 5}, "queries": []}),
        races.call("DELETE", ROWS, {**staged, "queries": ['{"method":"equal","attribute":"$id","values":["b"]}']}),
    ]
    assert [reply.json() for reply in replies[:2]] == [{"total": 2, "rows": []}, {"total": 1, "rows": []}]
    assert [reply.json()["rows"] for reply in replies[2:]] == [[], []]
    assert races.call("GET", f"{PATH}/{transaction}").json()["operations"] == 4
    assert (races.ids(), commit(races, transaction).status_code) == (["a", "b", "c"], 200)
    rows = races.listed()["rows"]
    assert [(row["name"], row["runners"]) for row in rows] == [("Other", 5), ("C", 5), ("D", 5), ("E", 5)]


@pytest.mark.parametrize(
    "operation",
    [
        operation("bulkUpdate", data={"data": {"runners": 5}}),
        operation("bulkUpsert", data=[{"$id": "a", "name": "Ours"}]),
        operation("bulkDelete", data={"queries": []}),
        operation("delete", "a"),
    ],
)
def test_a_change_after_staging_is_a_conflict_for_every_kind_of_write(races: Client, operation: dict[str, Any]) -> None:
    races.create("a", name="A")
    transaction = begun(races)
    assert stage(races, transaction, operation).status_code == 201
    time.sleep(0.002)
    races.patch("a", name="Theirs")
    assert outcome(commit(races, transaction)) == (409, "transaction_conflict")
    assert races.get("a").json()["name"] == "Theirs"


def test_a_transaction_does_not_conflict_with_itself(races: Client) -> None:
    transaction = begun(races)
    stage(races, transaction, operation("create", "a", {"name": "A"}), operation("update", "a", {"name": "B"}))
    time.sleep(0.002)
    stage(races, transaction, operation("update", "a", {"runners": 1}))
    assert commit(races, transaction).status_code == 200
    row = races.get("a").json()
    assert (row["name"], row["runners"]) == ("B", 1)


def test_a_row_that_is_nowhere_cannot_be_staged(races: Client) -> None:
    transaction = begun(races)
    assert outcome(stage(races, transaction, operation("update", "a", {"name": "A"}))) == (404, "document_not_found")
    assert outcome(stage(races, transaction, operation("delete", "a"))) == (404, "document_not_found")
    assert races.call("GET", f"{PATH}/{transaction}").json()["operations"] == 0


def test_a_bad_value_is_found_at_the_commit(races: Client) -> None:
    transaction = begun(races)
    stage(races, transaction, operation("create", "a", {"name": "A"}), operation("create", "b", {"runners": "many"}))
    assert outcome(commit(races, transaction)) == (400, "document_invalid_structure")
    assert races.ids() == []
    assert races.call("GET", f"{PATH}/{transaction}").json()["status"] == "failed"


@pytest.mark.parametrize(
    ("operations", "kind"),
    [
        ("create", "general_argument_invalid"),
        ([operation("update", data={"name": "A"})], "general_bad_request"),
        ([operation("bulkCreate", data={"name": "A"})], "general_argument_invalid"),
        ([operation("bulkUpsert", data=["a"])], "general_argument_invalid"),
        ([{**operation("create", "a", {"name": "A"}), "tableId": 5}], "general_argument_invalid"),
    ],
)
def test_bad_operations_are_refused(races: Client, operations: Any, kind: str) -> None:
    reply = races.call("POST", f"{PATH}/{begun(races)}/operations", {"operations": operations})
    assert outcome(reply) == (400, kind)


def test_a_guest_has_no_transactions(races: Client) -> None:
    reply = races.call("POST", PATH, {}, headers={"X-Appwrite-Key": None})
    assert outcome(reply) == (401, "general_unauthorized_scope")


def test_webhooks_are_told_of_single_operations_only_and_of_upserts_as_updates(races: Client) -> None:
    races.create("a", name="A")
    races.create("b", name="B")
    with receiving() as receiver:
        races.control("POST", "webhooks", {"url": receiver.url})
        transaction = begun(races)
        stage(
            races,
            transaction,
            operation("bulkCreate", data=[{"$id": "silent", "name": "C"}]),
            operation("create", "c", {"name": "C"}),
            operation("upsert", "a", {"$id": "a", "name": "D"}),
            operation("delete", "b"),
        )
        assert commit(races, transaction).status_code == 200
        assert receiver.changes(3) == ["c.create", "a.update", "b.delete"]
        row = receiver.told[0].row
    races.control("DELETE", "webhooks")
    assert (row["$tableId"], row["$collectionId"], "$databaseId" in row) == ("races", "races", False)
    assert races.ids() == ["a", "silent", "c"]


def test_a_row_staged_in_bulk_can_be_changed_in_the_same_transaction(races: Client) -> None:
    transaction = begun(races)
    stage(races, transaction, operation("bulkCreate", data=[{"$id": "a", "name": "A"}]))
    assert stage(races, transaction, operation("update", "a", {"name": "B"})).status_code == 201
    assert (commit(races, transaction).status_code, races.get("a").json()["name"]) == (200, "B")
