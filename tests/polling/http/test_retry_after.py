"""How long an answer asks to wait: in seconds or until a date, measured by the server's own clock."""

from datetime import timedelta

import pytest

from polling.http.retry_after import retry_after

DATE = "Mon, 23 Nov 2026 03:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", None, 7),
        (" 7 ", DATE, 7),
        ("0", None, 0),
        ("86400", None, 3600),
        ("9" * 5000, None, 3600),
        ("Mon, 23 Nov 2026 03:00:30 GMT", DATE, 30),
        ("Mon, 23 Nov 2026 03:00:30 -0000", DATE, 30),
        ("Mon, 23 Nov 2026 02:00:00 GMT", DATE, 0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", DATE, 3600),
        ("Mon, 23 Nov 2026 03:00:30 GMT", None, None),
        ("Mon, 23 Nov 2026 03:00:30 GMT", "today", None),
        ("-5", DATE, None),
        ("1.5", DATE, None),
        ("²", DATE, None),
        ("soon", DATE, None),
        ("", DATE, None),
        (None, DATE, None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    value: str | None, date: str | None, seconds: int | None
) -> None:
    headers = {"Retry-After": value, "Date": date}
    wait = retry_after({name: text for name, text in headers.items() if text is not None})
    assert wait == (None if seconds is None else timedelta(seconds=seconds))
