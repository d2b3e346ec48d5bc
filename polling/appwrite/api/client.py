"""The transport under the official Appwrite SDK: kept sessions, deadlines, and every failure one of our errors."""

import json
import math
import os
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from appwrite.client import Client
from appwrite.exception import AppwriteException
from appwrite.query import Query
from appwrite.services.tables_db import TablesDB
from appwrite.services.webhooks import Webhooks
from django.conf import settings

from polling import http, json_limits
from polling.appwrite.api.capabilities import OLDEST_SERVER
from polling.appwrite.api.errors import error_of_answer
from polling.errors import Ambiguous, Blocked, Malformed, OutOfTime, PollingError, Unavailable
from polling.http import FOREIGN_ERRORS, http_date
from polling.server_route import Route, causes_of

__all__ = [
    "Query",
    "Reply",
    "SyncClient",
    "TablesDB",
    "Webhooks",
    "connect",
    "parse_object",
    "sdk_errors_translated",
    "translation",
]

DIRECT = Route("APPWRITE", "APPWRITE_ENDPOINT")
CONNECT_SECONDS, READ_SECONDS = 3.05, 20.0
TOTAL_SECONDS = 30.0
CHUNK_BYTES = 64 * 1024
MAX_BODY_BYTES = 128 * 1024 * 1024
JSON_LIMITS = replace(json_limits.LIMITS, size=MAX_BODY_BYTES)
VERSION_PATH = "/health/version"
CLOCK_GRAIN = 0.05
SILENCE_SECONDS = 2.0  # without any answer in so much time a server is taken to be gone, and not to be slow
WEB_PAGE = (
    "answers with a web page: a login page of the network, or not Appwrite; check APPWRITE_ENDPOINT and APPWRITE_PROXY"
)
HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its headers; `server_time` is the server's clock, to the second."""

    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def server_time(self) -> datetime | None:
        return http_date(self.headers.get("Date", ""))


@cache
def _client(endpoint: str, project: str, key: str, ca_file: str, proxy: str) -> "SyncClient":
    return SyncClient(endpoint, project, key, replace(DIRECT, ca_file=ca_file, proxy=proxy))


def connect() -> "SyncClient | None":
    """The client of the configured Appwrite, one a process; None where none is configured.

    Raises Blocked for settings that cannot be right.
    """
    if not settings.APPWRITE_ENDPOINT:
        return None
    if not ID.fullmatch(settings.APPWRITE_DATABASE_ID):
        raise Blocked("APPWRITE_DATABASE_ID is no Appwrite id: up to 36 of a-z, A-Z, 0-9, '.', '-' and '_'")
    return _client(
        settings.APPWRITE_ENDPOINT,
        settings.APPWRITE_PROJECT_ID,
        settings.APPWRITE_API_KEY,
        settings.APPWRITE_CA_FILE,
        settings.APPWRITE_PROXY,
    )


