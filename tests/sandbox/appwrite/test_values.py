"""Values: when two are the same, and how they are kept and shown."""

from typing import Any

import pytest

from sandbox.appwrite import values


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [
        (3.0, 3.0, True),
        (3.0, 3, False),
        (3, 3.0, False),
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["b", "a"], False),
        ([1], [1.0], False),
        (None, None, True),
        (None, "", False),
        (True, 1, False),
    ],
)
def test_a_patch_compares_strictly(stored: Any, sent: Any, expected: bool) -> None:
    assert values.identical(stored, sent) is expected


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [(3.0, 3, True), (None, "", True), (None, 0, True), ("", None, True), ("a", None, False), ("a", "b", False)],
)
def test_an_upsert_compares_loosely(stored: Any, sent: Any, expected: bool) -> None:
    assert values.alike(stored, sent) is expected


@pytest.mark.parametrize(
    ("value", "whole_floats", "expected"),
    [
        (1 / 3, True, 0.33333333333333),
        (3.0, True, 3.0),
        (3.0, False, 3),
        (1.5, False, 1.5),
        ([0.1, 2.0], False, [0.1, 2]),
        ("3.0", False, "3.0"),
    ],
)
def test_floats_keep_fourteen_digits(value: Any, whole_floats: bool, expected: Any) -> None:
    kept = values.kept(value, whole_floats=whole_floats)
    assert values.identical(kept, expected)


@pytest.mark.parametrize(("value", "expected"), [(3.0, 3), (1e15, 10**15), (1e300, 1e300), (0.5, 0.5), ([1.0], [1])])
def test_json_shows_whole_floats_without_a_fraction(value: Any, expected: Any) -> None:
    assert values.identical(values.shown(value), expected)
