"""The stand-in's HTTP: connections, bodies, faults and the request log."""

import gzip
import json
import logging
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.appwrite import control
from sandbox.appwrite.api import Api
from sandbox.appwrite.call import Reply
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.dialects import DIALECTS
from sandbox.appwrite.faults import Fault, Faults, faulty_reply
from sandbox.appwrite.store import Store
from sandbox.request_log import RequestLog
from sandbox.serving import LoopbackServer

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
    return AppwriteServer(port, Api(Store(state_dir), dialect), RequestLog(request_log))


class Handler(BaseHTTPRequestHandler):
    """One connection. Head and body leave in one packet, without Nagle's delay."""

    server: "AppwriteServer"
    protocol_version = "HTTP/1.1"
    server_version = "Appwrite"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self) -> None:
        arrived_at = datetime.fromtimestamp(time.time(), tz=UTC)
        raw = self._body()
        if raw is None:
            # The unread body would be taken for the next request.
            self.close_connection = True
            self._send(Reply(413))
        elif self.path.startswith(control.PREFIX):
            self._send(control.answer(self.command, self.path, raw, self.server.log, self.server.faults))
        else:
            self._serve_api(raw, arrived_at)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes | None:
        """None for a body that is too large or of unknown length."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            return None
        return self.rfile.read(length)

    def _serve_api(self, raw: bytes, arrived_at: datetime) -> None:
        started = time.monotonic()
        delay_ms, fault = self.server.faults.take(self.command, self.path)
        time.sleep(delay_ms / 1000)
        reply = self._reply(fault, raw, arrived_at)
        # Logged before it is sent: a test that has its answer finds it counted.
        self._log(reply, fault, at=arrived_at, seconds=time.monotonic() - started)
        if reply is None or (fault is not None and fault.kind == "drop_after_commit"):
            self.close_connection = True
        else:
            self._send(reply)

    def _log(self, reply: Reply | None, fault: Fault | None, *, at: datetime, seconds: float) -> None:
        path, _, query = self.path.partition("?")
        self.server.log.add(
            {
                "method": self.command,
                "path": path,
                "query": query,
                "status": reply.status if reply else None,
                "fault": fault.kind if fault else None,
                "at": canonical(at),
                "duration_ms": round(seconds * 1000, 3),
            }
        )

    def _reply(self, fault: Fault | None, raw: bytes, arrived_at: datetime) -> Reply | None:
        if fault is not None and fault.kind == "drop":
            return None
        if fault is not None and fault.status is not None:
            here = f"http://{self.headers.get('Host', '')}{self.path}"
            return faulty_reply(fault, fault.status, here, self.server.api.version)
        target = self.path.removeprefix(API_PREFIX) if self.path.startswith(API_PREFIX + "/") else "/"
        # Rows are stamped on arrival, as PHP does before it waits for the lock: a delay makes a late commit.
        return self.server.api.answer(self.command, target, self.headers, raw, now=arrived_at)

    def _send(self, reply: Reply) -> None:
        media_type, content = _rendered(reply.body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", media_type)
        if len(content) > GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            content = gzip.compress(content, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The request log has it."""


def _rendered(body: dict[str, Any] | str | None) -> tuple[str, bytes]:
    if body is None:
        return "", b""
    if isinstance(body, str):
        return "text/html; charset=UTF-8", body.encode()
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return "application/json; charset=UTF-8", text.encode()


class AppwriteServer(LoopbackServer):
    """The server with what its connections share."""

    def __init__(self, port: int, api: Api, log: RequestLog) -> None:
        self.api = api
        self.log = log
        self.faults = Faults()
        super().__init__(port, Handler)

    def server_close(self) -> None:
        super().server_close()
        self.log.close()
        self.api.close()
