"""Our webhook as Appwrite keeps it: found among the project's, made, mended."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings

from polling.appwrite.api.client import Query, SyncClient, Webhooks
from polling.appwrite.api.errors import NO_SUCH_ROUTE, MissingResource, MissingScope
from polling.appwrite.schema.steps import Step, made_by_anybody
from polling.errors import Blocked

logger = logging.getLogger(__name__)

Entry = dict[str, Any]


def found(client: SyncClient) -> Entry | None:
    """Ours: by its id, or else by its URL. Raises Blocked, by which `is_hidden` knows that webhooks are not shown."""
    reply = client.call("get", "/webhooks", params={"queries": [Query.limit(100)]})
    entries = [entry for entry in reply.get("webhooks") or [] if isinstance(entry, dict)]
    ours = [entry for entry in entries if entry.get("$id") == _own_id()]
    if not settings.APPWRITE_WEBHOOK_ID:
        ours += [entry for entry in entries if entry.get("url") == settings.APPWRITE_WEBHOOK_URL]
    return next(iter(ours), None)


def is_hidden(error: Blocked) -> bool:
    """Whether the key lacks the scope, or the server, older than 1.9, shows its webhooks to no key."""
    return isinstance(error, MissingScope) or (isinstance(error, MissingResource) and error.kind in NO_SUCH_ROUTE)


def steps(client: SyncClient) -> Iterator[Step]:
    """What is wanting of the webhook, where its URL is configured and the key may look."""
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
        yield Step("create the webhook of APPWRITE_WEBHOOK_URL", partial(_create, client))
    elif wrong := faults(entry):
        yield Step(f"mend the webhook, which {' and '.join(wrong)}", partial(_mend, client, entry))


def faults(entry: Entry) -> list[str]:
    """Why it does not tell us of races, in words."""
    said = {
        "leads to another URL": entry.get("url") == (settings.APPWRITE_WEBHOOK_URL or entry.get("url")),
        "does not tell of races": event() in entry.get("events", []),
        "is disabled": entry.get("enabled", True),
    }
    return [fault for fault, is_right in said.items() if not is_right]


def event() -> str:
    """The event to subscribe to: every one of every row, as the server refuses to name upserts alone."""
    database = settings.APPWRITE_DATABASE_ID
    return f"databases.{'*' if '.' in database else database}.tables.races.rows.*"


def enable(client: SyncClient, entry: Entry) -> None:
    """Lets it call again; the server forgets its failures. Raises Blocked where the key may not."""
    _update(client, entry, entry["url"], entry["events"])


def _own_id() -> str:
    return settings.APPWRITE_WEBHOOK_ID or settings.APPWRITE_DATABASE_ID


def _create(client: SyncClient) -> None:
    with made_by_anybody():
        Webhooks(client).create(
            _own_id(),
            settings.APPWRITE_WEBHOOK_URL,
            "racepoll",
            [event()],
            enabled=True,
            tls=True,
            secret=settings.APPWRITE_WEBHOOK_SECRET,
        )


def _mend(client: SyncClient, entry: Entry) -> None:
    events = [*entry["events"], *({event()} - set(entry["events"]))]
    _update(client, entry, settings.APPWRITE_WEBHOOK_URL, events)


def _update(client: SyncClient, entry: Entry, url: str, events: list[str]) -> None:
    with made_by_anybody():
        Webhooks(client).update(entry["$id"], entry["name"], url, events, enabled=True, tls=entry.get("tls"))
