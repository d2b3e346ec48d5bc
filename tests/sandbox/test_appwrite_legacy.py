"""The legacy routes of the stand-in, beyond what the conformance kit looks at."""

from tests.sandbox.appwrite_api import ROWS, Client
from tests.sandbox.receiver import receiving

COLLECTION = "/databases/main/collections/races"
DOCUMENTS = f"{COLLECTION}/documents"


def test_bulk_writes_of_documents_are_those_of_rows(old_races: Client) -> None:
    made = old_races.call(
        "POST", DOCUMENTS, {"documents": [{"$id": "a", "name": "A"}, {"$id": "b", "name": "B"}]}
    ).json()
    assert [document["$collectionId"] for document in made["documents"]] == ["races", "races"]
    assert old_races.ids() == ["a", "b"]
    deleted = old_races.call("DELETE", DOCUMENTS, {"queries": []}).json()
    assert (deleted["total"], old_races.ids()) == (2, [])


def test_a_collection_is_made_with_attributes_and_indexes(old_races: Client) -> None:
    path = "/databases/main/collections"
    made = old_races.call("POST", path, {"collectionId": "logs", "name": "Logs", "documentSecurity": True}).json()
    assert (made["documentSecurity"], made["attributes"]) == (True, [])
    attribute = {"key": "rows", "size": 8, "required": False}
    assert old_races.call("POST", f"{path}/logs/attributes/string", attribute).status_code == 202
    assert old_races.call("GET", f"{path}/logs/attributes/columns").json()["type"] == "attribute_not_found"
    assert [one["key"] for one in old_races.call("GET", f"{path}/logs/attributes").json()["attributes"]] == ["rows"]
    lost = old_races.call("POST", f"{path}/logs/indexes", {"key": "i", "type": "key", "attributes": ["none"]})
    assert lost.json()["type"] == "attribute_unknown"
    assert old_races.call("GET", f"{path}/logs/indexes/none").json()["type"] == "index_not_found"
    old_races.call("DELETE", f"{path}/logs")


def test_documents_scopes_open_both_apis_and_rows_scopes_one(old_races: Client) -> None:
    def status(path: str, scopes: str) -> int:
        return old_races.call("GET", path, headers={"X-Appwrite-Key": f"sandbox:{scopes}"}).status_code

    statuses = {(path, key): status(path, key) for path in (ROWS, DOCUMENTS) for key in ("rows.read", "documents.read")}
    assert list(statuses.values()) == [200, 200, 401, 200]


def test_a_transaction_stages_documents(old_races: Client) -> None:
    transaction = old_races.call("POST", "/databases/transactions", {}).json()["$id"]
    operation = {"action": "create", "databaseId": "main", "collectionId": "races", "documentId": "a"}
    staged = {"operations": [{**operation, "data": {"name": "A"}}]}
    assert old_races.call("POST", f"/databases/transactions/{transaction}/operations", staged).status_code == 201
    body = {"documentId": "b", "data": {"name": "B"}, "transactionId": transaction}
    assert old_races.call("POST", DOCUMENTS, body).json()["$collectionId"] == "races"
    assert old_races.call("PATCH", f"/databases/transactions/{transaction}", {"commit": True}).status_code == 200
    assert old_races.ids() == ["a", "b"]


def test_a_document_is_told_to_webhooks_under_both_its_names(old_races: Client) -> None:
    with receiving() as receiver:
        old_races.control("POST", "webhooks", {"url": receiver.url})
        old_races.call("POST", DOCUMENTS, {"documentId": "a", "data": {"name": "A"}})
        [told] = receiver.after(1)
    old_races.control("DELETE", "webhooks")
    assert (len(told.events), told.row["$collectionId"], "$tableId" in told.row) == (42, "races", False)


def test_only_whole_names_are_legacy(old_races: Client) -> None:
    assert old_races.call("GET", "/databases?total=0").json()["databases"][0]["$id"] == "main"
    assert old_races.call("GET", "/databasesdb").json()["type"] == "general_route_not_found"
    assert old_races.call("GET", "/tablesdb/main/collections/races").json()["type"] == "general_route_not_found"
