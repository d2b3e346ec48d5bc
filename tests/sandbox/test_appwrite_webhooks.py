"""The webhooks of the stand-in: who manages them, what they tell, and what becomes of bad receivers."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.sandbox.appwrite_api import ROWS, Client, wait_until
from tests.sandbox.receiver import Receiver, receiving

EVENTS = ["databases.*.tables.*.rows.*"]
SECRET = "webhook-secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(client: Client, url: str, **said: Any) -> dict[str, Any]:
    body = {"webhookId": "hook", "name": "Races", "url": url, "events": EVENTS, "secret": SECRET, **said}
    reply = client.call("POST", "/webhooks", body)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def sent(client: Client) -> list[dict[str, Any]]:
    """What became of the deliveries, once none is pending."""
    wait_until(lambda: client.control("GET", "deliveries").json()["pending"] == 0)
    return list(client.control("GET", "deliveries").json()["deliveries"])


def test_a_webhook_shows_its_secret_only_when_it_is_made(races: Client, receiver: Receiver) -> None:
    made = hook(races, receiver.url)
    shown = races.call("GET", "/webhooks/hook").json()
    assert (made["secret"], shown["secret"]) == (SECRET, "")
    assert {**made, "secret": ""} == shown
    assert (shown["enabled"], shown["attempts"], shown["events"]) == (True, 0, EVENTS)
    listed = races.call("GET", "/webhooks").json()
    assert listed == {"total": 1, "webhooks": [shown]}


def test_a_webhook_can_be_changed_given_another_secret_and_deleted(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    changes = {"name": "Others", "url": "https://example.org/", "events": EVENTS, "enabled": False}
    changed = races.call("PUT", "/webhooks/hook", changes).json()
    assert {key: changed[key] for key in changes} == changes
    assert races.call("PATCH", "/webhooks/hook/secret", {"secret": "another secret"}).json()["secret"] == (
        "another secret"
    )
    assert races.call("DELETE", "/webhooks/hook").status_code == 204
    gone = races.call("GET", "/webhooks/hook")
    assert (gone.status_code, gone.json()["type"]) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    "said",
    [
        {"events": ["databases.*.tables.*.rows.*.upsert"]},
        {"events": ["races.*"]},
        {"events": EVENTS[0]},
        {"url": "example.org"},
        {"secret": "short"},
        {"name": ""},
        {"enabled": "yes"},
    ],
)
def test_a_bad_webhook_is_refused(races: Client, said: dict[str, Any]) -> None:
    body = {"webhookId": "hook", "name": "Races", "url": "https://example.org/", "events": EVENTS, **said}
    reply = races.call("POST", "/webhooks", body)
    assert (reply.status_code, reply.json()["type"]) == (400, "general_argument_invalid")


def test_a_webhook_id_is_taken_once(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    again = races.call("POST", "/webhooks", {"webhookId": "hook", "name": "A", "url": receiver.url, "events": EVENTS})
    assert (again.status_code, again.json()["type"]) == (409, "webhook_already_exists")


def test_no_key_manages_webhooks_in_1_8(old_server: Client, receiver: Receiver) -> None:
    assert [old_server.call(method, "/webhooks", {}).status_code for method in ("GET", "POST")] == [404, 404]
    assert old_server.call("GET", "/webhooks").json()["type"] == "general_route_not_found"
    made = old_server.control("POST", "webhooks", {"url": receiver.url, "secret": SECRET})
    assert (made.status_code, made.json()["secret"]) == (201, SECRET)
    old_server.create("a", name="A")
    old_server.create_many({"$id": "b", "name": "B"})
    single, bulk = receiver.after(2)
    assert (len(single.events), len(bulk.events)) == (22, 42)
    assert not any("documents" in name for name in single.events)


def test_a_write_is_told_with_its_names_its_row_and_a_signature(races: Client, receiver: Receiver) -> None:
    url = f"{receiver.url}?to=ra%20ces"
    hook(races, url)
    row = races.create("a", name="Ä/B", distance=3).json()
    [told] = receiver.after(1)
    assert told.path == "/hooks/appwrite/?to=ra%20ces"
    assert told.row == row
    assert b"\\u00c4\\/B" in told.raw
    assert (len(told.events), len(set(told.events))) == (42, 42)
    assert told.events[0] == "databases.main.tables.races.rows.a.create"
    assert {"databases.*.collections.races.documents.a.create", "databases.*"} < set(told.events)
    signed = hmac.new(SECRET.encode(), unquote(url).encode() + told.raw, hashlib.sha1).digest()
    assert base64.b64decode(told.headers["X-Appwrite-Webhook-Signature"]) == signed
    named = {name: told.headers[f"X-Appwrite-Webhook-{name}"] for name in ("Id", "Name", "Project-Id", "User-Id")}
    assert named == {"Id": "hook", "Name": "Races", "Project-Id": "sandbox", "User-Id": None}
    assert told.headers["User-Agent"].startswith("Appwrite-Server v1.9.6")


def test_every_kind_of_write_is_told_once(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    races.create("a", name="A")
    races.patch("a", name="A")
    races.call("PUT", f"{ROWS}/a", {"data": {"name": "B"}})
    assert races.patch("missing", name="B").status_code == 404
    races.call("DELETE", f"{ROWS}/a")
    races.create_many({"$id": "b", "name": "B"}, {"$id": "c", "name": "C"})
    races.call("PUT", ROWS, {"rows": [{"$id": "b", "name": "D"}]})
    races.call("PATCH", ROWS, {"data": {"runners": 3}, "queries": []})
    races.call("DELETE", ROWS, {"queries": []})
    expected = ["a.create", "a.update", "a.upsert", "a.delete", "b.create", "c.create", "b.upsert"]
    expected += ["b.update", "c.update", "b.delete", "c.delete"]
    assert receiver.changes(11) == expected
    assert [entry["status"] for entry in sent(races)][-11:] == [204] * 11
    assert receiver.told[3].row["name"] == "B"


def test_only_wanted_events_are_told(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url, events=["databases.main.tables.races.rows.*.delete"])
    hook(races, receiver.url, webhookId="off", enabled=False)
    hook(races, receiver.url, webhookId="other", events=["databases.*.tables.meetings.rows.*"])
    races.create("a", name="A")
    races.call("DELETE", f"{ROWS}/a")
    sent(races)
    assert receiver.changes(1) == ["a.delete"]


def test_ten_failures_in_a_row_switch_a_webhook_off_until_it_is_switched_on_again(
    races: Client, receiver: Receiver
) -> None:
    hook(races, receiver.url)
    receiver.status = 500
    for number in range(9):
        races.create(f"a{number}", name="A")
    sent(races)
    assert races.call("GET", "/webhooks/hook").json()["attempts"] == 9
    receiver.status = 302  # counts as a success and is not followed
    races.create("b", name="B")
    sent(races)
    assert races.call("GET", "/webhooks/hook").json()["attempts"] == 0
    receiver.status = 500
    for number in range(12):
        races.create(f"c{number}", name="C")
    sent(races)
    off = races.call("GET", "/webhooks/hook").json()
    assert (off["enabled"], off["attempts"], len(receiver.told)) == (False, 10, 20)
    assert "500" in off["logs"]
    receiver.status = 204
    said = {"name": "Races", "url": receiver.url, "events": EVENTS, "enabled": True}
    assert races.call("PUT", "/webhooks/hook", said).json()["attempts"] == 0
    races.create("d", name="D")
    assert receiver.changes(21)[-1] == "d.create"


def test_an_absent_receiver_is_a_failure(races: Client) -> None:
    with receiving() as absent:
        url = absent.url
    hook(races, url)
    races.create("a", name="A")
    assert sent(races)[-1]["status"] is None
    assert races.call("GET", "/webhooks/hook").json()["attempts"] == 1


def test_webhooks_can_be_lost_doubled_and_reordered(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    races.control("POST", "faults", {"kind": "webhook_lost", "path_contains": "rows.a."})
    races.control("POST", "faults", {"kind": "webhook_doubled", "path_contains": "rows.b."})
    races.control("POST", "faults", {"kind": "webhook_reordered", "times": 2})
    for row_id in ("a", "b", "c", "d"):
        races.create(row_id, name="A")
    races.patch("a", name="B")
    sent(races)
    assert receiver.changes(5) == ["b.create", "b.create", "a.update", "d.create", "c.create"]


def test_a_webhook_that_nothing_overtakes_comes_late(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    races.control("POST", "faults", {"kind": "webhook_reordered"})
    races.create("a", name="A")
    assert receiver.told == []
    assert receiver.changes(1) == ["a.create"]
