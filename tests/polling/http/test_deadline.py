"""The total deadline against servers that drip, stall, cut and lie, over raw sockets on loopback."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from polling.errors import Blocked, PollingError, Unavailable
from polling.http import transport
from polling.http.deadline import Deadline, DeadlineReader
from polling.http.json_client import HttpClient

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DEADLINE = 0.6
SLACK = 5  # for a busy machine; a client without a total deadline would be held for 30 s and more


def test_a_deadline_that_passes_while_the_request_is_prepared_still_gives_a_timeout() -> None:
    timeout = Deadline(time.monotonic() - 1, connect_seconds=3).timeout()
    assert isinstance(timeout.total, float) and timeout.total > 0


class Line:
    """The server's end of one connection. `gone` is set when the test is over."""

    def __init__(self, sock: socket.socket, gone: threading.Event) -> None:
        self._sock, self._gone = sock, gone

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def drip(self, data: bytes, every: float) -> None:
        """A byte at a time, until all is sent or the other side has hung up."""
        for byte in data:
            if self._gone.wait(every):
                return
            self._sock.sendall(bytes([byte]))

    def stall(self) -> None:
        self._gone.wait(30)


@contextmanager
def serving(answer: Callable[[Line], None]) -> Iterator[HttpClient]:
    """A client of a server that reads each request, answers as `answer` does, and cuts the connection."""
    gone = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                sock.recv(65_536)
                answer(Line(sock, gone))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", headers={})
    finally:
        gone.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def stall_at_once(line: Line) -> None:
    line.stall()


def stall_in_the_body(line: Line) -> None:
    line.send(HEAD + b"Content-Length: 100\r\n\r\n{")
    line.stall()


def drip_the_headers(line: Line) -> None:
    line.drip(HEAD + b"X: " + b"y" * 1000, every=0.05)


def drip_the_body(line: Line) -> None:
    line.send(HEAD + b"Content-Length: 1000\r\n\r\n")
    line.drip(b" " * 1000, every=0.05)


def drip_chunks(line: Line) -> None:
    line.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    line.drip(b"1\r\n \r\n" * 200, every=0.05)


def drip_an_error(line: Line) -> None:
    line.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n")
    line.drip(b"x" * 1000, every=0.05)


@pytest.mark.parametrize(
    "answer", [stall_at_once, stall_in_the_body, drip_the_headers, drip_the_body, drip_chunks, drip_an_error]
)
def test_no_server_can_hold_a_request_past_its_deadline(answer: Callable[[Line], None]) -> None:
    with serving(answer) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.get_json("/slow", {}, deadline=began + DEADLINE)
        took = time.monotonic() - began
    assert took < DEADLINE + SLACK


def test_a_slow_answer_within_the_deadline_is_read_whole() -> None:
    def answer(line: Line) -> None:
        line.drip(HEAD + b"Content-Length: 2\r\n\r\n{}", every=0.005)

    with serving(answer) as client:
        assert client.get_json("/slow", {}, deadline=time.monotonic() + 20) == {}


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    with serving(stall_at_once) as client, pytest.raises(Unavailable, match="no time left"):
        client.get_json("/late", {}, deadline=time.monotonic())


def test_each_wait_is_cut_to_what_is_left() -> None:
    def answer(line: Line) -> None:
        line.send(HEAD + b"Content-Length: 2\r\n\r\n")
        line.drip(b"{", every=1.8)
        line.stall()

    with serving(answer) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.get_json("/slow", {}, deadline=began + 2)
        assert time.monotonic() - began < 3  # the socket's own timeout would run out at 3.8


def test_what_arrives_after_the_deadline_is_not_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb", buffering=0) as raw:
        reader = DeadlineReader(ours, raw, time.monotonic())
        theirs.sendall(b"late")
        with pytest.raises(TimeoutError):
            reader.read(4)


def test_an_address_that_does_not_answer_is_given_up_long_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(8)]  # more than the kernel queues: the next one hangs
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="ConnectTimeoutError"):
            HttpClient(f"http://127.0.0.1:{address[1]}", headers={}).get_json("/", {}, deadline=began + 20)
        took = time.monotonic() - began
        for sock in waiting:
            sock.close()
    assert took < 10


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"HTTP/1.1 2", None, id="half a status line"),
        pytest.param(b"not HTTP at all\r\n\r\n", None, id="no HTTP"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\n{", 200, id="half a body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", 200, id="half a chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 200, id="a chunk without a length"),
    ],
)
def test_an_answer_that_is_cut_is_unavailable_with_the_status_it_had(reply: bytes, status: int | None) -> None:
    with serving(lambda line: line.send(reply)) as client:
        with pytest.raises(PollingError) as caught:
            client.get_json("/cut", {}, deadline=time.monotonic() + 5)
        assert type(caught.value) is Unavailable
        assert caught.value.http_status == status


@pytest.mark.parametrize("location", ["/elsewhere", "http://[::1", "http://127.0.0.1:9/", "", "snow \u2603"])
def test_a_redirect_is_not_followed_wherever_it_leads(location: str) -> None:
    requests = []

    def answer(line: Line) -> None:
        requests.append(line)
        line.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    with serving(answer) as client, pytest.raises(Blocked) as caught:
        client.get_json("/moved", {}, deadline=time.monotonic() + 5)
    assert (str(caught.value), caught.value.http_status, len(requests)) == ("/moved: HTTP 302", 302, 1)


def test_connections_are_kept_and_each_request_has_its_own_deadline() -> None:
    connections = []

    def answer(line: Line) -> None:
        connections.append(line)
        for _ in range(2):
            line.send(HEAD + b"Content-Length: 2\r\n\r\n{}")
            line._sock.recv(65_536)
        line.stall()

    with serving(answer) as client:
        client.get_json("/1", {}, deadline=time.monotonic() + 0.3)
        assert client.get_json("/2", {}, deadline=time.monotonic() + 20) == {}
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.get_json("/3", {}, deadline=began + DEADLINE)
        assert time.monotonic() - began < DEADLINE + SLACK
    assert len(connections) == 1
