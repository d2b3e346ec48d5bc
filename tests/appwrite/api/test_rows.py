"""The calls that could hit more rows than they are meant for do not leave."""

import time
from collections.abc import Callable

import pytest

from polling.appwrite.api.client import connect
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Rows
from tests.appwrite.conftest import Appwrite

AT = "2026-11-23T03:00:00.000+00:00"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda rows: rows.update("", {"name": "x"}, base_updated_at=AT), id="a change without an id"),
        pytest.param(lambda rows: rows.update("a/b", {"name": "x"}, base_updated_at=AT), id="a change of another path"),
        pytest.param(lambda rows: rows.update("a", {"name": "x"}, base_updated_at=""), id="a change without a base"),
        pytest.param(
            lambda rows: rows.update("a", {"name": "x"}, base_updated_at="0"), id="a change with no real base"
        ),
        pytest.param(lambda rows: rows.delete("", base_updated_at=AT), id="a deletion without an id"),
        pytest.param(lambda rows: rows.delete("a", base_updated_at=""), id="a deletion without a base"),
        pytest.param(lambda rows: rows.delete_many([]), id="a deletion of nothing, which were all"),
        pytest.param(lambda rows: rows.delete_many(["a", ""]), id="a deletion with an empty id"),
        pytest.param(lambda rows: rows.delete_many(["a"] * 101), id="a deletion of more than a query holds"),
    ],
)
def test_it_is_refused(appwrite: Appwrite, call: Callable[[Rows], None]) -> None:
    client = connect()
    assert client is not None
    with pytest.raises((ValueError, InvalidRequest), match=r"id|base"):
        call(Rows(client, "races", deadline=time.monotonic() + 5))
    assert appwrite.asked() == []
