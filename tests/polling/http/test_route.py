"""Servers behind a CA of one's own and behind a proxy, over real HTTPS: each failure names the variable to change."""

import base64
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import trustme
import urllib3
from pytest_httpserver import HTTPServer

from polling.appwrite.api import client as appwrite
from polling.appwrite.api.client import SyncClient
from polling.errors import Blocked, PollingError, Unavailable
from polling.http import json_client
from polling.http.json_client import HttpClient

PASSWORD = "hunter2"  # noqa: S105 - of a proxy made here


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def serving(certificate: trustme.LeafCert) -> HTTPServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = HTTPServer(host="127.0.0.1", ssl_context=context)
    server.expect_request("/v1/health/version").respond_with_json({"version": "1.9.6"})
    server.start()
    return server


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[HTTPServer]:
    server = serving(authority.issue_cert("127.0.0.1"))
    yield server
    server.stop()


Ask = Callable[[str, str, str], object]


def ask_provider(root: str, ca_file: str, proxy: str) -> object:
    route = replace(json_client.DIRECT, ca_file=ca_file, proxy=proxy)
    client = HttpClient(f"{root}/v1", headers={}, route=route)
    return client.get_json("/health/version", {}, deadline=time.monotonic() + 20)


def ask_appwrite(root: str, ca_file: str, proxy: str) -> object:
    route = replace(appwrite.DIRECT, ca_file=ca_file, proxy=proxy)
    return SyncClient(f"{root}/v1", "project", "key", route).server_version()


BOTH = pytest.mark.parametrize(
    ("ask", "side"),
    [pytest.param(ask_provider, "PROVIDER", id="provider"), pytest.param(ask_appwrite, "APPWRITE", id="Appwrite")],
)


def refused(ask: Ask, root: str, ca_file: str = "", proxy: str = "") -> PollingError:
    with pytest.raises(PollingError) as caught:
        ask(root, ca_file, proxy)
    assert PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r}"
    return caught.value


# --- the CA -----------------------------------------------------------------------------------------------------------


@BOTH
def test_a_ca_of_ones_own_is_trusted_where_its_file_is_named(
    ask: Ask, side: str, server: HTTPServer, ca_file: str
) -> None:
    assert ask(server.url_for(""), ca_file, "")


@BOTH
def test_without_it_the_message_names_the_variable(ask: Ask, side: str, server: HTTPServer) -> None:
    error = refused(ask, server.url_for(""))
    assert type(error) is Blocked
    assert "its certificate is not trusted" in str(error)
    assert f"{side}_CA_FILE" in str(error)


@BOTH
def test_another_ca_does_not_do(ask: Ask, side: str, server: HTTPServer, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    assert f"{side}_CA_FILE" in str(refused(ask, server.url_for(""), str(tmp_path / "other.pem")))


@BOTH
def test_the_environments_ca_bundle_is_not_looked_at(
    ask: Ask, side: str, server: HTTPServer, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, ca_file)
    assert f"{side}_CA_FILE" in str(refused(ask, server.url_for("")))


@BOTH
def test_a_certificate_of_another_host_names_the_address(
    ask: Ask, side: str, authority: trustme.CA, ca_file: str
) -> None:
    server = serving(authority.issue_cert("appwrite.example.com"))
    error = refused(ask, server.url_for(""), ca_file)
    server.stop()
    assert type(error) is Blocked
    assert "of another host" in str(error)
    assert ("APPWRITE_ENDPOINT" if side == "APPWRITE" else "TAB_AFFILIATES_URL") in str(error)
    assert "_CA_FILE" not in str(error)


@BOTH
def test_a_certificate_that_has_expired_blames_no_variable(
    ask: Ask, side: str, authority: trustme.CA, ca_file: str
) -> None:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    expired = authority.issue_cert("127.0.0.1", not_before=began, not_after=began + timedelta(days=30))
    server = serving(expired)
    error = refused(ask, server.url_for(""), ca_file)
    server.stop()
    assert type(error) is Blocked
    assert "is not valid now" in str(error)
    assert "_CA_FILE" not in str(error)


@BOTH
def test_a_file_that_is_gone_meanwhile_is_named(ask: Ask, side: str, server: HTTPServer, tmp_path: Path) -> None:
    error = refused(ask, server.url_for(""), str(tmp_path / "gone.pem"))
    assert type(error) is Blocked
    assert f"the file of {side}_CA_FILE cannot be read" in str(error)


def test_a_certificate_that_is_not_trusted_is_the_set_up() -> None:
    cause = urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))
    problem = json_client.DIRECT.problem(requests.exceptions.SSLError(cause), subject="side")
    assert type(problem) is Blocked


