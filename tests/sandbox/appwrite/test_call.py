"""The bodies of requests."""

from typing import Any

import pytest

from sandbox.appwrite.call import read_body


@pytest.mark.parametrize(
    ("content_type", "raw", "expected"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("text/plain", b'{"a": 1}', {}),
        ("application/json", b'{"a": 1', {}),
        ("application/json", b"[1]", {}),
        ("application/json", b'{"a": NaN}', {}),
        ("application/json", b'{"a": "\\ud83c"}', {}),
        ("application/json", b'{"a": "\\ud83c\\udfc7"}', {"a": "🏇"}),
    ],
)
def test_a_body_that_is_no_json_object_counts_as_empty(content_type: str, raw: bytes, expected: dict[str, Any]) -> None:
    assert read_body(content_type, raw) == expected
