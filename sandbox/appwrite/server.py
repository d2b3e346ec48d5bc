"""The stand-in's HTTP: connections, bodies, faults and the request log."""

import gzip
import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.appwrite import control, headers
from sandbox.appwrite.api import UNKNOWN_PAGE, Api
from sandbox.appwrite.call import Reply
from sandbox.appwrite.control import Instruments
from sandbox.appwrite.data_loss import inflict
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.deliveries import Outbox
from sandbox.appwrite.dialects import DIALECTS
from sandbox.appwrite.faults import Faults, RequestFaults, fault_reply
from sandbox.appwrite.latency import real_ms
from sandbox.appwrite.store import Store
from sandbox.loopback_server import LoopbackServer
from sandbox.request_log import RequestLog

API_PREFIX = "/v1"
LARGEST_BODY = 12 * 2**20
GZIP_FROM = 1024

logger = logging.getLogger(__name__)


def make_server(
    port: int, *, server_version: str, state_dir: Path, request_log: Path | None = None
) -> ThreadingHTTPServer:
    """A server bound to 127.0.0.1, not yet serving; port 0 takes any free one.

    What was stored in `state_dir` is there again. Raises KeyError for a version that is not imitated.
    """
    dialect = DIALECTS[server_version]
    store = Store(state_dir)
    outbox = Outbox(store, server_version)
    return AppwriteServer(
        port, Api(store, dialect, outbox.put), Instruments(store, Faults(), outbox, RequestLog(request_log))
    )


def _utc_now() -> datetime:
    return datetime.fromtimestamp(time.time(), tz=UTC)


class Handler(BaseHTTPRequestHandler):
    """One connection. Head and body leave in one packet, without Nagle's delay."""

    server: "AppwriteServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve_request(self) -> None:
        arrived_at = _utc_now()
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            # The unread body would be taken for the next request. Appwrite itself sees nothing of it.
            self.close_connection = True
            self._send_reply(Reply(413, is_from_appwrite=False))
            return
        raw = self.rfile.read(length)
        if self.path.startswith(control.PREFIX):
            reply = control.answer(self.command, self.path, raw, self.server.instruments)
            self._send_reply(replace(reply, is_from_appwrite=False))
        else:
            self._serve_api(raw, arrived_at)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve_request

    def _serve_api(self, raw: bytes, arrived_at: datetime) -> None:
        started = time.monotonic()
        faults = self.server.instruments.faults.take(self.command, self.path)
        if "like_real" in faults:
            milliseconds = real_ms(self.command, self.path.partition("?")[0], raw)
            with self.server.instruments.pace.taking(milliseconds):
                # A real server stamps a request when it begins to work on it, not while it waits.
                reply = self._answer_with_faults(faults, raw, max(arrived_at, _utc_now()))
        else:
            reply = self._answer_with_faults(faults, raw, arrived_at)
        # Logged before it is sent: a test that has its answer finds the request counted.
        self._log_request(reply, faults, at=arrived_at, seconds=time.monotonic() - started)
        if reply is None or "drop_after_commit" in faults:
            self.close_connection = True
        else:
            self._send_reply(reply, started)

    def _log_request(self, reply: Reply | None, faults: RequestFaults, *, at: datetime, seconds: float) -> None:
        path, _, query = self.path.partition("?")
        self.server.instruments.log.add(
            {
                "method": self.command,
                "path": path,
                "query": query,
                "status": reply.status if reply else None,
                "fault": faults.exclusive.kind if faults.exclusive else None,
                "at": canonical(at),
                "duration_ms": round(seconds * 1000, 3),
            }
        )

    def _answer_with_faults(self, faults: RequestFaults, raw: bytes, now: datetime) -> Reply | None:
        """None where the connection ends instead. Rows are stamped with `now`, also those of a write that waits."""
        api, instruments = self.server.api, self.server.instruments
        if "drop" in faults:
            return None
        if faults.exclusive is not None and faults.exclusive.status:
            address = f"http://{self.headers.get('Host', '')}{self.path}"
            return fault_reply(faults.exclusive, address, api.dialect.version)
        for kind in faults.data_losses:
            inflict(kind, self.path, instruments.store, now=now)
        if not self.path.startswith(API_PREFIX + "/"):
            return Reply(404, UNKNOWN_PAGE)
        request = (self.command, self.path.removeprefix(API_PREFIX), self.headers, raw)
        if "hold" not in faults:
            return api.answer(*request, now=now)
        with instruments.held.holding() as wait:
            return api.answer(*request, now=now, before_write=wait)

    def _send_reply(self, reply: Reply, started: float | None = None) -> None:
        media_type, content = _render_body(reply.body)
        self.send_response_only(reply.status)
        self.send_header("Date", self.date_time_string())
        for name, value in {**self._usual_headers(reply, started), **reply.headers}.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", media_type)
        elif reply.status == 204:
            self.send_header("Content-Type", "text/html")  # as real servers say of no body
        if len(content) > GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            content = gzip.compress(content, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("X-Utopia-Compression", "true")
            self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _usual_headers(self, reply: Reply, started: float | None) -> dict[str, str]:
        """The headers of every reply that comes from Appwrite itself."""
        if not reply.is_from_appwrite:
            return {}
        path = self.path.partition("?")[0].removeprefix(API_PREFIX)
        seconds = 0.0 if started is None else time.monotonic() - started
        dialect = self.server.api.dialect
        return headers.usual_headers(dialect, self.command, path, reply.status, now=time.time(), seconds=seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the request log has it."""


def _render_body(body: dict[str, Any] | str | None) -> tuple[str, bytes]:
    if body is None:
        return "", b""
    if isinstance(body, str):
        return "text/html; charset=UTF-8", body.encode()
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return "application/json; charset=UTF-8", text.encode()


class AppwriteServer(LoopbackServer):
    """The server with what its connections share."""

    def __init__(self, port: int, api: Api, instruments: Instruments) -> None:
        self.api = api
        self.instruments = instruments
        super().__init__(port, Handler)

    def server_close(self) -> None:
        super().server_close()
        self.instruments.close()
