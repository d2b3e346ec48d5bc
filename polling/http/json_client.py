"""JSON objects of an API that is only read: what a provider's adapter stands on."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from polling import json_limits
from polling.errors import SAMPLE_BYTES, Blocked, Malformed, NotFound, PollingError, RateLimited, Unavailable
from polling.http.retry_after import retry_after
from polling.http.route import Route
from polling.http.transport import Answer, Transport

MAX_BODY_BYTES = json_limits.LIMITS.size
DIRECT = Route("PROVIDER", "TAB_AFFILIATES_URL")
Params = Mapping[str, str | int]

_ERROR_BY_STATUS: dict[int, type[PollingError]] = {
    401: Blocked,
    403: Blocked,
    404: NotFound,
    408: Unavailable,
    429: RateLimited,
}
_ERROR_BY_HUNDRED: dict[int, type[PollingError]] = {3: Blocked, 4: Malformed, 5: Unavailable}


class HttpClient:
    """GETs JSON objects below one base URL. Threads may share it; each process opens its own connections.

    Blank headers are left out. Raises Blocked for a base URL that is none.
    """

    def __init__(self, base_url: str, *, headers: Mapping[str, str], route: Route = DIRECT) -> None:
        try:
            self._base = urlsplit(base_url)
        except ValueError:
            raise Blocked("the base URL of a provider cannot be read") from None  # the cause would quote it
        self._transport = Transport(route, headers)

    def get_json(self, path: str, params: Params, *, deadline: float) -> dict[str, Any]:
        """The JSON object at `path`, whole before `deadline`, an instant of time.monotonic().

        Raises Unavailable, RateLimited, Blocked, NotFound or Malformed; their messages name the path alone,
        because a base URL or a query may hold a key.
        """
        url = self._base._replace(path=self._base.path.rstrip("/") + path).geturl()
        with self._transport.request("GET", url, params=params, subject=path, patience_until=deadline) as answer:
            if not 200 <= answer.status < 300:
                raise _error_of_status(answer, path)
            body = answer.body(at_most=MAX_BODY_BYTES)
        sample = body[:SAMPLE_BYTES].decode(errors="replace")
        try:
            parsed = json_limits.parse(body, charset=answer.charset())
        except json_limits.JsonRefused as exc:
            raise Malformed(f"{path}: {exc}", http_status=answer.status, sample=sample) from exc
        if not isinstance(parsed, dict):
            raise Malformed(f"{path}: not a JSON object", http_status=answer.status, sample=sample)
        return parsed


def _error_of_status(answer: Answer, path: str) -> PollingError:
    status = answer.status
    error_class = _ERROR_BY_STATUS.get(status) or _ERROR_BY_HUNDRED.get(status // 100, Malformed)
    message, sample = f"{path}: HTTP {status}", answer.sample()
    wait = retry_after(answer.headers)
    # A 503 that says when to come back is a request to wait, not a failure to retry.
    if error_class is RateLimited or (status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None):
        return RateLimited(message, http_status=status, sample=sample, retry_after=wait)
    return error_class(message, http_status=status, sample=sample)
