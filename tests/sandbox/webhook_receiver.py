"""A server that receives webhook calls, and the calls that it received."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sandbox.appwrite_api import wait_until


@dataclass(frozen=True)
class Delivery:
    """One call: the address behind the host, its headers and its body as it came."""

    path: str
    headers: Message
    raw: bytes

    @property
    def events(self) -> list[str]:
        return self.headers["X-Appwrite-Webhook-Events"].split(",")

    @property
    def row(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))


class Receiver(ThreadingHTTPServer):
    """Answers every call with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204
        self.received: list[Delivery] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/appwrite/"

    def wait_for(self, count: int) -> list[Delivery]:
        """The calls, once there are that many."""
        wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def changes(self, count: int) -> list[str]:
        """The changes that the calls report, such as `a.update`, in the order in which they came."""
        return [delivery.events[0].partition(".rows.")[2] for delivery in self.wait_for(count)]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(Delivery(self.path, self.headers, raw))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: `received` has it."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
