"""Which scopes the API key lacks, found by a request for each of them."""

from contextlib import suppress
from typing import Any

from django.conf import settings

from polling.appwrite.api.capabilities import canary_path
from polling.appwrite.api.client import Query, SyncClient
from polling.appwrite.api.errors import InvalidRequest, MissingResource, MissingScope
from polling.errors import NotFound

NEEDED = ("rows.read", "rows.write")
Request = tuple[str, str, dict[str, Any]]  # method, path, parameters


def missing_scopes(client: SyncClient) -> list[str]:
    """The scopes that the key lacks of those for the sync, for checking the tables, and for a webhook if one is set.

    Raises the PollingError of a key that is refused, or of a server that does not answer. Changes nothing.
    """
    return [scope for scope, request in _requests_by_scope().items() if _lacks_scope(client, *request)]


def _requests_by_scope() -> dict[str, Request]:
    """A request for each scope. The server checks the scope first, so those that write can name what does not exist."""
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


def _lacks_scope(client: SyncClient, method: str, path: str, params: dict[str, Any]) -> bool:
    try:
        with suppress(NotFound, MissingResource, InvalidRequest):
            client.call(method, path, params=params)
    except MissingScope:
        return True
    return False
