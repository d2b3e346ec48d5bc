"""Appwrite's answers that are no success, as our errors: by their status, and the `type` in their body.

PollingError                  (polling/errors.py)
├── Unavailable               a 5xx, a 408, or a proxy's own answer (`foreign`): ask again
│   └── Ambiguous             a gateway lost the answer to a write: it may have landed, read it back
├── RateLimited               a 429: not before `retry_after`
├── Blocked                   a 401, 402, 403 or 407: the message names the setting to change
│   ├── MissingResource       a 404 of a project, database, table, column or route
│   └── MissingScope          a 401 of a good key that lacks a scope
├── NotFound                  a 404 of a row
├── Conflict                  a 409: the row changed, or exists already
└── Malformed                 a 400 of something before Appwrite
    └── InvalidRequest        a 400 or 413: what was sent is at fault
"""

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
from polling.http.retry_after import LONGEST_WAIT, retry_after, wait_until

LONGEST_MESSAGE = 400
ROW_GONE = ("row_not_found", "document_not_found")
LOST_BY_GATEWAY = (408, 502, 504)
APPLY = "run `manage.py appwrite_schema apply`"
NO_SUCH_ROUTE = ("", "general_route_not_found")
FOREIGN_SERVICE = "another service answers at APPWRITE_ENDPOINT"

# What is missing or wrong in the set-up, by the server's own word for it.
MISSING = {
    "project_not_found": "does not know the project of APPWRITE_PROJECT_ID, or APPWRITE_ENDPOINT names another region",
    "database_not_found": f"does not have the database of APPWRITE_DATABASE_ID; {APPLY}",
    "table_not_found": f"does not have our tables; {APPLY}",
    "column_not_found": f"lacks a column; {APPLY}",
    **dict.fromkeys(
        NO_SUCH_ROUTE,
        "has no such route: APPWRITE_ENDPOINT must end in /v1 and lead to Appwrite 1.8 or newer",
    ),
}
SETTING_AT_FAULT = {
    "user_unauthorized": "the key of APPWRITE_API_KEY is not, or no longer, accepted",
    "project_key_expired": "the key of APPWRITE_API_KEY has expired",
    "project_id_missing": "APPWRITE_PROJECT_ID did not arrive: does a proxy remove the header X-Appwrite-Project?",
    "general_access_forbidden": "APPWRITE_ENDPOINT must name the region of the project of APPWRITE_PROJECT_ID",
}


@dataclass(eq=False)
class InvalidRequest(Malformed):
    """What was sent is at fault (400, 413). `kind` is the server's own word for it (`column_not_available`)."""

    kind: str = ""


@dataclass(eq=False)
class MissingResource(Blocked):
    """A project, database, table, column or route is missing (404). `kind` as the server says it."""

    kind: str = ""


class MissingScope(Blocked):
    """The key is good, but lacks a scope (401); the message names it."""


def error_of_answer(
    status: int, body: Mapping[str, Any], *, headers: Mapping[str, str], is_write: bool, host: str
) -> PollingError:
    """The error that an answer which is no success stands for.

    `body` is its JSON object, empty where it has none; `host` begins the message, which also quotes the server's own.
    `is_write`: whether the call may have changed something, so that an answer lost by a gateway is Ambiguous.
    """
    kind = body["type"] if isinstance(body.get("type"), str) else ""
    message = f"{host}: HTTP {status} {kind} {body.get('message') or ''}".strip()[:LONGEST_MESSAGE]
    if status == 407:
        return Blocked(f"the proxy of APPWRITE_PROXY refuses us: {message}"[:LONGEST_MESSAGE], status)
    if status == 429:
        return RateLimited(message, status, retry_after=_time_to_wait(headers))
    if status in (400, 413):
        # A 400 without a type is not Appwrite's, but of something before it.
        return InvalidRequest(message, status, kind=kind) if kind or status == 413 else Malformed(message, status)
    is_own = bool(kind) or _has_headers_of_appwrite(headers)
    if status == 409 and is_own:
        return Conflict(message, status)
    if status == 408 or status >= 500:
        is_lost = is_write and status in LOST_BY_GATEWAY
        return (Ambiguous if is_lost else Unavailable)(message, status, foreign=not is_own)
    if not is_own:
        # A proxy gives such answers while the server behind it is restarted.
        return Unavailable(f"{host}: HTTP {status}, which is not Appwrite's own answer", status, foreign=True)
    if status == 404 and kind in ROW_GONE:
        return NotFound(message, status)
    if status == 404:
        missing = MISSING.get(kind, f"does not know what was asked for ({kind})")
        return MissingResource(f"{host} {missing}", status, kind=kind)
    if kind == "general_unauthorized_scope":
        scopes = " or ".join(re.findall(r'"([a-z.]+)"', str(body.get("message")))) or "?"
        return MissingScope(f"the key of APPWRITE_API_KEY lacks the scope {scopes} ({message})"[:LONGEST_MESSAGE], 401)
    setting = SETTING_AT_FAULT.get(kind)
    return Blocked(f"{setting}: {message}"[:LONGEST_MESSAGE] if setting else message, status)


def _has_headers_of_appwrite(headers: Mapping[str, str]) -> bool:
    """Whether a reply without an error type is Appwrite's. A proxy changes `Server`, but not what scripts may read."""
    exposed = headers.get("Access-Control-Expose-Headers", "")
    return headers.get("Server", "").startswith("Appwrite") or "x-appwrite" in exposed.lower()


def _time_to_wait(headers: Mapping[str, str]) -> timedelta | None:
    """How long a 429 asks to wait: `Retry-After`, also in parts of seconds, else until `X-RateLimit-Reset`, an instant
    in seconds since 1970."""
    after, reset = headers.get("Retry-After", "").strip(), headers.get("X-RateLimit-Reset", "").strip()
    if re.fullmatch(r"\d{1,9}\.\d{1,9}", after):
        return min(timedelta(seconds=float(after)), LONGEST_WAIT)
    if (wait := retry_after(headers)) is not None or not re.fullmatch(r"\d{1,11}", reset):
        return wait
    return wait_until(datetime.fromtimestamp(int(reset), tz=UTC), headers)


def lasting_foreign_answer(error: Unavailable) -> Blocked:
    """A foreign answer that has come for so long that no restart explains it: the same words for any of them."""
    return Blocked(f"{FOREIGN_SERVICE}, or Appwrite is gone behind its proxy", error.http_status)


def affects_every_row(error: Exception) -> bool:
    """Whether a call for any other row would fail the same way. A lost answer, or a 500, may be the fault of one row.

    A `http_status` below 300 is that of an answer whose body did not arrive: the connection failed.
    """
    if isinstance(error, Ambiguous) or not isinstance(error, Unavailable):
        return isinstance(error, Blocked | RateLimited)
    status = error.http_status
    is_of_proxy = error.foreign and status is not None and status < 500
    return is_of_proxy or status is None or status < 300 or status == 503


def counts_as_failure(outcome: object) -> TypeGuard[PollingError]:
    """Whether the outcome of a call is an error that counts: one that our own deadline brought about does not."""
    return isinstance(outcome, PollingError) and not isinstance(outcome, OutOfTime)
