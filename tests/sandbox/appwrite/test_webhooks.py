"""The webhooks of the stand-in: who manages them, what they report, and what happens with bad receivers."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.sandbox.appwrite_api import ROWS, Client, wait_until
from tests.sandbox.webhook_receiver import Receiver, receiving

EVENTS = ["databases.*.tables.*.rows.*"]
SECRET = "webhook-secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(client: Client, url: str, **options: Any) -> dict[str, Any]:
    body = {"webhookId": "hook", "name": "Races", "url": url, "events": EVENTS, "secret": SECRET, **options}
    reply = client.call("POST", "/webhooks", body)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def delivered(client: Client) -> list[dict[str, Any]]:
    """The deliveries, once none is pending."""
    wait_until(lambda: client.control("GET", "deliveries").json()["pending"] == 0)
    return list(client.control("GET", "deliveries").json()["deliveries"])


def webhook(client: Client) -> dict[str, Any]:
    [found] = client.call("GET", "/webhooks").json()["webhooks"]
    return dict(found)


def test_a_webhook_shows_its_secret_only_when_it_is_made(races: Client, receiver: Receiver) -> None:
    made = hook(races, receiver.url)
    shown = webhook(races)
    assert (made["secret"], shown["secret"]) == (SECRET, "")
    assert {**made, "secret": ""} == shown
    assert (shown["enabled"], shown["attempts"], shown["events"]) == (True, 0, EVENTS)
    assert races.call("GET", "/webhooks").json()["total"] == 1


def test_a_webhook_can_be_changed(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    changes = {"name": "Others", "url": "https://example.org/", "events": EVENTS, "enabled": False}
    changed = races.call("PUT", "/webhooks/hook", changes).json()
    assert {key: changed[key] for key in changes} == changes
    missing = races.call("PUT", "/webhooks/other", changes)
    assert (missing.status_code, missing.json()["type"]) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    "options",
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
def test_a_bad_webhook_is_refused(races: Client, options: dict[str, Any]) -> None:
    body = {"webhookId": "hook", "name": "Races", "url": "https://example.org/", "events": EVENTS, **options}
    reply = races.call("POST", "/webhooks", body)
    assert (reply.status_code, reply.json()["type"]) == (400, "general_argument_invalid")


def test_a_webhook_id_is_taken_once(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    again = races.call("POST", "/webhooks", {"webhookId": "hook", "name": "A", "url": receiver.url, "events": EVENTS})
    assert (again.status_code, again.json()["type"]) == (409, "webhook_already_exists")


def test_no_key_manages_webhooks_in_1_8(old_server: Client) -> None:
    assert [old_server.call(method, "/webhooks", {}).status_code for method in ("GET", "POST")] == [404, 404]
    assert old_server.call("GET", "/webhooks").json()["type"] == "general_route_not_found"


def test_a_write_is_reported_with_its_names_its_row_and_a_signature(races: Client, receiver: Receiver) -> None:
    url = f"{receiver.url}?to=ra%20ces"
    hook(races, url)
    row = races.create("a", name="Ä/B", distance=3).json()
    [delivery] = receiver.wait_for(1)
    assert delivery.path == "/hooks/appwrite/?to=ra%20ces"
    assert delivery.row == row
    assert b"\\u00c4\\/B" in delivery.raw
    assert (len(delivery.events), len(set(delivery.events))) == (42, 42)
    assert delivery.events[0] == "databases.main.tables.races.rows.a.create"
    assert {"databases.*.collections.races.documents.a.create", "databases.*"} < set(delivery.events)
    signed = hmac.new(SECRET.encode(), unquote(url).encode() + delivery.raw, hashlib.sha1).digest()
    assert base64.b64decode(delivery.headers["X-Appwrite-Webhook-Signature"]) == signed
    named = {name: delivery.headers[f"X-Appwrite-Webhook-{name}"] for name in ("Id", "Name", "Project-Id", "User-Id")}
    assert named == {"Id": "hook", "Name": "Races", "Project-Id": "sandbox", "User-Id": None}
    assert delivery.headers["User-Agent"].startswith("Appwrite-Server v1.9.6")


def test_every_kind_of_write_is_reported_once(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url)
    races.create("a", name="A")
    races.patch("a", name="A")
    races.call("PUT", ROWS, {"rows": [{"$id": "a", "name": "B"}]})
    assert races.patch("missing", name="B").status_code == 404
    races.call("DELETE", f"{ROWS}/a")
    races.create_many({"$id": "b", "name": "B"}, {"$id": "c", "name": "C"})
    races.call("PUT", ROWS, {"rows": [{"$id": "b", "name": "D"}]})
    races.call("PATCH", ROWS, {"data": {"runners": 3}, "queries": []})
    races.call("DELETE", ROWS, {"queries": []})
    expected = ["a.create", "a.update", "a.upsert", "a.delete", "b.create", "c.create", "b.upsert"]
    expected += ["b.update", "c.update", "b.delete", "c.delete"]
    assert receiver.changes(11) == expected
    assert [entry["status"] for entry in delivered(races)][-11:] == [204] * 11
    assert receiver.received[3].row["name"] == "B"


def test_only_subscribed_events_are_reported(races: Client, receiver: Receiver) -> None:
    hook(races, receiver.url, events=["databases.main.tables.races.rows.*.delete"])
    hook(races, receiver.url, webhookId="off", enabled=False)
    hook(races, receiver.url, webhookId="other", events=["databases.*.tables.meetings.rows.*"])
    races.create("a", name="A")
    races.call("DELETE", f"{ROWS}/a")
    delivered(races)
    assert receiver.changes(1) == ["a.delete"]


def test_ten_failures_in_a_row_switch_a_webhook_off_until_it_is_switched_on_again(
    races: Client, receiver: Receiver
) -> None:
    hook(races, receiver.url)
    receiver.status = 500
    for number in range(9):
        races.create(f"a{number}", name="A")
    delivered(races)
    assert webhook(races)["attempts"] == 9
    receiver.status = 302  # counts as a success and is not followed
    races.create("b", name="B")
    delivered(races)
    assert webhook(races)["attempts"] == 0
    receiver.status = 500
    for number in range(12):
        races.create(f"c{number}", name="C")
    delivered(races)
    off = webhook(races)
    assert (off["enabled"], off["attempts"], len(receiver.received)) == (False, 10, 20)
    assert "500" in off["logs"]
    receiver.status = 204
    settings = {"name": "Races", "url": receiver.url, "events": EVENTS, "enabled": True}
    assert races.call("PUT", "/webhooks/hook", settings).json()["attempts"] == 0
    races.create("d", name="D")
    assert receiver.changes(21)[-1] == "d.create"


def test_an_absent_receiver_is_a_failure(races: Client) -> None:
    with receiving() as absent:
        url = absent.url
    hook(races, url)
    races.create("a", name="A")
    assert delivered(races)[-1]["status"] is None
    assert webhook(races)["attempts"] == 1
