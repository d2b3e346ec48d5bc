"""How long an answer asks to wait, and the instants in its headers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(hours=1)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait of `Retry-After`, in seconds or until an HTTP date, at most an hour; None if missing or unreadable."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        # Nine digits are decades already; Python refuses to read numbers of thousands.
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    return wait_until(http_date(value), headers)


def wait_until(instant: datetime | None, headers: Mapping[str, str]) -> timedelta | None:
    """The time from the answer's own `Date` to an instant of the server's clock, from 0 to an hour.

    None without either. By the server's clock alone, so that ours does not matter.
    """
    answered_at = http_date(headers.get("Date", ""))
    if instant is None or answered_at is None:
        return None
    return min(max(instant - answered_at, timedelta()), LONGEST_WAIT)


def http_date(value: str) -> datetime | None:
    """The instant of an HTTP date header; None if unreadable."""
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
