"""Timestamps as the server reads and writes them: any ISO form in, UTC milliseconds out."""

import re
from datetime import UTC, datetime, timedelta, timezone

# The bounds of the server's own check; MariaDB could hold the last day of 9999 too.
EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)

_ISO_FORM = re.compile(
    r"(?P<year>\d{4})-?(?P<month>0[1-9]|1[0-2])-?(?P<day>[0-2]\d|3[01])"
    r"(?:[T ](?P<hour>[01]\d|2[0-4]):?(?P<minute>[0-5]\d)"
    r"(?::?(?P<second>[0-5]\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r" ?(?:(?P<utc>Z|UTC)|(?P<sign>[+-])(?P<zone_hours>\d{2}):?(?P<zone_minutes>[0-5]\d))?",
    re.ASCII | re.IGNORECASE,
)


def parse(text: str) -> datetime:
    """The instant in UTC; days past the end of a month roll on, as in PHP. Raises ValueError.

    The real server takes everything PHP's DateTime takes ("next monday"); here only ISO 8601.
    """
    found = _ISO_FORM.fullmatch(text)
    if found is None:
        raise ValueError(text)
    parts = {name: int(value) for name, value in found.groupdict(default="0").items() if value.isdecimal()}
    offset = timedelta(hours=parts["zone_hours"], minutes=parts["zone_minutes"])
    zone = timezone(-offset if found["sign"] == "-" else offset)
    try:
        month = datetime(parts["year"], parts["month"], 1, tzinfo=zone)
        return (month + _since_the_first(parts, found["fraction"])).astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(text) from exc


def _since_the_first(parts: dict[str, int], fraction: str | None) -> timedelta:
    return timedelta(
        days=parts["day"] - 1,
        hours=parts["hour"],
        minutes=parts["minute"],
        seconds=parts["second"],
        microseconds=int((fraction or "")[:6].ljust(6, "0")),
    )


def canonical(instant: datetime) -> str:
    """The instant as every reply writes it; milliseconds are cut, not rounded."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")
