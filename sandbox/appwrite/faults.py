"""Faults that the next requests are to meet."""

from dataclasses import dataclass, replace

from sandbox.appwrite.call import Reply
from sandbox.appwrite.errors import JsonObject, error_body
from sandbox.fault_list import FaultList

# Each kind with the status of its reply; None for one that answers nothing or answers as usual.
KINDS: dict[str, int | None] = {
    "status": 503,
    "html": 502,
    "redirect": 301,
    "drop": None,
    "drop_after_commit": None,
    "delay": None,
}
ERROR_TYPES = {
    401: "user_unauthorized",
    408: "database_timeout",
    429: "general_rate_limit_exceeded",
    503: "general_service_disabled",
}
PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


@dataclass(frozen=True)
class Fault:
    """One fault and the number of requests that it still is for.

    `drop` closes the connection before the request is carried out, `drop_after_commit` after it.
    """

    kind: str
    times: int = 1
    status: int | None = None
    method: str | None = None
    path_contains: str = ""
    retry_after: float | None = None
    delay_ms: float = 0

    def meets(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (None, method) and self.path_contains in path


def read_fault(body: JsonObject) -> Fault:
    """Raises ValueError for an unknown kind or field."""
    if body.get("kind") not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    try:
        fault = Fault(**body)
    except TypeError as exc:
        raise ValueError(str(exc)) from exc
    return replace(fault, status=fault.status or KINDS[fault.kind])


class Faults(FaultList[Fault]):
    """The faults of this server."""

    def take(self, method: str, path: str) -> tuple[float, Fault | None]:
        """The milliseconds to wait and the first other fault for a request; each is used up by one."""
        delay_ms, chosen, left = 0.0, None, []
        with self._lock:
            for fault in self._faults:
                if not fault.meets(method, path) or (fault.kind != "delay" and chosen is not None):
                    left.append(fault)
                    continue
                if fault.kind == "delay":
                    delay_ms += fault.delay_ms
                else:
                    chosen = fault
                left.append(replace(fault, times=fault.times - 1))
            self._faults = [fault for fault in left if fault.times > 0]
        return delay_ms, chosen


def faulty_reply(fault: Fault, status: int, here: str, version: str) -> Reply:
    """A reply instead of an answer. A redirect leads to the same address, where a followed POST is a GET."""
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    if fault.kind == "redirect":
        return Reply(status, PAGE.format(status=status), {**headers, "Location": here})
    if fault.kind == "html":
        return Reply(status, PAGE.format(status=status), headers)
    kind = ERROR_TYPES.get(status, "general_unknown")
    return Reply(status, error_body(status, kind, "Switched on by a test", version), headers)
