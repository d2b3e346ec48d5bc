"""Timestamps: which forms are read, and the one that is written."""

from datetime import UTC, datetime

import pytest

from sandbox.appwrite import datetimes


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
def test_every_iso_form_becomes_utc_milliseconds(text: str, expected: str) -> None:
    assert datetimes.canonical(datetimes.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1795400000", "2026-13-01", "23/11/2026", "2026-11-23T25:00Z", "9999-12-31T24:00:00Z", "0000-01-01"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        datetimes.parse(text)


def test_a_base_keeps_its_microseconds() -> None:
    assert datetimes.parse("2026-11-23T10:00:00.000999Z") == datetime(2026, 11, 23, 10, 0, 0, 999, tzinfo=UTC)
