"""Calls to Appwrite, which the official SDK's services take too: every failure is one of our errors."""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from appwrite.client import Client
from appwrite.exception import AppwriteException
from appwrite.query import Query
from appwrite.services.tables_db import TablesDB
from appwrite.services.webhooks import Webhooks
from django.conf import settings

from polling import json_limits
from polling.appwrite.api import capabilities
from polling.appwrite.api.capabilities import Version, version_text
from polling.appwrite.api.errors import error_of_answer
from polling.errors import Blocked, Malformed, OutOfTime, PollingError, Unavailable
from polling.http.retry_after import http_date
from polling.http.route import Route
from polling.http.transport import Transport

__all__ = ["Query", "Reply", "SyncClient", "TablesDB", "Webhooks", "connect", "parse_object", "sdk_errors_translated"]

DIRECT = Route("APPWRITE", "APPWRITE_ENDPOINT")
# What every call gives the server, whatever time the caller has left: it answers 408 itself after 15 s.
SILENT_SECONDS, TOTAL_SECONDS = 20.0, 30.0
MAX_BODY_BYTES = 128 * 1024 * 1024
JSON_LIMITS = replace(json_limits.LIMITS, size=MAX_BODY_BYTES)
VERSION_PATH = "/health/version"
GONE_SECONDS = 2.0  # without any answer in so much time a server is taken to be gone, and not to be slow
WEB_PAGE = (
    "answers with a web page: a login page of the network, or not Appwrite; check APPWRITE_ENDPOINT and APPWRITE_PROXY"
)
HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}")


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of a success, and its headers."""

    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def server_time(self) -> datetime | None:
        """The server's clock at its answer, to the second; None where it does not say."""
        return http_date(self.headers.get("Date", ""))


def connect() -> "SyncClient | None":
    """The client of the configured Appwrite, one per process; None where none is configured.

    Raises Blocked for settings that cannot be right.
    """
    if not settings.APPWRITE_ENDPOINT:
        return None
    if not ID.fullmatch(settings.APPWRITE_DATABASE_ID):
        raise Blocked("APPWRITE_DATABASE_ID is no Appwrite id: up to 36 of a-z, A-Z, 0-9, '.', '-' and '_'")
    return _client_of(
        settings.APPWRITE_ENDPOINT,
        settings.APPWRITE_PROJECT_ID,
        settings.APPWRITE_API_KEY,
        settings.APPWRITE_CA_FILE,
        settings.APPWRITE_PROXY,
    )


@cache
def _client_of(endpoint: str, project: str, key: str, ca_file: str, proxy: str) -> "SyncClient":
    return SyncClient(endpoint, project, key, replace(DIRECT, ca_file=ca_file, proxy=proxy))


