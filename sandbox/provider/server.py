"""The provider's HTTP: connections, identity, delays, faults and the request log."""

import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.loopback_server import LoopbackServer
from sandbox.provider import api, control
from sandbox.provider.cards import CARDS
from sandbox.provider.faults import MESSAGES, Fault, fault_reply
from sandbox.provider.formats import Json, error
from sandbox.provider.replies import Refused, Reply
from sandbox.provider.world import World
from sandbox.request_log import RequestLog

DRIP_MS = 200
SENT_BADLY = frozenset({"cut", "drip"})
IDENTITY = ("From", "X-Partner")

logger = logging.getLogger(__name__)


def make_server(
    port: int,
    *,
    seed: int,
    card: str = "rolling",
    clock: Callable[[], datetime] | None = None,
    delay_ms: int = 0,
    request_log: Path | None = None,
    require_identity: bool = False,
) -> ThreadingHTTPServer:
    """A server bound to 127.0.0.1, not yet serving; port 0 takes any free one.

    `card` is a name in CARDS. `clock` gives aware UTC instants, by default those of the wall. Every answer of
    the API takes `delay_ms` longer; with `require_identity` callers without From and X-Partner headers get 429.
    """
    world = World(CARDS[card](seed), clock or _wall_clock, RequestLog(request_log))
    world.card.listed(now=world.now())  # a whole day takes a second to lay out: no request shall wait for it
    return ProviderServer(port, world, delay_ms / 1000, require_identity)


def _wall_clock() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


class Handler(BaseHTTPRequestHandler):
    """One connection. Head and body leave in one packet, without Nagle's delay."""

    server: "ProviderServer"
    protocol_version = "HTTP/1.1"
    server_version = "Affiliates"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(control.PREFIX):
            self._send(control.answer(self.server.world, self.command, self.path, raw))
        else:
            self._serve_api()

    do_GET = do_POST = do_DELETE = _serve

    def _serve_api(self) -> None:
        """What the request finds is what holds when it arrives, however long the answer takes."""
        at, started = self.server.world.now(), time.monotonic()
        faults = self.server.world.faults.take(self.path)
        late = sum(fault.delay_ms for fault in faults if fault.kind != "drip")
        time.sleep(self.server.delay_seconds + late / 1000)
        fault = next((fault for fault in faults if fault.kind != "slow"), None)
        reply = self._reply(fault, at)
        # Logged before it is sent: whoever has the answer finds the request in the log.
        self._log(reply, at, time.monotonic() - started)
        if reply is None:
            self._drop()
        elif fault and fault.kind == "cut":
            self._cut_off(reply)
        elif fault and fault.kind == "drip":
            self._drip(reply, (fault.delay_ms or DRIP_MS) / 1000)
        else:
            self._send(reply)

    def _reply(self, fault: Fault | None, at: datetime) -> Reply | None:
        """None where the connection is to break instead."""
        if self.server.require_identity and not all(self.headers.get(name) for name in IDENTITY):
            return Reply(429, error(MESSAGES["rate_limited"], self.path, now=at))
        if fault is None or fault.kind in SENT_BADLY:
            return self._answer(self.path, at)
        if fault.kind == "drop":
            return None
        if fault.kind == "malformed":
            return _broken_off(self._answer(self.path, at))
        if fault.kind == "wrong_race":
            return self._answer(api.another_event(self.server.world, self.path, now=at), at)
        return fault_reply(fault, self.path, now=at)

    def _answer(self, target: str, at: datetime) -> Reply:
        if self.command != "GET":
            return Reply(405, error("method not allowed", self.path, now=at), {"Allow": "GET"})
        try:
            return Reply(200, api.answer(self.server.world, target, now=at))
        except Refused as refused:
            return Reply(refused.status, error(str(refused), self.path, now=at))

    def _log(self, reply: Reply | None, at: datetime, seconds: float) -> None:
        path, _, query = self.path.partition("?")
        self.server.world.log.add(
            {
                "at": at.isoformat(timespec="milliseconds"),
                "method": self.command,
                "path": path,
                "query": query,
                "status": reply.status if reply else None,
                "race_id": api.race_id_of(self.path),
                "duration_ms": round(seconds * 1000, 3),
                "from": self.headers.get("From"),
                "x_partner": self.headers.get("X-Partner"),
            }
        )

    def _drop(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _cut_off(self, reply: Reply) -> None:
        """Half the body, then a reset: what a lingering of no seconds makes of a close."""
        body = self._send_head(reply)
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _drip(self, reply: Reply, seconds: float) -> None:
        """A byte at a time until the caller hangs up, or until the server's end shuts the connection."""
        self.close_connection = True
        for byte in self._send_head(reply):
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self._hangs_up_within(seconds):
                return

    def _hangs_up_within(self, seconds: float) -> bool:
        self.connection.settimeout(seconds)
        with suppress(TimeoutError):
            self.connection.recv(1, socket.MSG_PEEK)
            return True
        return False

    def _send(self, reply: Reply) -> None:
        self.wfile.write(self._send_head(reply))

    def _send_head(self, reply: Reply) -> bytes:
        """The body that is to follow."""
        media_type, body = _rendered(reply.body)
        headers = {"Content-Type": media_type, **reply.headers, "Content-Length": str(len(body))}
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        return body

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the provider's clock like all that it says."""
        return super().date_time_string(self.server.world.now().timestamp() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the request log has it."""


class ProviderServer(LoopbackServer):
    """A thread for each connection; none of them keeps the process alive."""

    def __init__(self, port: int, world: World, delay_seconds: float, require_identity: bool) -> None:
        self.world = world
        self.delay_seconds = delay_seconds
        self.require_identity = require_identity
        super().__init__(port, Handler)

    def server_close(self) -> None:
        super().server_close()
        self.world.log.close()


def _rendered(body: Json | str) -> tuple[str, bytes]:
    if isinstance(body, str):
        return "text/html", body.encode()
    return "application/json", _json(body).encode()


def _json(body: Json | str) -> str:
    return json.dumps(body, separators=(",", ":"))


def _broken_off(reply: Reply) -> Reply:
    text = _json(reply.body)
    return Reply(reply.status, text[: len(text) // 2], {"Content-Type": "application/json"})
