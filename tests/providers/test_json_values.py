"""Values as providers write them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from polling.providers.json_values import day, instant, instant_or_none, money, number, odds, positive, text

START = datetime(2025, 7, 17, 0, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("2025-07-17T00:50:00Z", id="ISO"),
        pytest.param("2025-07-17T00:50:00.0Z", id="ISO with one digit of a second"),
        pytest.param("2025-07-17T00:50:00.000000000Z", id="ISO with nine digits of a second"),
        pytest.param("2025-07-17T12:50:00+12:00", id="ISO with an offset"),
        pytest.param(1752713400, id="seconds since 1970"),
        pytest.param(1752713400.0, id="seconds since 1970 as a float"),
        pytest.param("2025-07-17 00:50:00 +0000 UTC", id="Go in UTC"),
        pytest.param("2025-07-17 10:50:00 +1000 AEST", id="Go in a zone"),
        pytest.param("2025-07-17 12:50:00 +1200 +1200", id="Go in a zone without a name"),
        pytest.param("2025-07-17 00:50:00.000000001 +0000 UTC m=+0.1", id="Go with a fraction and a monotonic clock"),
    ],
)
def test_one_instant_is_read_from_every_format(written: Any) -> None:
    assert instant(written) == START
    assert instant(written).tzinfo is UTC  # type: ignore[union-attr]


def test_a_fraction_of_nine_digits_keeps_its_microseconds() -> None:
    assert instant("2025-07-17T10:48:11.805562713Z") == datetime(2025, 7, 17, 10, 48, 11, 805562, tzinfo=UTC)


@pytest.mark.parametrize(
    "empty", [None, "", 0, 0.0, -62135596800, "0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC"]
)
def test_what_stands_for_nothing_is_none(empty: Any) -> None:
    assert instant(empty) is None


@pytest.mark.parametrize(
    "junk",
    ["soon", "2025-07-17T00:50:00", "2025-07-17", "0001-01-01T00:00:00+10:00", 1e30, float("nan"), True, [], {}],
    ids=repr,
)
def test_what_is_no_instant_is_an_error_and_a_gap_where_it_may_be_one(junk: Any) -> None:
    with pytest.raises(ValueError, match="not an instant"):
        instant(junk)
    assert instant_or_none(junk) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), ("7", 7), (3.0, 3), (32_767, 32_767), (32_768, None)],
)
def test_a_positive_number_is_whole_and_fits_its_column(value: Any, expected: int | None) -> None:
    assert positive(value) == expected


@pytest.mark.parametrize(
    "junk",
    [0, -1, None, "", "PU", "1.5", 1.5, True, [], "²", "9" * 5000, float("inf")],
    ids=lambda junk: repr(junk)[:9],
)
def test_what_is_no_positive_number_is_none(junk: Any) -> None:
    assert positive(junk) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.4, "0.4"), (7, "7"), ("2.30", "2.30"), (0, "0"), ("LG NK", None), (None, None), (True, None), (1e999, None)],
)
def test_a_number_is_exact(value: Any, expected: str | None) -> None:
    assert number(value) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(13, "13.00"), (1.65, "1.65"), (133.714, "133.71"), ("4.2", "4.20"), (12_345_678.9, "12345678.90")],
)
def test_money_is_in_cents(value: Any, expected: str) -> None:
    assert str(money(value)) == expected


@pytest.mark.parametrize("junk", [0, 0.001, -1, None, "", "SP", 1e30, float("nan"), {}], ids=repr)
def test_what_is_no_amount_above_zero_is_none(junk: Any) -> None:
    assert money(junk) is None


@pytest.mark.parametrize(("value", "expected"), [(4.2, Decimal("4.20")), (0, None), (None, None), (10_000_000, None)])
def test_odds_are_missing_where_none_are_offered(value: Any, expected: Decimal | None) -> None:
    assert odds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("  Ruji ", "Ruji"), ("a\x00b", "ab"), ("x" * 500, "x" * 120), (None, ""), (7, ""), ({}, "")],
    ids=["trimmed", "without NUL", "cut", "null", "number", "object"],
)
def test_text_is_fit_to_store(value: Any, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2025-07-17T00:00:00Z", date(2025, 7, 17)), ("2025-07-17", date(2025, 7, 17)), ("today", None), (None, None)],
)
def test_a_racing_day_is_read_as_written(value: Any, expected: date | None) -> None:
    assert day(value) == expected
