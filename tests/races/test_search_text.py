"""What a search text means, as a table."""

from datetime import date

import pytest

from races.search_text import SearchQuery, parse_search_text

TODAY = date(2026, 11, 27)


def days(month: int, day: int) -> tuple[date, ...]:
    return tuple(date(year, month, day) for year in (2025, 2026, 2027))


@pytest.mark.parametrize(
    ("text", "words", "number", "meant"),
    [
        ("Mount Halloran 5", ("mount", "halloran"), 5, ()),
        ("Mount Halloran R5", ("mount", "halloran"), 5, ()),
        ("halloran r05", ("halloran",), 5, ()),
        ("Halloran race 5", ("halloran",), 5, ()),
        ("Halloran R 5", ("halloran",), 5, ()),
        ("Halloran #5", ("halloran",), 5, ()),
        ("R5 Halloran", ("halloran",), 5, ()),
        ("5 Halloran", ("halloran",), 5, ()),
        ("65 Halloran 5", ("65", "halloran"), 5, ()),
        ("Race 5", (), 5, ()),
        ("Te Rua R?, 28 Nov", ("te", "rua"), None, days(11, 28)),
        ("5", (), 5, ()),
        ("r12", (), 12, ()),
        ("Karewa Downs R2, 28 Nov", ("karewa", "downs"), 2, days(11, 28)),
        ("Karewa Downs 2 28 November", ("karewa", "downs"), 2, days(11, 28)),
        ("Karewa Downs R2, 28 Nov 2026", ("karewa", "downs"), 2, (date(2026, 11, 28),)),
        ("Karewa Downs Nov 28", ("karewa", "downs"), None, days(11, 28)),
        ("Karewa Downs 28th Nov.", ("karewa", "downs"), None, days(11, 28)),
        ("Karewa Downs 2026-11-28", ("karewa", "downs"), None, (date(2026, 11, 28),)),
        ("R2 2026-11-28", (), 2, (date(2026, 11, 28),)),
        ("1 Mar", (), None, days(3, 1)),
        ("Ashby 29 Feb", ("ashby", "29", "feb"), None, ()),  # in none of the three years
        ("Ashby 31 Nov", ("ashby", "31", "nov"), None, ()),
        ("Silver Fern", ("silver", "fern"), None, ()),
        ("Rating 65 Handicap", ("rating", "65", "handicap"), None, ()),
        ("Rating 650", ("rating", "650"), None, ()),
        ("abc-123", ("abc-123",), None, ()),
        ("race-5", ("race-5",), None, ()),
        ("racecourse", ("racecourse",), None, ()),
        ("race", ("race",), None, ()),
        ("2yo Stakes", ("2yo", "stakes"), None, ()),
        ("", (), None, ()),
        (" , ", (), None, ()),
        ("٥", ("٥",), None, ()),
    ],
)
def test_a_text_means(text: str, words: tuple[str, ...], number: int | None, meant: tuple[date, ...]) -> None:
    sought = parse_search_text(text, today=TODAY)
    assert (sought.words, sought.number, sought.days) == (words, number, meant)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("0a1b2c3d-0000", True), ("abc-1", True), ("1234567", True), ("race-5", True),
        ("R5", False), ("5", False), ("Halloran", False), ("fade", False), ("abc-1 x", False), ("2026-11-28", False),
    ],
)  # fmt: skip
def test_an_id_has_a_digit_and_no_spaces(text: str, may: bool) -> None:
    assert parse_search_text(text, today=TODAY).may_be_id is may


def test_a_text_of_any_length_is_bounded() -> None:
    sought = parse_search_text("word " * 10_000 + "5", today=TODAY)
    assert len(sought.words) <= 8
    assert parse_search_text("x" * 10_000, today=TODAY) == SearchQuery("x" * 200, ("x" * 200,))
