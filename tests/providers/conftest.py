"""The local server that plays the provider listens on loopback."""

import socket

import pytest


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    return "127.0.0.1", 0


@pytest.fixture
def unused_port() -> int:
    """A port of loopback that nobody listens on: just bound, and let go."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
