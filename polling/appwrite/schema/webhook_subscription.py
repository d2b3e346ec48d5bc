"""Our webhook as Appwrite keeps it: found among the project's, created, corrected."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings

from polling.appwrite.api.client import Query, SyncClient, Webhooks
from polling.appwrite.api.errors import NO_SUCH_ROUTE, MissingResource, MissingScope
from polling.appwrite.schema.steps import Step, created_by_anybody
from polling.errors import Blocked

logger = logging.getLogger(__name__)

Entry = dict[str, Any]


def found(client: SyncClient) -> Entry | None:
    """Our webhook, by its id or else by its URL; None where there is none. Raises Blocked: see `is_hidden`."""
    reply = client.call("get", "/webhooks", params={"queries": [Query.limit(100)]})
    entries = [entry for entry in reply.get("webhooks") or [] if isinstance(entry, dict)]
    ours = [entry for entry in entries if entry.get("$id") == _own_id()]
    if not settings.APPWRITE_WEBHOOK_ID:
        ours += [entry for entry in entries if entry.get("url") == settings.APPWRITE_WEBHOOK_URL]
    return next(iter(ours), None)


def is_hidden(error: Blocked) -> bool:
    """Whether webhooks are not shown: the key lacks the scope, or the server, older than 1.9, shows them to no key."""
    return isinstance(error, MissingScope) or (isinstance(error, MissingResource) and error.kind in NO_SUCH_ROUTE)


def steps(client: SyncClient) -> Iterator[Step]:
    """What is missing of the webhook, where its URL is configured and the key may look."""
    if not settings.APPWRITE_WEBHOOK_URL:
        return
    try:
        entry = found(client)
    except Blocked as error:
        if not is_hidden(error):
            raise
        logger.warning("webhooks are made in Appwrite's console: this key may not; its event is %s", event())
        return
    if entry is None:
        create = partial(Webhooks(client).create, _own_id(), settings.APPWRITE_WEBHOOK_URL, "racepoll", [event()])
        options = {"enabled": True, "tls": True, "secret": settings.APPWRITE_WEBHOOK_SECRET}
        yield Step("create the webhook of APPWRITE_WEBHOOK_URL", partial(create, **options))
    elif wrong := faults(entry):
        events = [*entry["events"], *({event()} - set(entry["events"]))]
        update = partial(_update_entry, client, entry, settings.APPWRITE_WEBHOOK_URL, events)
        yield Step(f"correct the webhook, which {' and '.join(wrong)}", update)


def faults(entry: Entry) -> list[str]:
    """Why the webhook does not report races to us, in words."""
    faults = {
        "leads to another URL": entry.get("url") == (settings.APPWRITE_WEBHOOK_URL or entry.get("url")),
        "does not report races": event() in entry.get("events", []),
        "is disabled": entry.get("enabled", True),
    }
    return [fault for fault, is_right in faults.items() if not is_right]


def event() -> str:
    """The event to subscribe to: every one of every row, as the server refuses to name upserts alone."""
    database = settings.APPWRITE_DATABASE_ID
    return f"databases.{'*' if '.' in database else database}.tables.races.rows.*"


def enable(client: SyncClient, entry: Entry) -> None:
    """Lets the webhook call again; the server clears its failures. Raises Blocked where the key may not."""
    with created_by_anybody():
        _update_entry(client, entry, entry["url"], entry["events"])


def _own_id() -> str:
    return settings.APPWRITE_WEBHOOK_ID or settings.APPWRITE_DATABASE_ID


def _update_entry(client: SyncClient, entry: Entry, url: str, events: list[str]) -> None:
    Webhooks(client).update(entry["$id"], entry["name"], url, events, enabled=True, tls=entry.get("tls"))
