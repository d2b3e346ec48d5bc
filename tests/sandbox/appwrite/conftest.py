"""The Appwrite stand-in with the table `races`, by version."""

from collections.abc import Iterator

import pytest

from tests.sandbox.appwrite_api import Client, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("appwrite")) as client:
        client.provision()
        yield client


@pytest.fixture(scope="module")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("appwrite-1.8"), "1.8.1") as client:
        client.provision()
        yield client


@pytest.fixture
def races(server: Client) -> Client:
    """As it was made: no rows, no faults, no webhooks."""
    server.empty()
    return server


@pytest.fixture
def old_races(old_server: Client) -> Client:
    """The table in a stand-in of 1.8, as it was made: no rows, no faults, no webhooks."""
    old_server.empty()
    return old_server
