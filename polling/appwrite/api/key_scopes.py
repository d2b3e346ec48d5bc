"""Which scopes the API key lacks, found by asking for what each of them opens."""

from contextlib import suppress
from typing import Any

from django.conf import settings

from polling.appwrite.api.capabilities import canary_path
from polling.appwrite.api.client import Query, SyncClient
from polling.appwrite.api.errors import InvalidRequest, MissingResource, MissingScope
from polling.errors import NotFound

NEEDED = ("rows.read", "rows.write")
Ask = tuple[str, str, dict[str, Any]]


def lacking(client: SyncClient) -> list[str]:
    """The scopes that are missing, of those to sync with, to check the tables with, and for a webhook if one is named.

    Raises the PollingError of a key that is refused, or of a server that does not answer. Changes nothing.
    """
    return [scope for scope, ask in _asks().items() if _is_refused(client, *ask)]


def _asks() -> dict[str, Ask]:
    """A request for each scope; the scope is looked at first, so those that write name what is not there."""
    database = f"/tablesdb/{settings.APPWRITE_DATABASE_ID}"
    table, one = f"{database}/tables/races", {"queries": [Query.limit(1)]}
    webhooks = {"webhooks.read": ("get", "/webhooks", one), "webhooks.write": ("put", "/webhooks/no-such-webhook", {})}
    return {
        "rows.read": ("get", f"{table}/rows", one),
        "rows.write": ("delete", canary_path(), {}),
        "databases.read": ("get", database, {}),
        "tables.read": ("get", table, {}),
        "columns.read": ("get", f"{table}/columns", one),
        "indexes.read": ("get", f"{table}/indexes", one),
        **(webhooks if settings.APPWRITE_WEBHOOK_SECRET else {}),
    }


def _is_refused(client: SyncClient, method: str, path: str, params: dict[str, Any]) -> bool:
    try:
        with suppress(NotFound, MissingResource, InvalidRequest):
            client.call(method, path, params=params)
    except MissingScope:
        return True
    return False
