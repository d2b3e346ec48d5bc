"""What an answer of Appwrite that is no success means, by its status and the `type` in its body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from polling.errors import (
    Ambiguous,
    Blocked,
    Conflict,
    Malformed,
    NotFound,
    OutOfTime,
    PollingError,
    RateLimited,
    Unavailable,
)
from polling.http import http_date

LONGEST_WAIT = timedelta(hours=1)
ROW_GONE = ("row_not_found", "document_not_found")
GATEWAY_LOST_IT = (408, 502, 504)
APPLY = "run `manage.py appwrite_schema apply`"
NO_SUCH_ROUTE = ("", "general_route_not_found")
FOREIGN_SERVICE = "another service answers at APPWRITE_ENDPOINT"
WANTING = {
    "project_not_found": "does not know the project of APPWRITE_PROJECT_ID, or APPWRITE_ENDPOINT names another region",
    "database_not_found": f"does not have the database of APPWRITE_DATABASE_ID; {APPLY}",
    "table_not_found": f"does not have our tables; {APPLY}",
    "column_not_found": f"lacks a column; {APPLY}",
    **dict.fromkeys(
        NO_SUCH_ROUTE,
        "has no such route: APPWRITE_ENDPOINT must end in /v1 and lead to Appwrite 1.8 or newer",
    ),
}


@dataclass(eq=False)
class InvalidRequest(Malformed):
    """A 400 or 413: what was sent is at fault. `kind` is the server's own word for it (`column_not_available`)."""

    kind: str = ""


@dataclass(eq=False)
class MissingResource(Blocked):
    """A 404 of anything but a row: the set-up is wanting. `kind` as the server says it (`table_not_found`)."""

    kind: str = ""


class MissingScope(Blocked):
    """A 401 of a key that is good, but lacks a scope; the message names it."""


# Which setting a refusal is about, by the server's own word for it.
SETTING_AT_FAULT = {
    "user_unauthorized": "the key of APPWRITE_API_KEY is not, or no longer, accepted",
    "project_key_expired": "the key of APPWRITE_API_KEY has expired",
    "project_id_missing": "APPWRITE_PROJECT_ID did not arrive: does a proxy remove the header X-Appwrite-Project?",
    "general_access_forbidden": "APPWRITE_ENDPOINT must name the region of the project of APPWRITE_PROJECT_ID",
}


def error_of_answer(
    status: int, body: Mapping[str, Any], *, headers: Mapping[str, str], write: bool, host: str
) -> PollingError:
    """An answer that is no success, by its status and the `type` in its body, as one of our errors."""
    kind = body["type"] if isinstance(body.get("type"), str) else ""
    said = f"{host}: HTTP {status} {kind} {body.get('message') or ''}".strip()[:400]
    if status == 407:
        return Blocked(f"the proxy of APPWRITE_PROXY refuses us: {said}"[:400], status)
    if status == 429:
        return RateLimited(said, status, retry_after=_wait(headers))
    if status in (400, 413):
        # A 400 without a type is not Appwrite's, but of something before it.
        return InvalidRequest(said, status, kind=kind) if kind or status == 413 else Malformed(said, status)
    is_own = bool(kind) or _bears_appwrites_mark(headers)
    if status == 409 and is_own:
        return Conflict(said, status)
    if status == 408 or status >= 500:
        lost = write and status in GATEWAY_LOST_IT
        return (Ambiguous if lost else Unavailable)(said, status, foreign=not is_own)
    if not is_own:
        # A proxy gives such answers while the server behind it is restarted.
        return Unavailable(f"{host}: HTTP {status}, which is not Appwrite's own answer", status, foreign=True)
    if status == 404:
        wanting = WANTING.get(kind, f"does not know what was asked for ({kind})")
        return NotFound(said, status) if kind in ROW_GONE else MissingResource(f"{host} {wanting}", status, kind=kind)
    if kind == "general_unauthorized_scope":
        return _unscoped(said, body)
    setting = SETTING_AT_FAULT.get(kind)
    return Blocked(f"{setting}: {said}"[:400] if setting else said, status)


def _bears_appwrites_mark(headers: Mapping[str, str]) -> bool:
    """Whether a reply without an error type is Appwrite's. A proxy changes `Server`, but not what scripts may read."""
    exposed = headers.get("Access-Control-Expose-Headers", "")
    return headers.get("Server", "").startswith("Appwrite") or "x-appwrite" in exposed.lower()


def _unscoped(said: str, body: Mapping[str, Any]) -> Blocked:
    scopes = re.findall(r'"([a-z.]+)"', str(body.get("message")))
    return MissingScope(f"the key of APPWRITE_API_KEY lacks the scope {' or '.join(scopes) or '?'} ({said})"[:400], 401)


def lasting_foreign_answer(error: Unavailable) -> Blocked:
    """A foreign answer that has come for so long that no restart explains it: the same words for any of them."""
    return Blocked(f"{FOREIGN_SERVICE}, or Appwrite is gone behind its proxy", error.http_status)


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


def affects_every_row(error: Exception) -> bool:
    """Whether any other row would meet the error too. A lost answer, or a 500, may be the fault of one row."""
    if isinstance(error, Unavailable):
        is_proxys = error.foreign and (error.http_status or 0) < 500
        return (is_proxys or error.http_status in (None, 503)) and not isinstance(error, Ambiguous)
    return isinstance(error, Blocked | RateLimited)


def counts_as_failure(outcome: object) -> TypeGuard[PollingError]:
    """Whether the outcome of a call is an error that counts: one that our own deadline brought about does not."""
    return isinstance(outcome, PollingError) and not isinstance(outcome, OutOfTime)
