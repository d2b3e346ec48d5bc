"""A proxy before the stand-in, where a test steps in between a request and its answer."""

import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from django.db import connections

Step = Callable[[], object]
Answer = dict[str, Any]
ANY = "any method"


class NotPassedOnError(Exception):
    """Raised by a hook `before` a call: it does not reach the server, and is not answered."""


class Gate:
    """What happens to calls of a method, or of `ANY`: `before` they reach the server, and to their `answer` on its way
    back.

    Each hook is called once for every call and may put another hook in its place.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.address = ("127.0.0.1", 0)
        self.before: dict[str, Step] = {}
        self.after: dict[str, Step] = {}
        self.answer: dict[str, Callable[[Answer], Answer | bytes]] = {}
        self.ahead_seconds = 0.0  # of the server's clock, in the Date of the replies
        self.poison = b""  # a body that has this in it makes the server stumble
        self.connections: dict[object, object] = {}  # open ones, with the addresses of those who called
        self.changed = threading.Condition()

    def wait_until_closed(self, *, but: Collection[object]) -> None:
        """Waits until all connections but these have ended, with the calls that came over them."""
        with socket.create_connection(self.address) as last, self.changed:
            # Accepted after all that were opened earlier.
            self.changed.wait_for(lambda: last.getsockname() in self.connections.values())
        with self.changed:
            self.changed.wait_for(lambda: self.connections.keys() <= set(but))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def _pass(self) -> None:
        gate, method = self.gate, self.command
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if gate.poison and gate.poison in raw:
            self._send(500, "application/json", b"{}")
            return
        self._step_in(gate.before)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        reply = requests.request(method, gate.root + self.path, data=raw, headers=headers, timeout=120)
        self._step_in(gate.after)
        media_type = reply.headers.get("Content-Type", "application/json")
        self._send(reply.status_code, media_type, self._changed(method, reply))

    def _step_in(self, hooks: dict[str, Step]) -> None:
        try:
            hooks.get(self.command, hooks.get(ANY, _nothing))()
        finally:
            connections.close_all()  # a hook may have asked the database, in this thread that outlives the test

    def _send(self, status: int, media_type: str, content: bytes) -> None:
        with suppress(ConnectionError):  # whoever asked may be dead
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass

    def _changed(self, method: str, reply: requests.Response) -> bytes:
        change = self.gate.answer.get(method)
        if change is None or not reply.ok:
            return reply.content
        changed = change(reply.json())
        return changed if isinstance(changed, bytes) else json.dumps(changed).encode()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.gate.ahead_seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    gate: Gate

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.gate.changed:
            self.gate.connections[request] = client_address
            self.gate.changed.notify_all()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.gate.changed:
            self.gate.connections.pop(request, None)
            self.gate.changed.notify_all()

    def handle_error(self, *_: Any) -> None:
        """Quiet: a server that hangs up is what tests ask for."""


def _nothing() -> None:
    return None


@contextmanager
def gate_before(port: int) -> Iterator[tuple[Gate, int]]:
    """A gate before the server on `port`, and the port to call instead."""
    gate = Gate(f"http://127.0.0.1:{port}")
    server = _Server(gate.address, type("Handler", (_Handler,), {"gate": gate}))
    server.gate, gate.address = gate, (gate.address[0], server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gate, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