# --- the proxy --------------------------------------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """An HTTP proxy that asks for a password and tunnels."""

    seen: list[str]
    allowed = base64.b64encode(f"racepoll:{PASSWORD}".encode()).decode()

    def do_CONNECT(self) -> None:  # noqa: N802 - the name of the method
        self.seen.append(f"CONNECT {self.path}")
        if self.headers.get("Proxy-Authorization") != f"Basic {self.allowed}":
            self.send_error(407)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as other:
            self.send_response(200)
            self.end_headers()
            self._tunnel_to(other)
        self.close_connection = True

    def do_GET(self) -> None:  # noqa: N802 - the name of the method
        """Plain HTTP is not tunnelled: the proxy answers in the other's name."""
        self.seen.append(f"GET {self.path}")
        if self.path.endswith("/drip"):
            self._drip_spaces()
            return
        body = b'{"version": "1.9.6"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip_spaces(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with suppress(OSError):
            for _ in range(400):
                self.wfile.write(b" ")
                time.sleep(0.05)

    def _tunnel_to(self, other: socket.socket) -> None:
        ends = {self.connection: other, other: self.connection}
        while True:
            ready, _, _ = select.select(list(ends), [], [], 20)
            for end in ready:
                data = end.recv(65_536)
                if not data:
                    return
                ends[end].sendall(data)
            if not ready:
                return

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Its URL with the password, and what it was asked."""
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Seen", (Proxy,), {"seen": seen}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://racepoll:{PASSWORD}@127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@BOTH
def test_a_proxy_is_gone_through_for_https(
    ask: Ask, side: str, server: HTTPServer, ca_file: str, proxy: tuple[str, list[str]]
) -> None:
    url, seen = proxy
    assert ask(server.url_for(""), ca_file, url)
    assert seen == [f"CONNECT 127.0.0.1:{server.port}"]


@BOTH
def test_a_proxy_is_gone_through_for_http(ask: Ask, side: str, proxy: tuple[str, list[str]]) -> None:
    url, seen = proxy
    assert ask("http://127.0.0.1:9", "", url)
    assert seen == ["GET http://127.0.0.1:9/v1/health/version"]


@BOTH
def test_a_proxy_that_refuses_us_is_named(
    ask: Ask, side: str, server: HTTPServer, ca_file: str, proxy: tuple[str, list[str]]
) -> None:
    url, _ = proxy
    error = refused(ask, server.url_for(""), ca_file, url.replace("racepoll:", "nobody:"))
    assert isinstance(error, Unavailable)
    assert f"the proxy of {side}_PROXY" in str(error)


@BOTH
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(ask: Ask, side: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = refused(ask, f"{scheme}://127.0.0.1:9", "", f"http://racepoll:{PASSWORD}@127.0.0.1:{port}")
    assert isinstance(error, Unavailable)
    assert f"the proxy of {side}_PROXY" in str(error)


def test_an_answer_that_drips_through_a_proxy_ends_at_the_deadline(proxy: tuple[str, list[str]]) -> None:
    url, _ = proxy
    client = HttpClient("http://127.0.0.1:9/v1", headers={}, route=replace(json_client.DIRECT, proxy=url))
    began = time.monotonic()
    with pytest.raises(Unavailable):
        client.get_json("/drip", {}, deadline=began + 0.5)
    assert time.monotonic() - began < 10
