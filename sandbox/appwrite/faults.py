"""The faults that a test switches on for requests to come.

POST /sandbox/faults takes one as JSON: its `kind` and any of these fields (the defaults are in brackets).

    times (1)                for how many requests; null is until it is cleared
    after (0)                how many it lets pass first
    method (any)             only requests with this method
    path_contains ("")       only addresses with this text in them
    status, retry_after      as the kinds say

A request gets the first of these, instead of its answer or on top of it:

    status               an error of the API, not carried out (503); with `status` 429 and `retry_after` (seconds)
                         a rate limit
    key_revoked          401 user_unauthorized, not carried out
    html                 a page (502; with `status` 200 that of a captive portal), not carried out
    redirect             to the same address (301), not carried out
    drop                 the connection ends, not carried out
    drop_after_commit    carried out, and the connection ends instead of an answer

These go together, and with one of those:

    like_real            takes as long as the recorded server, of which two requests at once keep both cores busy
    hold                 a write waits for the lock until the next release; it was stamped before, and in 1.8 compared
                         with its base before, so that two writers with one base both succeed
    table_recreated      before the request the table in the address was recreated without its rows
    database_deleted     before the request the database in the address was deleted
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandbox.appwrite.call import Reply
from sandbox.appwrite.errors import JsonObject, error_body
from sandbox.fault_list import CountedFault, FaultList, fault_from

# A request gets one of these. Each with the status of its reply, 0 for one without a reply of its own.
EXCLUSIVE = {
    "status": 503,
    "key_revoked": 401,
    "html": 502,
    "redirect": 301,
    "drop": 0,
    "drop_after_commit": 0,
}
DATA_LOSSES = ("table_recreated", "database_deleted")
JOINING = ("like_real", "hold", *DATA_LOSSES)
KINDS = (*EXCLUSIVE, *JOINING)
ERROR_TYPES = {
    401: "user_unauthorized",
    408: "database_timeout",
    429: "general_rate_limit_exceeded",
    503: "general_service_disabled",
}
PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


@dataclass(frozen=True)
class Fault(CountedFault):
    """One fault: see above."""

    times: int | None = 1
    after: int = 0
    status: int = 0
    method: str | None = None
    path_contains: str = ""
    retry_after: float | None = None

    def applies_to(self, method: str, path: str) -> bool:
        return self.method in (None, method) and self.path_contains in path


def read_fault(body: JsonObject) -> Fault:
    """The fault with the status of its kind. Raises ValueError."""
    fault = fault_from(body, Fault, KINDS)
    return replace(fault, status=fault.status or EXCLUSIVE.get(fault.kind, 0))


class Faults(FaultList[Fault]):
    """The faults of this server."""

    def take(self, method: str, path: str) -> "RequestFaults":
        """The faults of a request, which are used up by it."""
        taken: list[Fault] = []
        left: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                second = fault.kind in EXCLUSIVE and any(other.kind in EXCLUSIVE for other in taken)
                if second or not fault.applies_to(method, path):
                    left.append(fault)
                elif fault.after > 0:
                    left.append(replace(fault, after=fault.after - 1))
                else:
                    taken.append(fault)
                    left.append(fault.used_once())
            self._replace_faults(left)
        return RequestFaults(taken)


@dataclass(frozen=True)
class RequestFaults:
    """The faults of one request."""

    taken: Sequence[Fault]

    def __contains__(self, kind: str) -> bool:
        return any(fault.kind == kind for fault in self.taken)

    @property
    def exclusive(self) -> Fault | None:
        return next((fault for fault in self.taken if fault.kind in EXCLUSIVE), None)

    @property
    def data_losses(self) -> list[str]:
        return [fault.kind for fault in self.taken if fault.kind in DATA_LOSSES]


def fault_reply(fault: Fault, address: str, version: str) -> Reply:
    """The reply of a fault that has a status. A redirect leads to `address`, where a followed POST becomes a GET."""
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    page = PAGE.format(status=fault.status)
    if fault.kind == "redirect":
        return Reply(fault.status, page, {**headers, "Location": address}, is_from_appwrite=False)
    if fault.kind == "html":
        return Reply(fault.status, page, headers, is_from_appwrite=False)
    error_type = ERROR_TYPES.get(fault.status, "general_unknown")
    return Reply(fault.status, error_body(fault.status, error_type, "Switched on by a test", version), headers)