class SyncClient(Client):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's client on our transport; the SDK's services work on it. Threads may share it."""

    def __init__(self, endpoint: str, project: str, key: str, route: Route = DIRECT) -> None:
        super().__init__()
        if not (HEADER_SAFE.fullmatch(key) and HEADER_SAFE.fullmatch(project)):
            raise Blocked("APPWRITE_API_KEY and APPWRITE_PROJECT_ID must be plain ASCII without spaces")
        self._endpoint = endpoint.rstrip("/")
        self._config = {"project": project}
        self._key = key
        self._host = _host_of(endpoint)
        self._transport = Transport(route, {"X-Appwrite-Project": project, "Content-Type": "application/json"})
        self._version: Version | None = None
        self.answered_at = -math.inf  # the last time that any call was, an instant of time.monotonic()
        self.unanswered_writes = 0  # that a caller's deadline cut off since the last write that was answered
        # Of a probe whose time was over before a slow server had answered all of it; the next one goes on from there.
        self.has_unfinished_probe = False

    @property
    def known_version(self) -> Version | None:
        """The server's version as this process last received it; None where it has not asked yet."""
        return self._version

    def server_version(self, *, refresh: bool = False, deadline: float | None = None) -> Version:
        """The server's version, asked once per process; `refresh` asks again.

        Raises Blocked for a version that is too old to sync with.
        """
        if self._version is None or refresh:
            self._version = self._fetch_version(deadline)
        return self._version

    def _fetch_version(self, deadline: float | None) -> Version:
        try:
            reported = str(self.exchange("get", VERSION_PATH, deadline=deadline).body.get("version", ""))
        except OutOfTime as error:
            if error.waited_seconds < GONE_SECONDS:
                raise
            raise Unavailable(str(error)) from None
        version = capabilities.parse_version(reported)
        if version is None:
            raise Malformed(f"{self._host} does not say which version of Appwrite it is", sample=reported)
        if version < capabilities.OLDEST_SERVER:
            raise Blocked(f"{self._host} is Appwrite {version_text(version)}; {capabilities.SUPPORTED}")
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
        is_write = method.lower() != "get"
        deadline, patience_until = math.inf if deadline is None else deadline, time.monotonic() + TOTAL_SECONDS
        headers = {**self._access_headers(path, min(deadline, patience_until)), **(headers or {})}
        content = {"data": json.dumps(params or {})} if is_write else {"params": self.flatten(dict(params or {}))}
        try:
            with self._transport.request(
                method.upper(),
                self._endpoint + path,
                subject=self._host,
                patience_until=patience_until,
                deadline=deadline,
                silence_seconds=SILENT_SECONDS,
                headers=headers,
                **content,
            ) as answer:
                body = answer.body(at_most=MAX_BODY_BYTES)
        except OutOfTime as error:
            self.unanswered_writes += is_write and error.waited_seconds > 0
            raise
        self.answered_at = time.monotonic()
        if is_write:
            self.unanswered_writes = 0
        text = body.decode(errors="replace")
        return Reply(self._body_of_success(answer.status, answer.headers, text, is_write=is_write), answer.headers)

    def _access_headers(self, path: str, deadline: float) -> dict[str, str]:
        if path == VERSION_PATH:  # for guests alone: no key has the scope "public"
            return {}
        answer_format = capabilities.response_format(self.server_version(deadline=deadline))
        return {"X-Appwrite-Key": self._key, "X-Appwrite-Response-Format": answer_format}

    def _body_of_success(self, status: int, headers: Mapping[str, str], text: str, *, is_write: bool) -> dict[str, Any]:
        """The object in the body of a success. Raises what any other answer means."""
        if status == 204:  # real servers call this text/html
            return {}
        if 300 <= status < 400:
            where = _host_of(headers.get("Location", "")) or "another path"
            raise Blocked(f"{self._host} redirects to {where}: APPWRITE_ENDPOINT must name the final address", status)
        if status < 300:
            if (body := parse_object(text)) is not None:
                return capabilities.with_text_sequences(body)
            if _is_web_page(text):
                raise Blocked(f"{self._host} {WEB_PAGE}", status)
            raise Malformed(f"{self._host}: not a JSON object", status, text)
        text = text.replace(self._key, "***")
        error = error_of_answer(status, parse_object(text) or {}, headers=headers, is_write=is_write, host=self._host)
        error.sample = "" if _is_web_page(text) else text[:500]
        raise error


def _host_of(url: str) -> str:
    """The host and port of a URL, without a password; empty where it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


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


@contextmanager
def sdk_errors_translated() -> Iterator[None]:
    """Around the SDK's services, which raise errors of their own where a model cannot read an answer."""
    try:
        yield
    except AppwriteException as exc:
        raise error_of_sdk(exc) from None


def error_of_sdk(exc: AppwriteException) -> PollingError:
    """An error of the SDK as ours: by its code and type where it has a code, else an answer that cannot be read."""
    if not exc.code:
        return Malformed(f"Appwrite: {type(exc).__name__}")
    body = {"type": exc.type, "message": str(exc.message)}
    return error_of_answer(int(exc.code), body, headers={}, is_write=True, host="Appwrite")
