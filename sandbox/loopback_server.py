"""What the two servers have in common: one thread per connection, and an end that closes kept connections too."""

import logging
import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

logger = logging.getLogger(__name__)


class LoopbackServer(ThreadingHTTPServer):
    """On 127.0.0.1; none of its threads keeps the process alive."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Ends the kept connections too: a stopped server must not answer on them."""
        super().server_close()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up before its answer is the caller's business; anything else is a bug here."""
        if isinstance(sys.exception(), ConnectionError):
            logger.debug("%s hung up", client_address)
        else:
            logger.exception("the request of %s failed", client_address)
