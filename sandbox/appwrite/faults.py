"""What ills a test can have befall requests and webhooks.

POST /sandbox/faults takes one as JSON: its `kind` and any of these fields (the defaults are in brackets).

    times (1)            how many requests, or deliveries of a webhook, it is for; null is until it is cleared
    after (0)            how many it lets pass first
    method (any)         only requests with this method
    path_contains ("")   only addresses with this text in them; for webhooks the longest event name, which
                         ends in `.rows.<id>.<action>`
    status, retry_after, delay_ms, at    as the kinds say

Of these a request meets the first one, instead of its answer or on top of it:

    status               an error of the API, not carried out (503); with `status` 429 and `retry_after` (seconds)
                         a rate limit
    key_revoked          401 user_unauthorized, not carried out
    html                 a page (502; with `status` 200 that of a captive portal), not carried out
    redirect             to the same address (301), not carried out
    drop                 the connection ends, not carried out
    drop_after_commit    carried out, and the connection ends instead of an answer
    status_after_commit  carried out, and answered with an error (500)
    late_commit          answered as if carried out, and carried out at the next release, or `delay_ms` later: it
                         becomes visible with the `$updatedAt` of its arrival. Give ids, not `unique()`

These go together, and with one of those:

    delay                waits for `delay_ms` and is then carried out with the `$updatedAt` of its arrival
    like_real            takes as long as the recorded server, of which two requests at once keep both cores busy
    stamp                the write's clock shows `at` (ISO); without `at`, what it showed at the first of `times`
    hold                 a write waits for the lock until the next release, or for `delay_ms`; it was stamped before,
                         and in 1.8 compared with its base before, so that two writers with one base both succeed
    table_recreated      the table in the address was made anew without its rows before the request
    rows_deleted         all rows of that table were, and no webhook told of it
    database_deleted     the database in the address was
    transactions_expired the time of all transactions was over before the request

These befall deliveries of webhooks:

    webhook_lost         it is not sent
    webhook_doubled      it is sent twice
    webhook_reordered    it is sent after the next one that is not held back, or half a second later; several in
                         reversed order
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sandbox.appwrite.call import Reply
from sandbox.appwrite.datetimes import canonical, parse
from sandbox.appwrite.errors import JsonObject, error_body
from sandbox.fault_list import FaultList

# Of these a request meets one. Each with the status of its reply, None for one without a reply of its own.
EXCLUSIVE: dict[str, int | None] = {
    "status": 503,
    "key_revoked": 401,
    "html": 502,
    "redirect": 301,
    "drop": None,
    "drop_after_commit": None,
    "status_after_commit": 500,
    "late_commit": None,
}
MISHAPS = ("table_recreated", "rows_deleted", "database_deleted", "transactions_expired")
JOINING = ("delay", "like_real", "stamp", "hold", *MISHAPS)
OF_WEBHOOKS = ("webhook_lost", "webhook_doubled", "webhook_reordered")
KINDS = (*EXCLUSIVE, *JOINING, *OF_WEBHOOKS)
INSTEAD = ("status", "key_revoked", "html", "redirect")
ERROR_TYPES = {
    401: "user_unauthorized",
    408: "database_timeout",
    429: "general_rate_limit_exceeded",
    503: "general_service_disabled",
}
PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


@dataclass(frozen=True)
class Fault:
    """One fault and the number of requests that it still is for."""

    kind: str
    times: int | None = 1
    after: int = 0
    status: int | None = None
    method: str | None = None
    path_contains: str = ""
    retry_after: float | None = None
    delay_ms: float = 0
    at: str | None = None

    def meets(self, method: str, path: str) -> bool:
        return self.method in (None, method) and self.path_contains in path

    def used(self, moment: str) -> "Fault":
        times = None if self.times is None else self.times - 1
        return replace(self, times=times, at=self.at or (moment if self.kind == "stamp" else None))


def read_fault(body: JsonObject) -> Fault:
    """Raises ValueError for an unknown kind or field, for a fault that nothing would meet, or a moment that is none."""
    if body.get("kind") not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    try:
        fault = Fault(**body)
    except TypeError as exc:
        raise ValueError(str(exc)) from exc
    if fault.times is not None and fault.times < 1:
        raise ValueError("times must be at least 1, or null for until it is cleared")
    at = canonical(parse(fault.at)) if fault.at is not None else None
    return replace(fault, status=fault.status or EXCLUSIVE.get(fault.kind), at=at)


class Faults(FaultList[Fault]):
    """The faults of this server."""

    def take(self, method: str, path: str, *, now: datetime) -> "Met":
        """What a request meets; it is used up by one."""
        return Met(self._taken(method, path, (*EXCLUSIVE, *JOINING), now))

    def take_delivery(self, event: str, *, now: datetime) -> str | None:
        """The kind of fault that the delivery of an event meets."""
        taken = self._taken("POST", event, OF_WEBHOOKS, now)
        return taken[0].kind if taken else None

    def _taken(self, method: str, path: str, kinds: Sequence[str], now: datetime) -> list[Fault]:
        taken: list[Fault] = []
        left: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                second = fault.kind not in JOINING and any(other.kind not in JOINING for other in taken)
                if fault.kind not in kinds or second or not fault.meets(method, path):
                    left.append(fault)
                elif fault.after > 0:
                    left.append(replace(fault, after=fault.after - 1))
                else:
                    taken.append(fault)
                    left.append(fault.used(canonical(now)))
            self._faults = [fault for fault in left if fault.times != 0]
        return taken


@dataclass(frozen=True)
class Met:
    """The faults that one request meets."""

    faults: Sequence[Fault]

    @property
    def exclusive(self) -> str | None:
        return next((fault.kind for fault in self.faults if fault.kind in EXCLUSIVE), None)

    @property
    def delay_seconds(self) -> float:
        return sum(fault.delay_ms for fault in self.faults if fault.kind == "delay") / 1000

    @property
    def mishaps(self) -> list[str]:
        return [fault.kind for fault in self.faults if fault.kind in MISHAPS]

    @property
    def stamp(self) -> datetime | None:
        fault = self.of("stamp")
        return parse(fault.at) if fault is not None and fault.at is not None else None

    def delay_of(self, kind: str) -> float:
        """In milliseconds; 0 where none was given."""
        fault = self.of(kind)
        return fault.delay_ms if fault is not None else 0

    def of(self, kind: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind == kind), None)

    def reply(self, here: str, version: str, kinds: Sequence[str]) -> Reply | None:
        """The reply of a fault of these kinds. A redirect leads to the same address, where a followed POST is a GET."""
        fault = next((fault for fault in self.faults if fault.kind in kinds), None)
        if fault is None or fault.status is None:
            return None
        headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
        page = PAGE.format(status=fault.status)
        if fault.kind == "redirect":
            return Reply(fault.status, page, {**headers, "Location": here}, own=False)
        if fault.kind == "html":
            return Reply(fault.status, page, headers, own=False)
        kind = ERROR_TYPES.get(fault.status, "general_unknown")
        return Reply(fault.status, error_body(fault.status, kind, "Switched on by a test", version), headers)
