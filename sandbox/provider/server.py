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
from sandbox.provider.faults import Fault, fault_reply
from sandbox.provider.formats import error
from sandbox.provider.replies import Refused, Reply
from sandbox.provider.simulation import Simulation
from sandbox.request_log import RequestLog

DRIP_MS = 200
SENT_BADLY = frozenset({"cut", "drip"})

logger = logging.getLogger(__name__)


def make_server(
    port: int,
    *,
    seed: int,
    card: str = "rolling",
    clock: Callable[[], datetime] | None = None,
    delay_ms: int = 0,
    request_log: Path | None = None,
) -> ThreadingHTTPServer:
    """A server bound to 127.0.0.1, not yet serving; port 0 takes any free one.

    `card` is a name in CARDS. `clock` gives aware UTC instants, by default those of the wall clock. Every answer of
    the API takes `delay_ms` longer.
    """
    clock = clock or (lambda: datetime.fromtimestamp(time.time(), UTC))
    simulation = Simulation(CARDS[card](seed), clock, RequestLog(request_log))
    simulation.card.listed(now=simulation.now())  # a whole day takes a second to draw: no request shall wait for it
    return ProviderServer(port, simulation, delay_ms / 1000)


class Handler(BaseHTTPRequestHandler):
    """One connection. Head and body leave in one packet, without Nagle's delay."""

    server: "ProviderServer"
    protocol_version = "HTTP/1.1"
    server_version = "Affiliates"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve_request(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(control.PREFIX):
            self._send_reply(control.answer(self.server.simulation, self.command, self.path, raw))
        else:
            self._serve_api()

    do_GET = do_POST = do_DELETE = _serve_request

    def _serve_api(self) -> None:
        """The answer is as of the instant when the request came, however long it takes."""
        at, started = self.server.simulation.now(), time.monotonic()
        faults = self.server.simulation.faults.take(self.path)
        late = sum(fault.delay_ms for fault in faults if fault.kind != "drip")
        time.sleep(self.server.delay_seconds + late / 1000)
        fault = next((fault for fault in faults if fault.kind != "slow"), None)
        reply = self._answer_with_fault(fault, at)
        # Logged before it is sent: whoever has the answer finds the request in the log.
        self._log_request(reply, at, time.monotonic() - started)
        if reply is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        elif fault and fault.kind == "cut":
            self._send_half(reply)
        elif fault and fault.kind == "drip":
            self._send_drop_by_drop(reply, (fault.delay_ms or DRIP_MS) / 1000)
        else:
            self._send_reply(reply)

    def _answer_with_fault(self, fault: Fault | None, at: datetime) -> Reply | None:
        """None where the connection is to break instead."""
        if fault is None or fault.kind in SENT_BADLY:
            return self._answer_request(self.path, at)
        if fault.kind == "drop":
            return None
        if fault.kind == "malformed":
            reply = self._answer_request(self.path, at)
            text = json.dumps(reply.body)
            return Reply(reply.status, text[: len(text) // 2], {"Content-Type": "application/json"})
        if fault.kind == "wrong_race":
            return self._answer_request(api.another_event(self.server.simulation, self.path, now=at), at)
        return fault_reply(fault, self.path, now=at)

    def _answer_request(self, target: str, at: datetime) -> Reply:
        if self.command != "GET":
            return Reply(405, error("method not allowed", self.path, now=at), {"Allow": "GET"})
        try:
            return Reply(200, api.answer(self.server.simulation, target, now=at))
        except Refused as refused:
            return Reply(refused.status, error(str(refused), self.path, now=at))

    def _log_request(self, reply: Reply | None, at: datetime, seconds: float) -> None:
        path, _, query = self.path.partition("?")
        self.server.simulation.log.add(
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

    def _send_half(self, reply: Reply) -> None:
        """Half the body, then a reset: what a lingering of no seconds makes of a close."""
        body = self._send_head(reply)
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _send_drop_by_drop(self, reply: Reply, seconds: float) -> None:
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

    def _send_reply(self, reply: Reply) -> None:
        self.wfile.write(self._send_head(reply))

    def _send_head(self, reply: Reply) -> bytes:
        """The body that is to follow."""
        if isinstance(reply.body, str):
            media_type, body = "text/html", reply.body.encode()
        else:
            media_type, body = "application/json", json.dumps(reply.body, separators=(",", ":")).encode()
        headers = {"Content-Type": media_type, **reply.headers, "Content-Length": str(len(body))}
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        return body

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the provider's clock like all that it reports."""
        return super().date_time_string(self.server.simulation.now().timestamp() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the request log has it."""


class ProviderServer(LoopbackServer):
    """A thread for each connection; none of them keeps the process alive."""

    def __init__(self, port: int, simulation: Simulation, delay_seconds: float) -> None:
        self.simulation = simulation
        self.delay_seconds = delay_seconds
        super().__init__(port, Handler)

    def server_close(self) -> None:
        super().server_close()
        self.simulation.log.close()