class SyncClient(Client):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's client with a transport that keeps its connections, ends in time and never follows a redirect.

    The SDK's services work on it. Threads may share it: a session serves one call at a time.
    """

    def __init__(self, endpoint: str, project: str, key: str, route: Route = DIRECT) -> None:
        super().__init__()
        if not (HEADER_SAFE.fullmatch(key) and HEADER_SAFE.fullmatch(project)):
            raise Blocked("APPWRITE_API_KEY and APPWRITE_PROJECT_ID must be plain ASCII without spaces")
        self._endpoint = endpoint.rstrip("/")
        self._config = {"project": project}
        self._key, self._route = key, route
        self._host = urlsplit(endpoint).netloc.rpartition("@")[2]
        self._idle: deque[requests.Session] = deque()
        self._pid = os.getpid()
        self._version: tuple[int, ...] | None = None
        self.answered_at = -math.inf  # the last time that anything was, an instant of time.monotonic()
        self.unanswered_writes = 0  # that our deadlines cut off since the last one that was answered
        # Of a probe whose time was over before a slow server had answered all of it; the next one goes on from there.
        self.has_unfinished_probe = False

    @property
    def known_version(self) -> tuple[int, ...] | None:
        """The server's version as this process last heard it; None where it has not asked yet."""
        return self._version

    def server_version(self, *, refresh: bool = False, deadline: float | None = None) -> tuple[int, ...]:
        """The server's version, asked once a process; `refresh` asks again.

        Raises Blocked for a version that is too old to sync with.
        """
        if self._version is None or refresh:
            self._version = self._ask_version(deadline)
        return self._version

    def _ask_version(self, deadline: float | None) -> tuple[int, ...]:
        try:
            told = str(self.exchange("get", VERSION_PATH, deadline=deadline).body.get("version", ""))
        except OutOfTime as error:
            if error.waited_seconds < SILENCE_SECONDS:
                raise
            raise Unavailable(str(error)) from None
        if not re.fullmatch(r"\d+(\.\d+)+", told):
            raise Malformed(f"{self._host} does not say which version of Appwrite it is", sample=told)
        version = tuple(map(int, told.split(".")))
        if version < OLDEST_SERVER:
            raise Blocked(f"{self._host} is Appwrite {told}; 1.8 or newer is needed, 1.9 recommended")
        return version

    def call(
        self,
        method: str,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        response_type: str = "json",
    ) -> dict[str, Any]:
        """What the SDK's services call. Raises the PollingErrors of `exchange`."""
        return self.exchange(method, path, headers=headers, params=params).body

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """One call, whole before `deadline`, an instant of time.monotonic(). Its `$sequence`s are text.

        Raises OutOfTime where that deadline, and not the patience of 20 to 30 s that every call has, ended it;
        Unavailable, Ambiguous (a write whose answer was lost), RateLimited, Blocked, MissingResource, NotFound,
        Conflict, InvalidRequest or Malformed.
        """
        write = method.lower() != "get"
        began = time.monotonic()
        cut_off, patience = deadline, began + TOTAL_SECONDS
        deadline = patience if deadline is None else min(deadline, patience)
        request = {
            "headers": {**self._headers(path, deadline), **(headers or {})},
            **({"data": json.dumps(params or {})} if write else {"params": self._flat(params)}),
        }
        try:
            with (
                self._session() as session,
                _asked(session, method, self._endpoint + path, request, deadline) as answer,
            ):
                content = _content(answer, deadline)
        except (*FOREIGN_ERRORS, OSError) as exc:
            # Not `from exc`: requests quotes what it cannot send, and that may be the key.
            if cut_off is not None and time.monotonic() > cut_off - CLOCK_GRAIN and _is_timeout(exc):
                self.unanswered_writes += write
                raise _out_of_time(self._host, time.monotonic() - began) from None
            raise translation(exc, write=write, host=self._host, route=self._route) from None
        self.answered_at = time.monotonic()
        if write:
            self.unanswered_writes = 0
        return Reply(self._read(answer, content), answer.headers)

    def _headers(self, path: str, deadline: float) -> dict[str, str]:
        ours = {
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": "racepoll",
            "x-appwrite-project": self._config["project"],
        }
        if path == VERSION_PATH:  # for guests alone: no key has the scope "public"
            return ours
        # A format newer than the server's, as the SDK's own is, makes it warn with every reply.
        version = ".".join(map(str, self.server_version(deadline=deadline)))
        return {**ours, "x-appwrite-key": self._key, "x-appwrite-response-format": version}

    def _flat(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        flat: dict[str, Any] = self.flatten(dict(params or {}))
        return flat

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session for one call at a time; it outlives the thread that opened it, but not a fork."""
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        try:
            session = self._idle.pop()
        except IndexError:
            session = _open_session(self._route)
        try:
            yield session
        finally:
            self._idle.append(session)

    def _read(self, answer: requests.Response, content: bytes) -> dict[str, Any]:
        """The body of a success. Raises what any other answer means."""
        status, headers = answer.status_code, answer.headers
        if status == 204:  # real servers call this text/html
            return {}
        if 300 <= status < 400:
            to = urlsplit(headers.get("Location", "")).netloc or "another path"
            raise Blocked(f"{self._host} redirects to {to}: APPWRITE_ENDPOINT must name the final address", status)
        text = content.decode(errors="replace")
        if status < 300:
            if (body := parse_object(text)) is not None:
                return _with_text_sequence(body)
            if _is_web_page(text):
                raise Blocked(f"{self._host} {WEB_PAGE}", status)
            raise Malformed(f"{self._host}: not a JSON object", status, text)
        text = text.replace(self._key, "***")
        write = answer.request.method != "GET"
        error = error_of_answer(status, parse_object(text) or {}, headers=headers, write=write, host=self._host)
        error.sample = "" if _is_web_page(text) else text[:500]
        raise error


def _open_session(route: Route) -> requests.Session:
    session = route.open(requests.Session())
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _asked(
    session: requests.Session, method: str, url: str, request: dict[str, Any], deadline: float
) -> requests.Response:
    """The start of the answer. Raises OutOfTime if no time is left to ask."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise OutOfTime("no time left to ask Appwrite")
    timeout: Any = urllib3.Timeout(total=left, connect=min(CONNECT_SECONDS, left), read=min(READ_SECONDS, left))
    return session.request(method.upper(), url, timeout=timeout, allow_redirects=False, stream=True, **request)


def _content(answer: requests.Response, deadline: float) -> bytes:
    """The whole body, chunk by chunk as they come: the socket's timeout bounds one wait, not their sum."""
    body = bytearray()
    while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=True):
        body += chunk
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the deadline of the call has passed")
        if len(body) > MAX_BODY_BYTES:
            raise requests.exceptions.ContentDecodingError("a body beyond all reason")
    return bytes(body)


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is none, or one beyond what is read."""
    try:
        body = json_limits.parse(text, limits=JSON_LIMITS)
    except json_limits.JsonRefused:
        return None
    return body if isinstance(body, dict) else None


def _is_web_page(text: str) -> bool:
    """Whether a body is a page for people. By the body alone: the types that servers and proxies name are wrong."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def _with_text_sequence(body: dict[str, Any]) -> dict[str, Any]:
    """Servers before 1.9 send `$sequence` as a number, which the SDK's models refuse."""
    rows = body.get("rows")
    for row in [body, *(rows if isinstance(rows, list) else [])]:
        if isinstance(row, dict) and isinstance(row.get("$sequence"), int):
            row["$sequence"] = str(row["$sequence"])
    return body


