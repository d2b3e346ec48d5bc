"""The stand-in's pure rules: moments, collation, values, permissions, bodies."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.appwrite import datetimes, values
from sandbox.appwrite.call import read_body
from sandbox.appwrite.collation import fold
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.permissions import ROW_ACTIONS, TABLE_ACTIONS, expanded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T10:00:00.000+00:00", "2026-11-23T10:00:00.000+00:00"),
        ("2026-11-23T21:00:00+11:00", "2026-11-23T10:00:00.000+00:00"),
        ("2026-11-23T04:30:00-05:30", "2026-11-23T10:00:00.000+00:00"),
        ("2026-11-23 10:00", "2026-11-23T10:00:00.000+00:00"),
        ("20261123T100000Z", "2026-11-23T10:00:00.000+00:00"),
        ("2026-11-23T10:00:00.9999Z", "2026-11-23T10:00:00.999+00:00"),
        ("2026-02-30", "2026-03-02T00:00:00.000+00:00"),
        ("2026-12-31T24:00:00Z", "2027-01-01T00:00:00.000+00:00"),
    ],
)
def test_every_iso_spelling_becomes_utc_milliseconds(text: str, expected: str) -> None:
    assert datetimes.canonical(datetimes.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1795400000", "2026-13-01", "23/11/2026", "2026-11-23T25:00Z", "9999-12-31T24:00:00Z", "0000-01-01"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        datetimes.parse(text)


def test_a_base_keeps_its_microseconds() -> None:
    assert datetimes.parse("2026-11-23T10:00:00.000999Z") == datetime(2026, 11, 23, 10, 0, 0, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other"), [("Race", "race"), ("Race ", "race"), ("Ráce", "RACE"), ("Straße", "strase"), ("🏇", "🏁")]
)
def test_texts_are_one_without_case_accents_and_trailing_spaces(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [(" Race", "Race"), ("e\u0301", "é"), ("競馬", "東京"), ("a-1", "a1")])
def test_other_differences_keep_texts_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_ids_sort_as_the_server_sorts_them() -> None:
    assert sorted(["b10", "B2", "a", "b1", "0a", "A.1", "a-1", "a_1"], key=fold) == [
        *("0a", "a", "a-1", "A.1", "a_1", "b1", "b10", "B2")
    ]


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


def test_write_permission_is_split_up() -> None:
    assert expanded(['write("any")'], ROW_ACTIONS) == ['update("any")', 'delete("any")']
    assert expanded(['write("any")'], TABLE_ACTIONS) == ['create("any")', 'update("any")', 'delete("any")']


@pytest.mark.parametrize(
    "given", ['read("any")', ["read(any)"], ['read("nobody")'], ['create("any")'], [1], ['read("any")'] * 101]
)
def test_a_bad_permission_is_refused(given: Any) -> None:
    with pytest.raises(ApiError, match="permissions"):
        expanded(given, ROW_ACTIONS)


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
