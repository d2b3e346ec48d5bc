"""Requests to the servers of one side: each ends in time, is bounded, is never redirected, and fails as our errors."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http import cookiejar
from math import inf
from typing import Any

import requests

from polling.errors import SAMPLE_BYTES, Malformed, OutOfTime, Unavailable
from polling.http.deadline import Deadline, DeadlineAdapter
from polling.http.foreign_errors import FOREIGN_ERRORS, is_timeout, translate
from polling.http.route import Route

POOL_SIZE = 20  # connections kept open to one host; more requests than this at once only open and drop
CONNECT_SECONDS = 3.05
CHUNK_BYTES = 64 * 1024
CLOCK_GRAIN = 0.05
HEADERS = {"User-Agent": "racepoll", "Accept": "application/json", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status, its body still to be read."""

    status: int
    headers: Mapping[str, str]
    _subject: str
    _response: requests.Response

    def body(self, *, at_most: int) -> bytes:
        """The whole body, decompressed. Raises Malformed for one of more than `at_most` bytes."""
        body = bytearray()
        for chunk in self._response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > at_most:
                message, sample = f"{self._subject}: more than {at_most // 1024**2} MB", body[:SAMPLE_BYTES]
                raise Malformed(message, http_status=self.status, sample=sample.decode(errors="replace"))
        return bytes(body)

    def sample(self) -> str:
        """The start of the body; empty where it cannot be had, because then the status alone says what matters."""
        try:
            return next(self._response.iter_content(SAMPLE_BYTES), b"").decode(errors="replace")
        except FOREIGN_ERRORS:
            return ""

    def charset(self) -> str:
        """The charset that the headers declare; empty where they declare none. requests would guess one."""
        header = Message()
        header["Content-Type"] = self.headers.get("Content-Type", "")
        return header.get_content_charset("")


class Transport:
    """HTTP along one route. Threads may share it; each process opens its own connections, and keeps them.

    `headers` go with every request; blank ones are left out.
    """

    def __init__(self, route: Route, headers: Mapping[str, str]) -> None:
        self._route = route
        self._headers = {name: value for name, value in headers.items() if value}
        self._sessions: dict[int, requests.Session] = {}

    @contextmanager
    def request(
        self,
        method: str,
        url: str,
        *,
        subject: str,
        patience_until: float,
        deadline: float = inf,
        silence_seconds: float | None = None,
        **request: Any,
    ) -> Iterator[Answer]:
        """The answer to a request, to be read inside the `with`, where errors of the network become ours too.

        By `patience_until`, an instant of time.monotonic(), the server must have answered whole, and it may not be
        silent for longer than `silence_seconds`: else it has failed. At `deadline` our own time ends, which is
        nobody's failure. `subject` begins every message. `request` is `params`, `headers` or `data` of requests.

        Raises OutOfTime at `deadline`; Unavailable where no answer came; Ambiguous where that of a write (any method
        but GET) was lost after it was sent; Blocked for a URL, a header, a certificate or a CA file that must be
        corrected; Malformed for a body that cannot be decompressed.
        """
        began = time.monotonic()
        if began >= min(deadline, patience_until):
            error_class = OutOfTime if deadline <= patience_until else Unavailable
            raise error_class(f"{subject}: no time left to ask")
        timeout: Any = Deadline(min(deadline, patience_until), CONNECT_SECONDS, silence_seconds)
        status = None
        try:
            with self._own_session().request(method, url, timeout=timeout, stream=True, **request) as response:
                status = response.status_code
                yield Answer(status, response.headers, subject, response)
        except (*FOREIGN_ERRORS, OSError) as exc:
            now = time.monotonic()
            if now > deadline - CLOCK_GRAIN and is_timeout(exc):
                # Without the seconds: the same words from two callers are one message.
                message = f"{subject}: no answer in the time that was left"
                raise OutOfTime(message, waited_seconds=now - began) from None
            # Errors of a proxy, a certificate or a header quote passwords and keys; those of the network do not.
            if problem := self._route.problem(exc, subject=subject):
                raise problem from None
            error = translate(exc, subject=subject, is_write=method.upper() != "GET", http_status=status)
            raise error from (exc if isinstance(error, Unavailable) else None)

    def _own_session(self) -> requests.Session:
        """This process's own, made when first needed: a fork must not share its parent's sockets."""
        pid = os.getpid()
        return self._sessions.get(pid) or self._sessions.setdefault(pid, self._new_session())

    def _new_session(self) -> requests.Session:
        session = self._route.open(_Session())
        session.headers.update(HEADERS)
        session.headers.update(self._headers)
        # Threads share the session, so nothing in one answer may change what the others send.
        session.cookies.set_policy(cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, DeadlineAdapter(pool_maxsize=POOL_SIZE))
        return session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: an API that moved needs attention, and the new place may not read our headers."""
        return None
