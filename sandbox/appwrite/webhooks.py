"""The webhooks of the project as they are stored."""

import json
import secrets
import sqlite3
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sandbox.appwrite.call import read_flag
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.events import Event, can_subscribe

MOST_FAILURES = 10
SHORTEST_SECRET, LONGEST_SECRET = 8, 256


@dataclass(frozen=True)
class Webhook:
    """One webhook. `attempts` counts the failures in a row, `logs` has the reason of the last of them."""

    id: str
    name: str
    url: str
    events: list[str]
    secret: str
    enabled: bool
    tls: bool
    created_at: str
    updated_at: str
    attempts: int = 0
    logs: str = ""

    def wants(self, event: Event) -> bool:
        return self.enabled and not set(self.events).isdisjoint(event.names)

    def after(self, failure: str) -> "Webhook":
        """The webhook after a call that failed for this reason or succeeded; the tenth failure in a row disables it."""
        attempts = self.attempts + 1 if failure else 0
        enabled = self.enabled and attempts < MOST_FAILURES
        return replace(self, attempts=attempts, enabled=enabled, logs=failure or self.logs)


def webhooks(db: sqlite3.Connection) -> list[Webhook]:
    return [Webhook(**json.loads(row["spec"])) for row in db.execute("SELECT spec FROM webhooks ORDER BY pk")]


def find_webhook(db: sqlite3.Connection, webhook_id: str) -> Webhook:
    for webhook in webhooks(db):
        if webhook.id == webhook_id:
            return webhook
    raise ApiError("webhook_not_found", webhook_id)


def add_webhook(db: sqlite3.Connection, webhook: Webhook) -> None:
    try:
        db.execute("INSERT INTO webhooks (id, spec) VALUES (?, ?)", [webhook.id, json.dumps(asdict(webhook))])
    except sqlite3.IntegrityError as exc:
        raise ApiError("webhook_already_exists", webhook.id) from exc


def save_webhook(db: sqlite3.Connection, webhook: Webhook) -> None:
    db.execute("UPDATE webhooks SET spec = ? WHERE id = ?", [json.dumps(asdict(webhook)), webhook.id])


def remove_webhooks(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM webhooks")


def read_settings(body: JsonObject, *, now: datetime) -> JsonObject:
    """The fields of a webhook that a request sets. Raises general_argument_invalid.

    Addresses of this machine are accepted, as real servers accept them in development only.
    """
    name, url, events = (body.get(field) for field in ("name", "url", "events"))
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise ApiError("general_argument_invalid", "name")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ApiError("general_argument_invalid", "url")
    if not isinstance(events, list) or len(events) > 100 or not all(map(can_subscribe, events)):
        raise ApiError("general_argument_invalid", "events")
    flags = {flag: read_flag(body, flag, default) for flag, default in (("enabled", True), ("tls", False))}
    return {"name": name, "url": url, "events": events, **flags, "updated_at": canonical(now)}


def new_webhook(webhook_id: str, body: JsonObject, *, now: datetime) -> Webhook:
    """The webhook that a request describes, with its secret or a random one. Raises general_argument_invalid."""
    secret = body.get("secret") or secrets.token_hex(64)
    if not isinstance(secret, str) or not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise ApiError("general_argument_invalid", "secret")
    return Webhook(id=webhook_id, secret=secret, created_at=canonical(now), **read_settings(body, now=now))


def webhook_view(webhook: Webhook, *, secret: bool = False) -> JsonObject:
    """The secret is shown when the webhook is created and never again."""
    return {
        "$id": webhook.id,
        "$createdAt": webhook.created_at,
        "$updatedAt": webhook.updated_at,
        "name": webhook.name,
        "description": "",
        "url": webhook.url,
        "events": webhook.events,
        "tls": webhook.tls,
        "authUsername": "",
        "authPassword": "",
        "secret": webhook.secret if secret else "",
        "enabled": webhook.enabled,
        "logs": webhook.logs,
        "attempts": webhook.attempts,
    }
