"""How durations, instants and states are written."""

from datetime import UTC, datetime, timedelta

import pytest

from polling.admin import formats
from polling.models import PollState
from races.status import RaceStatus, ResultState

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "0 s"),
        (timedelta(milliseconds=900), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=4, seconds=10), "4 min 10 s"),
        (timedelta(minutes=3), "3 min"),
        (timedelta(hours=2, seconds=9), "2 h"),
        (timedelta(hours=2, minutes=5, seconds=9), "2 h 5 min"),
        (timedelta(days=1, minutes=5), "1 d"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
    ids=str,
)
def test_a_duration_is_its_two_greatest_units(length: timedelta, words: str) -> None:
    assert formats.duration(length) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (None, "–"),
        (timedelta(milliseconds=38), "38 ms"),
        (timedelta(milliseconds=9_999), "9999 ms"),
        (timedelta(seconds=10), "10 s"),
    ],
    ids=str,
)
def test_a_short_duration_is_shown_to_the_millisecond(length: timedelta | None, words: str) -> None:
    assert formats.precise_duration(length) == words


def test_what_is_ahead_and_what_is_past_read_differently() -> None:
    assert formats.relative_time(NOW + timedelta(seconds=250), now=NOW) == "in 4 min 10 s"
    assert formats.relative_time(NOW - timedelta(minutes=3), now=NOW) == "3 min ago"


def test_every_state_has_a_tone() -> None:
    assert set(formats.RACE_TONES) == set(RaceStatus)
    assert set(formats.POLL_TONES) == set(PollState)
    assert set(formats.RESULT_TONES) == set(ResultState)


def test_a_badge_escapes_its_word() -> None:
    assert "<script>" not in formats.badge("<script>", formats.BAD)
