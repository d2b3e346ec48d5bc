"""Calls of Appwrite's webhook: whether they are genuine, and which row of ours they report."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polling.appwrite.api.capabilities import signed_urls
from polling.appwrite.api.client import ID, parse_object

TABLE = "races"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose calls are ours: the URL as Appwrite knows it, to the letter. Without a `webhook` any of the project's."""

    url: str
    secret: str
    project: str
    webhook: str = ""

    def made(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the call is signed with our secret, and is of our project and webhook."""
        given = headers.get("X-Appwrite-Webhook-Signature", "").encode()
        return (
            any(hmac.compare_digest(signature(self.secret, url, body), given) for url in signed_urls(self.url))
            and headers.get("X-Appwrite-Webhook-Project-Id", "") == self.project
            and self.webhook in ("", headers.get("X-Appwrite-Webhook-Id", ""))
        )


def signature(secret: str, url: str, body: bytes) -> bytes:
    """What Appwrite signs a call with: base64 of the HMAC-SHA1 over URL and body."""
    return base64.b64encode(hmac.digest(secret.encode(), url.encode() + body, "sha1"))


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row of ours that was changed or deleted. `updated_at` is its `$updatedAt` then, or before it was deleted.

    `row` is what the call says of it, good for no more than to know our own write by.
    """

    row_id: str
    updated_at: str
    deleted: bool = False
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)


def read(body: bytes, *, events: str, database: str) -> RowChange | None:
    """The row that a genuine call reports; None where it is of another table, or cannot be read.

    The payload is the row, and nothing of it is to be applied: calls come late, twice and out of order.
    `events` are the call's names, comma-separated; some calls leave out the payload's `$databaseId`.
    """
    row = parse_object(body.decode(errors="replace")) or {}
    row_id, table = row.get("$id"), row.get("$tableId", row.get("$collectionId"))
    if table != TABLE or row.get("$databaseId", database) != database:
        return None
    if not (isinstance(row_id, str) and ID.fullmatch(row_id)):
        return None
    deleted = any(event.strip().endswith(".delete") for event in events.split(","))
    return RowChange(row_id, str(row.get("$updatedAt") or ""), deleted, row)