# --- foreign errors -------------------------------------------------------------------------------------------------

# Where Unavailable stands, a write that was sent becomes Ambiguous.
TRANSLATIONS: dict[type[BaseException], type[PollingError]] = {**http.TRANSLATIONS, AppwriteException: Malformed}
NEVER_SENT = (requests.exceptions.ConnectTimeout, urllib3.exceptions.NewConnectionError)


def translation(exc: BaseException, *, write: bool, host: str = "Appwrite", route: Route = DIRECT) -> PollingError:
    """A foreign error as ours, by its class. Its own text is left out: it may quote a header."""
    if isinstance(exc, AppwriteException) and exc.code:
        body = {"type": exc.type, "message": str(exc.message)}
        return error_of_answer(int(exc.code), body, headers={}, write=write, host=host)
    if problem := route.problem(exc, host=host):
        return problem
    causes = list(causes_of(exc))
    ours = next((ours for kin in type(exc).__mro__ if (ours := TRANSLATIONS.get(kin))), Unavailable)
    if write and ours is Unavailable and not any(isinstance(cause, NEVER_SENT) for cause in causes):
        ours = Ambiguous
    return ours(f"{host}: {type(causes[-1]).__name__}")


def _is_timeout(exc: BaseException) -> bool:
    """Whether the wait for a connection or an answer ended, and not the connection."""
    kinds = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    return any(isinstance(cause, kinds) for cause in causes_of(exc))


def _out_of_time(host: str, waited: float) -> OutOfTime:
    # Without the seconds: the same words from pull and push are one message.
    return OutOfTime(f"{host}: no answer in the time that was left", waited_seconds=waited)


@contextmanager
def sdk_errors_translated() -> Iterator[None]:
    """Around the SDK's services, which raise errors of their own where a model cannot read an answer."""
    try:
        yield
    except AppwriteException as exc:
        raise translation(exc, write=True) from None
