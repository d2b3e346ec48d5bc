"""The stand-in's HTTP: connections, bodies, faults and the request log."""

import gzip
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from sandbox.appwrite import control, headers
from sandbox.appwrite.api import UNKNOWN_PAGE, Api
from sandbox.appwrite.backstage import Backstage
from sandbox.appwrite.call import Course, Reply
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.deliveries import Outbox
from sandbox.appwrite.dialects import DIALECTS
from sandbox.appwrite.faults import INSTEAD, Faults, Met
from sandbox.appwrite.holds import Gate, Hold
from sandbox.appwrite.latency import real_ms
from sandbox.appwrite.mishaps import befall
from sandbox.appwrite.store import Store
from sandbox.request_log import RequestLog
from sandbox.serving import LoopbackServer

API_PREFIX = "/v1"
LARGEST_BODY = 12 * 2**20
GZIP_FROM = 1024

Asked = Callable[..., Reply]

logger = logging.getLogger(__name__)


def make_server(
    port: int, *, server_version: str, state_dir: Path, request_log: Path | None = None
) -> ThreadingHTTPServer:
    """A server bound to 127.0.0.1, not yet serving; port 0 takes any free one.

    What was stored in `state_dir` is there again. Raises KeyError for a version that is not imitated.
    """
    dialect = DIALECTS[server_version]
    store, faults = Store(state_dir), Faults()
    outbox = Outbox(store, faults, server_version)
    return AppwriteServer(
        port, Api(store, dialect, outbox.put), Backstage(store, faults, outbox, RequestLog(request_log))
    )


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), tz=UTC)


def _ended(gate: Gate, hold: Hold, asked: Asked, stamp: datetime | None) -> Reply:
    """The reply to a request whose write waits."""
    with gate.ending(hold):
        return asked(course=Course(stamp=stamp, pause=hold.wait))


class Handler(BaseHTTPRequestHandler):
    """One connection. Head and body leave in one packet, without Nagle's delay."""

    server: "AppwriteServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self) -> None:
        arrived_at = _now()
        raw = self._body()
        if raw is None:
            # The unread body would be taken for the next request.
            self.close_connection = True
            self._send(Reply(413, own=False))  # said by what reads the body, before Appwrite
        elif self.path.startswith(control.PREFIX):
            self._send(replace(control.answer(self.command, self.path, raw, self.server.stage), own=False))
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
        met = self.server.stage.faults.take(self.command, self.path, now=arrived_at)
        time.sleep(met.delay_seconds)
        reply = self._answered(met, raw, arrived_at)
        # Logged before it is sent: a test that has its answer finds it counted.
        self._log(reply, met, at=arrived_at, seconds=time.monotonic() - started)
        if reply is None or met.exclusive == "drop_after_commit":
            self.close_connection = True
        else:
            self._send(reply, started)

    def _log(self, reply: Reply | None, met: Met, *, at: datetime, seconds: float) -> None:
        path, _, query = self.path.partition("?")
        self.server.stage.log.add(
            {
                "method": self.command,
                "path": path,
                "query": query,
                "status": reply.status if reply else None,
                "fault": met.exclusive,
                "at": canonical(at),
                "duration_ms": round(seconds * 1000, 3),
            }
        )

    def _answered(self, met: Met, raw: bytes, arrived_at: datetime) -> Reply | None:
        if met.of("like_real") is None:
            return self._reply(met, raw, arrived_at)
        milliseconds = real_ms(self.command, self.path.partition("?")[0], raw)
        with self.server.stage.pace.taking(milliseconds):
            # A real server stamps what it works on, not what it lets wait.
            return self._reply(met, raw, max(arrived_at, _now()))

    def _reply(self, met: Met, raw: bytes, arrived_at: datetime) -> Reply | None:
        """None where the connection ends instead."""
        here = f"http://{self.headers.get('Host', '')}{self.path}"
        version = self.server.api.version
        if met.exclusive == "drop":
            return None
        if (instead := met.reply(here, version, INSTEAD)) is not None:
            return instead
        for mishap in met.mishaps:
            befall(mishap, self.path, self.server.stage.store, now=arrived_at)
        if not self.path.startswith(API_PREFIX + "/"):
            return Reply(404, UNKNOWN_PAGE)
        target = self.path.removeprefix(API_PREFIX)
        # Rows are stamped on arrival, as PHP does before it waits for the lock: a delay makes a late commit.
        asked = partial(self.server.api.answer, self.command, target, self.headers, raw, now=arrived_at)
        reply = self._carried_out(asked, met)
        return met.reply(here, version, ["status_after_commit"]) or reply

    def _carried_out(self, asked: Asked, met: Met) -> Reply:
        gate, stamp = self.server.stage.gate, met.stamp
        if met.exclusive == "late_commit":
            reply = asked(course=Course(stamp=stamp, draft=True))
            if reply.status < 400:
                hold = gate.hold(met.delay_of("late_commit"))
                Thread(target=_ended, args=(gate, hold, asked, stamp), daemon=True).start()
            return reply
        if met.of("hold") is not None:
            return _ended(gate, gate.hold(met.delay_of("hold")), asked, stamp)
        return asked(course=Course(stamp=stamp))

    def _send(self, reply: Reply, started: float | None = None) -> None:
        media_type, content = _rendered(reply.body)
        self.send_response_only(reply.status)
        self.send_header("Date", self.date_time_string())
        for name, value in {**self._standing(reply, started), **reply.headers}.items():
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

    def _standing(self, reply: Reply, started: float | None) -> dict[str, str]:
        """What comes with every reply of Appwrite's own."""
        if not reply.own:
            return {}
        path = self.path.partition("?")[0].removeprefix(API_PREFIX)
        seconds = 0.0 if started is None else time.monotonic() - started
        api = self.server.api
        return headers.of_reply(api.dialect, self.command, path, reply.status, now=time.time(), seconds=seconds)

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

    def __init__(self, port: int, api: Api, stage: Backstage) -> None:
        self.api = api
        self.stage = stage
        super().__init__(port, Handler)

    def server_close(self) -> None:
        super().server_close()
        self.stage.close()
