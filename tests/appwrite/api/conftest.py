"""A server that answers as the test says, and our client of it."""

import pytest
from pytest_httpserver import HTTPServer

from polling.appwrite.api.client import SyncClient
from polling.errors import PollingError

KEY = "standard_0123456789abcdef"
PATH = "/tablesdb/racepoll/tables/races/rows"


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/v1/health/version").respond_with_json({"version": "1.9.6"})
    return httpserver


@pytest.fixture
def client(server: HTTPServer) -> SyncClient:
    """It has asked the version already."""
    client = SyncClient(server.url_for("/v1"), "project", KEY)
    assert client.server_version() == (1, 9, 6)
    return client


def raised_by(client: SyncClient, method: str = "get") -> PollingError:
    """The error of a call of PATH, which shows the key nowhere."""
    with pytest.raises(PollingError) as caught:
        client.exchange(method, PATH)
    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.sample}"
    return caught.value
