"""Permission strings of tables and rows."""

from typing import Any

import pytest

from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.permissions import ROW_ACTIONS, TABLE_ACTIONS, expand_permissions


def test_write_permission_is_split_up() -> None:
    assert expand_permissions(['write("any")'], ROW_ACTIONS) == ['update("any")', 'delete("any")']
    assert expand_permissions(['write("any")'], TABLE_ACTIONS) == ['create("any")', 'update("any")', 'delete("any")']


@pytest.mark.parametrize(
    "given", ['read("any")', ["read(any)"], ['read("nobody")'], ['create("any")'], [1], ['read("any")'] * 101]
)
def test_a_bad_permission_is_refused(given: Any) -> None:
    with pytest.raises(ApiError, match="permissions"):
        expand_permissions(given, ROW_ACTIONS)
