"""The web process: slow clients keep nobody from the pages, and it ends when asked."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from polling import web_server
from tests.processes import ROOT, end, environment, eventually, free_ports, manage, start

HALF_SENT = {
    "nothing yet": b"",
    "half a head": b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le",
    "half a body": b"POST /hooks/appwrite/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{",
    "half a chunk": b"POST /hooks/appwrite/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
}
PATIENT = 60  # seconds; a loaded machine is slow, never red


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process as it is deployed; its address."""
    var = tmp_path_factory.mktemp("web")
    env = environment(var)
    for command in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0"]):
        assert manage(env, *command).returncode == 0
    address = f"127.0.0.1:{free_ports(1)}"
    process = start(env, var / "web.txt", "web", "--listen", address)
    try:
        eventually("it listens", (var / "web.txt").read_text, seconds=PATIENT)
        yield address
    finally:
        end(process)
    assert process.returncode == 0
    assert (var / "web.txt").read_text() == f"http://{address}/\n"


def connect(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENT)


@pytest.mark.parametrize("sent", HALF_SENT.values(), ids=HALF_SENT)
def test_two_hundred_half_sent_requests_keep_nobody_from_the_login(web: str, sent: bytes) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(200):
            connection = held.enter_context(connect(web))
            connection.sendall(sent)
        assert requests.get(f"http://{web}/admin/login/", timeout=PATIENT).status_code == 200
        reply = requests.post(f"http://{web}/hooks/appwrite/", data=b"{}", timeout=PATIENT)
        assert reply.status_code == 404  # no webhook is set up: it has reached the view


def test_replies_that_nobody_reads_keep_nobody_from_the_login(web: str) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(100):
            connection = held.enter_context(connect(web))
            connection.sendall(b"GET /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3)
        assert requests.get(f"http://{web}/admin/login/", timeout=PATIENT).status_code == 200


def test_more_connections_than_there_is_room_for_make_room_for_new_ones(web: str) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(web_server.MOST_CONNECTIONS + 50):
            held.enter_context(connect(web))
        assert requests.get(f"http://{web}/admin/login/", timeout=PATIENT).status_code == 200


def test_a_body_beyond_the_bound_is_refused_before_it_is_sent(web: str) -> None:
    with connect(web) as connection:
        connection.sendall(
            b"POST /hooks/appwrite/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n" + b"{" * 9000
        )
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_static_file_is_served(web: str) -> None:
    page = requests.get(f"http://{web}/admin/login/", timeout=PATIENT).text
    path = next(part for part in page.split('"') if part.startswith("/static/") and part.endswith(".css"))
    reply = requests.get(f"http://{web}{path}", timeout=PATIENT)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')


SERVER = """
import json, sys
from polling import web_server
web_server.IDLE_SECONDS, web_server.EXCHANGE_SECONDS = 0.5, 1.5
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    names = ["REMOTE_ADDR", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"]
    if environ["PATH_INFO"] == "/large":
        return [b"x" * 8_000_000]
    return [json.dumps({name: environ.get(name) for name in names}).encode()]
server = web_server.make_server(application, "127.0.0.1", 0, proxy=sys.argv[1], most_bytes=1000)
server.stop_on_signals()
print(server.effective_port, flush=True)
server.run()
"""


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """Starts a server of a small application, patient for a moment only; its address."""
    processes = []

    def begin(proxy: str = "") -> str:
        process = subprocess.Popen([sys.executable, "-c", SERVER, proxy], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout
        return f"127.0.0.1:{process.stdout.readline().strip()}"

    yield begin
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENT) == 0
        assert process.stdout
        process.stdout.close()


def test_a_request_that_is_sent_for_ever_is_ended(serve: Callable[[str], str]) -> None:
    with connect(serve("")) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")

        def has_ended() -> bool:
            """Another header line; an error once the other side has closed."""
            try:
                connection.sendall(b"X-More: x\r\n")
            except OSError:
                return True
            return False

        eventually("the server closes it", has_ended, seconds=PATIENT)


def test_a_reply_that_is_not_read_is_given_up(serve: Callable[[str], str]) -> None:
    with connect(serve("")) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        # Nobody reads. The kernel's buffers hold a part of it; then the server must close, not wait.
        eventually("the server closes it", lambda: _is_reset(connection), seconds=PATIENT)


def _is_reset(connection: socket.socket) -> bool:
    """Whether the other side is gone, found out without reading: it cannot be written to."""
    try:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    except OSError:
        return True
    return False


def test_a_connection_at_rest_is_closed(serve: Callable[[str], str]) -> None:
    with connect(serve("")) as connection:
        assert connection.recv(1) == b""


FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}


def test_what_a_proxy_says_is_believed_from_the_proxy_alone(serve: Callable[[str], str]) -> None:
    none, ours, another = (
        requests.get(f"http://{serve(proxy)}/", headers=FORWARDED, timeout=PATIENT).json()
        for proxy in ("", "127.0.0.1", "127.0.0.2")
    )
    assert none == another
    assert (none["REMOTE_ADDR"], none["wsgi.url_scheme"], none["HTTP_X_FORWARDED_PROTO"]) == ("127.0.0.1", "http", None)
    assert (ours["REMOTE_ADDR"], ours["wsgi.url_scheme"]) == ("203.0.113.7", "https")
    assert ours["HTTP_X_FORWARDED_PROTO"] == "https"
    assert none["HTTP_X_FORWARDED_HOST"] is ours["HTTP_X_FORWARDED_HOST"] is None


def test_the_web_says_what_it_lacks_and_where_it_cannot_listen(tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = manage(env, "web")
    assert (done.returncode, done.stderr) == (
        1,
        "CommandError: the static files are missing: run manage.py collectstatic first\n",
    )
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "staticfiles.json").write_text(json.dumps({"version": "1.1", "paths": {}, "hash": ""}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = manage(env, "web", "--listen", f"127.0.0.1:{port}")
    words = f"CommandError: cannot listen on 127.0.0.1:{port}: {os.strerror(98)}\n"
    assert (done.returncode, done.stderr) == (2, words)
