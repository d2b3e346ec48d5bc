"""JSON over HTTP under one total deadline, with every foreign error made one of ours."""

import http.client
import io
import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from http import cookiejar
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from polling import json_limits
from polling.errors import (
    SAMPLE_BYTES,
    Blocked,
    Malformed,
    NotFound,
    PollingError,
    RateLimited,
    Unavailable,
)
from polling.server_route import Route

POOL_SIZE = 20  # connections kept open to one host; more requests than this at once only open and drop
MAX_BODY_BYTES = json_limits.LIMITS.size
CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 3.0
LONGEST_WAIT = timedelta(hours=1)

Params = Mapping[str, str | int]
DIRECT = Route("PROVIDER", "TAB_AFFILIATES_URL")


class HttpClient:
    """GETs JSON objects below one base URL. Threads may share it; each process opens its own connections.

    Blank headers are left out. Raises Blocked for a base URL that is none.
    """

    def __init__(self, base_url: str, *, headers: Mapping[str, str], route: Route = DIRECT) -> None:
        try:
            self._base = urlsplit(base_url)
        except ValueError:
            raise Blocked("the base URL of a provider cannot be read") from None  # the cause would quote it
        self._headers = {name: value for name, value in headers.items() if value}
        self._route = route
        self._sessions: dict[int, requests.Session] = {}

    def get_json(self, path: str, params: Params, *, deadline: float) -> Any:
        """The JSON object at `path`, whole before `deadline`, an instant of time.monotonic().

        Raises Unavailable, RateLimited, Blocked, NotFound or Malformed; their messages name the path alone,
        because a base URL or a query may hold a key.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{path}: no time left to ask")
        status = None
        try:
            with self._session().get(self._url(path), params=params, timeout=left, stream=True) as reply:
                status = reply.status_code
                _raise_for_status(reply, path)
                body, charset = _body(reply, path), _charset(reply)
        except (*FOREIGN_ERRORS, OSError) as exc:
            problem = self._route.problem(exc, host=path)
            # An error of a proxy or a certificate quotes addresses, and they may hold a password.
            raise problem or translate(exc, path=path, http_status=status) from (None if problem else exc)
        return _parsed(body, charset, path, status)

    def _url(self, path: str) -> str:
        return self._base._replace(path=self._base.path.rstrip("/") + path).geturl()

    def _session(self) -> requests.Session:
        """This process's own, made when first needed: a fork must not share its parent's sockets."""
        pid = os.getpid()
        return self._sessions.get(pid) or self._sessions.setdefault(pid, _open_session(self._headers, self._route))


def _open_session(headers: Mapping[str, str], route: Route) -> requests.Session:
    session = route.open(_Session())
    session.headers.update({"User-Agent": "racepoll", "Accept": "application/json", "Accept-Encoding": "gzip"})
    session.headers.update(headers)
    # Threads share the session, so nothing that one answer says may change what the others send.
    session.cookies.set_policy(cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_maxsize=POOL_SIZE))
    return session


# --- what a reply says ----------------------------------------------------------------------------------

_BY_STATUS: dict[int, type[PollingError]] = {
    401: Blocked,
    403: Blocked,
    404: NotFound,
    408: Unavailable,
    429: RateLimited,
}
_BY_HUNDRED: dict[int, type[PollingError]] = {3: Blocked, 4: Malformed, 5: Unavailable}


def _raise_for_status(reply: requests.Response, path: str) -> None:
    if 200 <= reply.status_code < 300:
        return
    error_class = _BY_STATUS.get(reply.status_code) or _BY_HUNDRED.get(reply.status_code // 100, Malformed)
    message, sample = f"{path}: HTTP {reply.status_code}", _sample(reply)
    wait = retry_after(reply.headers.get("Retry-After"), reply.headers.get("Date"))
    # A 503 that says until when is no failure to be tried again, but the wish to be left alone.
    if error_class is RateLimited or (reply.status_code == 503 and wait is not None):
        raise RateLimited(message, http_status=reply.status_code, sample=sample, retry_after=wait)
    raise error_class(message, http_status=reply.status_code, sample=sample)


def _sample(reply: requests.Response) -> str:
    """The start of the body, empty where it cannot be had: the status says what matters."""
    try:
        return _text(next(reply.iter_content(SAMPLE_BYTES), b""))
    except FOREIGN_ERRORS:
        return ""


def retry_after(value: str | None, date: str | None) -> timedelta | None:
    """How long a `Retry-After` of seconds or of an HTTP date asks to wait, at most an hour; None if unreadable.

    A date is measured from the reply's own `Date`, so that neither side's clock matters.
    """
    value = (value or "").strip()
    if value.isascii() and value.isdecimal():
        # Nine digits are decades already; Python refuses to read numbers of thousands.
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    until, told_at = http_date(value), http_date(date or "")
    if until is None or told_at is None:
        return None
    return min(max(until - told_at, timedelta()), LONGEST_WAIT)


def http_date(value: str) -> datetime | None:
    """The instant of an HTTP date header; None if unreadable."""
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _body(reply: requests.Response, path: str) -> bytes:
    body = bytearray()
    for chunk in reply.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            message = f"{path}: more than {MAX_BODY_BYTES // 1024**2} MB"
            raise Malformed(message, http_status=reply.status_code, sample=_text(bytes(body[:SAMPLE_BYTES])))
    return bytes(body)


def _charset(reply: requests.Response) -> str:
    """The charset that the answer declares; empty where it declares none. requests would guess one."""
    header = Message()
    header["Content-Type"] = reply.headers.get("Content-Type", "")
    return header.get_content_charset("")


def _parsed(body: bytes, charset: str, path: str, status: int | None) -> dict[str, Any]:
    try:
        parsed = json_limits.parse(body, charset=charset)
    except json_limits.JsonRefused as exc:
        raise Malformed(f"{path}: {exc}", http_status=status, sample=_text(body[:SAMPLE_BYTES])) from exc
    if not isinstance(parsed, dict):
        raise Malformed(f"{path}: not a JSON object", http_status=status, sample=_text(body[:SAMPLE_BYTES]))
    return parsed


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


# --- foreign errors -------------------------------------------------------------------------------------

# UnicodeError: a header that cannot be sent. urllib3's own errors slip through requests now and then.
FOREIGN_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError)

TRANSLATIONS: dict[type[BaseException], type[PollingError]] = {
    requests.exceptions.URLRequired: Blocked,
    requests.exceptions.MissingSchema: Blocked,
    requests.exceptions.InvalidSchema: Blocked,
    requests.exceptions.InvalidURL: Blocked,
    requests.exceptions.InvalidHeader: Blocked,
    requests.exceptions.TooManyRedirects: Blocked,
    requests.exceptions.InvalidJSONError: Malformed,
    requests.exceptions.ContentDecodingError: Malformed,
    requests.RequestException: Unavailable,
    urllib3.exceptions.DecodeError: Malformed,
    urllib3.exceptions.HTTPError: Unavailable,
    UnicodeError: Blocked,
}


def translate(exc: BaseException, *, path: str = "", http_status: int | None = None) -> PollingError:
    """A foreign error as ours, by its class. Its own text is left out: it may hold the URL with its key."""
    error_class = next((ours for kin in type(exc).__mro__ if (ours := TRANSLATIONS.get(kin))), Unavailable)
    return error_class(f"{path}: {_cause(exc)}".removeprefix(": "), http_status=http_status)


def _cause(exc: BaseException) -> str:
    """The class that says most: urllib3's reason where requests wraps one (NameResolutionError, say)."""
    inner = exc.args[0] if exc.args else exc
    reason = getattr(inner, "reason", None) or inner
    return type(reason if isinstance(reason, BaseException) else exc).__name__


# --- the deadline, under requests -----------------------------------------------------------------------


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: an API that moved is for a person to look at, and may not read our headers elsewhere."""
        return None


class _Adapter(HTTPAdapter):
    """Takes `timeout` for the seconds that connecting and the whole answer may last together. No retries:
    the next slot is one."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = urllib3.Timeout(total=kwargs["timeout"], connect=CONNECT_SECONDS)
        return super().send(request, *args, **kwargs)


class _Budgeted(io.RawIOBase):
    """What a socket receives, every wait cut to what is left. The socket's timeout alone bounds one wait,
    not the answer: a byte now and then would hold us for ever."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Headers and body share the read timeout as one budget."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Budgeted(sock, self.fp.detach()), CHUNK_BYTES)


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
