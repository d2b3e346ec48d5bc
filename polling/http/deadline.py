"""The total deadline of an answer, held in its socket: a timeout alone bounds one wait, and not the answer."""

import http.client
import io
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

BUFFER_BYTES = 64 * 1024
LEAST_SECONDS = 0.001  # urllib3 refuses a timeout of nothing; the deadline may pass while a request is prepared

# Of the request that this thread sends: an adapter can hand a connection no more than the timeout of one wait.
_deadline_of_request: ContextVar[float] = ContextVar("deadline_of_request")


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a request may take; what `DeadlineAdapter` takes for a timeout.

    `at` is the instant of time.monotonic() by which the answer must be whole. Connecting may take `connect_seconds`,
    and a wait for more of the answer `silence_seconds`; None: only `at` bounds it.
    """

    at: float
    connect_seconds: float
    silence_seconds: float | None = None

    def timeout(self) -> urllib3.Timeout:
        """The timeouts of the single waits, for urllib3."""
        total = max(self.at - time.monotonic(), LEAST_SECONDS)
        return urllib3.Timeout(total=total, connect=self.connect_seconds, read=self.silence_seconds)


class DeadlineAdapter(HTTPAdapter):
    """Ends each request at the Deadline that it gets as its timeout. No retries: our next run is one."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        deadline: Deadline = kwargs["timeout"]
        token = _deadline_of_request.set(deadline.at)
        try:
            return super().send(request, *args, **{**kwargs, "timeout": deadline.timeout()})
        finally:
            _deadline_of_request.reset(token)


class DeadlineReader(io.RawIOBase):
    """What a socket receives until `deadline`, every wait cut to what is left. Its own timeout bounds each wait."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, deadline: float) -> None:
        self._sock, self._raw, self._deadline = sock, raw, deadline
        self._longest_wait = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._seconds_left()
        self._sock.settimeout(min(left, self._longest_wait or left))
        count = self._raw.readinto(buffer)
        self._seconds_left()  # what came after the deadline is too late, though its wait began in time
        return count

    def _seconds_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return left

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Headers and body share one deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(DeadlineReader(sock, self.fp.detach(), _deadline_of_request.get()), BUFFER_BYTES)


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
