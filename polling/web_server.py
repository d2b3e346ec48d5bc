"""The web server: waitress, with limits on how long and how many connections may wait.

It reads requests and sends replies in one loop and gives a thread only to a request that has arrived whole, so that
clients that send or read slowly keep no thread from the others. What it lacks is here: an exchange that does not come
to its end is closed, and where many connections lie idle the oldest give way to new ones.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

THREADS = 8
MOST_CONNECTIONS = 500  # below the usual limit of 1,024 open files
CROWDED = 400  # from here on the longest idle are closed
IDLE_SECONDS = 20.0
EXCHANGE_SECONDS = 60.0  # for a request to arrive, and for its reply to be read
STOP_SECONDS = 5.0
LOOK_EVERY = 1


class WebServer(TcpWSGIServer):  # type: ignore[misc] # waitress has no types
    """Serves until a signal ends it; open requests are answered first."""

    _stopping = False

    def maintenance(self, now: float) -> None:
        """Closes connections that take too long, and the longest idle where there are too many. Called every second."""
        # What a thread works on is left alone, unless its reply is not read.
        waiting = [
            channel for channel in self.active_channels.values() if not channel.requests or channel.total_outbufs_len
        ]
        for channel in waiting:
            # When the connection was last seen between two exchanges.
            at_rest = channel.request is None and not channel.total_outbufs_len
            if at_rest or not hasattr(channel, "rested_at"):
                channel.rested_at = now
        waiting.sort(key=lambda channel: channel.last_activity)
        surplus = max(0, len(self.active_channels) - CROWDED)
        for place, channel in enumerate(waiting):
            is_idle = now - channel.last_activity > IDLE_SECONDS
            if place < surplus or is_idle or now - channel.rested_at > EXCHANGE_SECONDS:
                # Not `will_close`, which waits until the socket can be written to.
                channel.handle_close()

    def stop_on_signals(self) -> None:
        """Makes SIGTERM, SIGINT and SIGHUP end `run`."""

        def stop(*_: object) -> None:
            self._stopping = True
            self.pull_trigger()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)

    def run(self) -> None:
        """Serves; returns a few seconds after a signal at the latest."""
        while not self._stopping:
            self._serve_once()
        wasyncore.dispatcher.close(self)  # the listening socket
        deadline = time.monotonic() + STOP_SECONDS
        while self._has_open_requests() and time.monotonic() < deadline:
            self._serve_once()
        self.task_dispatcher.shutdown(timeout=0.1)

    def _has_open_requests(self) -> bool:
        """Whether a request is worked on, or a reply not yet sent."""
        return any(channel.requests or channel.total_outbufs_len for channel in self.active_channels.values())

    def _serve_once(self) -> None:
        wasyncore.loop(timeout=LOOK_EVERY, use_poll=True, map=self._map, count=1)


def make_server(application: Callable[..., Any], host: str, port: int, *, proxy: str, most_bytes: int) -> WebServer:
    """A server that listens. Raises OSError where it cannot listen there.

    `proxy` is the address whose X-Forwarded-For and -Proto are trusted, empty for nobody's; a body beyond `most_bytes`
    is refused with a 413.
    """
    trusted = {"trusted_proxy": proxy, "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"}}
    adjustments = Adjustments(
        host=host,
        port=port,
        threads=THREADS,
        connection_limit=MOST_CONNECTIONS,
        cleanup_interval=LOOK_EVERY,
        max_request_header_size=32 * 1024,
        max_request_body_size=most_bytes,
        **(trusted if proxy else {}),
        clear_untrusted_proxy_headers=True,
        log_socket_errors=False,  # a client that hung up is its own business
        ident=None,
    )
    return WebServer(application, adj=adjustments, map={})
