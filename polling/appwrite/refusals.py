"""What an answer of Appwrite that is no success means, by its status and the `type` in its body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from polling.errors import (
    Ambiguous,
    Blocked,
    Conflict,
    Malformed,
    NotFound,
    PollingError,
    RateLimited,
    Unavailable,
)
from polling.providers.http import http_date

LONGEST_WAIT = timedelta(hours=1)
ROW_GONE = ("row_not_found", "document_not_found")
GATEWAY_LOST_IT = (408, 502, 504)
APPLY = "run `manage.py appwrite_schema apply`"
NO_SUCH_ROUTE = ("", "general_route_not_found")
WANTING = {
    "project_not_found": "does not know the project of APPWRITE_PROJECT_ID",
    "database_not_found": f"does not have the database of APPWRITE_DATABASE_ID; {APPLY}",
    "table_not_found": f"does not have our tables; {APPLY}",
    "column_not_found": f"lacks a column; {APPLY}",
    **dict.fromkeys(
        NO_SUCH_ROUTE,
        "has no such route: APPWRITE_ENDPOINT must end in /v1 and lead to Appwrite 1.8 or newer",
    ),
}


@dataclass(eq=False)
class Refused(Malformed):
    """A 400 or 413: what was sent is at fault. `kind` is the server's own word for it (`column_not_available`)."""

    kind: str = ""


@dataclass(eq=False)
class Missing(Blocked):
    """A 404 of anything but a row: the set-up is wanting. `kind` as the server says it (`table_not_found`)."""

    kind: str = ""


class Unscoped(Blocked):
    """A 401 of a key that is good, but lacks a scope; the message names it."""


def refusal(
    status: int, body: Mapping[str, Any], *, headers: Mapping[str, str], write: bool, host: str
) -> PollingError:
    """An answer that is no success, by its status and the `type` in its body, as one of our errors."""
    kind = body["type"] if isinstance(body.get("type"), str) else ""
    said = f"{host}: HTTP {status} {kind} {body.get('message') or ''}".strip()[:400]
    if status == 404:
        wanting = WANTING.get(kind, f"does not know what was asked for ({kind})")
        return NotFound(said, status) if kind in ROW_GONE else Missing(f"{host} {wanting}", status, kind=kind)
    if status == 401:
        return _unauthorized(said, kind, body)
    if status == 429:
        return RateLimited(said, status, retry_after=_wait(headers))
    if status in (400, 413):
        # A 400 without a type is not Appwrite's, but of something before it.
        return Refused(said, status, kind=kind) if kind or status == 413 else Malformed(said, status)
    if status == 409:
        return Conflict(said, status)
    if write and status in GATEWAY_LOST_IT:
        return Ambiguous(said, status)
    return Unavailable(said, status) if status == 408 or status >= 500 else Blocked(said, status)


def _unauthorized(said: str, kind: str, body: Mapping[str, Any]) -> Blocked:
    if kind != "general_unauthorized_scope":
        return Blocked(f"the key of APPWRITE_API_KEY is not, or no longer, accepted: {said}"[:400], 401)
    scopes = re.findall(r'"([a-z.]+)"', str(body.get("message")))
    return Unscoped(f"the key of APPWRITE_API_KEY lacks the scope {' or '.join(scopes) or '?'} ({said})"[:400], 401)


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    """How long a 429 asks to wait: `Retry-After` in seconds or as a date, else `X-RateLimit-Reset`, an epoch.

    Instants are measured from the reply's own `Date`, so that neither side's clock matters.
    """
    told_at = http_date(headers.get("Date", ""))
    after, reset = headers.get("Retry-After", "").strip(), headers.get("X-RateLimit-Reset", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", after):
        return min(timedelta(seconds=float(after)), LONGEST_WAIT)
    until = http_date(after)
    if until is None and re.fullmatch(r"\d{1,11}", reset):
        until = datetime.fromtimestamp(int(reset), tz=UTC)
    return min(max(until - told_at, timedelta()), LONGEST_WAIT) if until and told_at else None
