"""A race whose table may be deleted."""

from collections.abc import Iterator

import pytest

from polling.appwrite.api.client import connect
from polling.appwrite.schema.provision import apply
from races.models import Race
from tests.appwrite.conftest import Appwrite


@pytest.fixture
def doomed(appwrite: Appwrite, race: Race) -> Iterator[Race]:
    """A race whose database may be deleted; it is created again afterwards."""
    yield race
    client = connect()
    assert client
    apply(client)
