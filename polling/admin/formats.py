"""How the pages write durations, instants, counts and states: always in words, with a title or a badge beside."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.models import PollState
from races.status import RaceStatus, ResultState

NOTHING = "–"
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

GOOD, BAD, WARNING, BUSY, CALM = "good", "bad", "warning", "busy", "calm"
RACE_TONES: Mapping[RaceStatus, str] = MappingProxyType(
    {RaceStatus.SCHEDULED: CALM, RaceStatus.IN_PROGRESS: BUSY, RaceStatus.FINALIZED: GOOD}
)
POLL_TONES: Mapping[PollState, str] = MappingProxyType(
    {
        PollState.WAITING: BUSY,
        PollState.CLAIMED: BUSY,
        PollState.RUNNING: BUSY,
        PollState.OK: GOOD,
        PollState.FAILED: BAD,
        PollState.MISSED: BAD,
        PollState.LOST: BAD,
        PollState.SKIPPED: WARNING,
    }
)
RESULT_TONES: Mapping[ResultState, str] = MappingProxyType(
    {ResultState.NONE: CALM, ResultState.INTERIM: WARNING, ResultState.FINAL: GOOD}
)


def duration(length: timedelta) -> str:
    """The two greatest units of a duration: `4 min 10 s`, `2 h`, `0 s`."""
    seconds_left, parts = int(length.total_seconds()), list[str]()
    for unit, seconds in UNITS:
        count, seconds_left = divmod(seconds_left, seconds)
        if parts or count or unit == "s":
            parts.append(f"{count} {unit}" if count or not parts else "")
    return " ".join(parts[:2]).strip()


def precise_duration(length: timedelta | None) -> str:
    """A duration, in milliseconds if it is below ten seconds: `240 ms`, `2 min 5 s`."""
    if length is None:
        return NOTHING
    milliseconds = length / timedelta(milliseconds=1)
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else duration(length)


def relative_time(instant: datetime, *, now: datetime) -> str:
    """An instant seen from now: `in 4 min 10 s`, `3 min ago`."""
    return f"in {duration(instant - now)}" if instant > now else f"{duration(now - instant)} ago"


def since_text(instant: datetime, *, now: datetime) -> str:
    """Since when and how long: `since 12:03:10 UTC, 4 min 10 s`; with the date, without seconds, if not of today."""
    at = instant.astimezone(UTC)
    same_day = at.date() == now.astimezone(UTC).date()
    length = duration(max(now - instant, timedelta()))
    return f"since {at.strftime('%H:%M:%S' if same_day else '%d %b %H:%M')} UTC, {length}"


def count_noun(number: int, noun: str) -> str:
    """A number with its noun: `1 race`, `2 races`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count_list(amounts: Mapping[str, int]) -> str:
    """Amounts by kind: `2 rows, 1 runners`."""
    return ", ".join(f"{amount} {what}" for what, amount in sorted(amounts.items())) or NOTHING


def utc_text(instant: datetime | None) -> str:
    """An instant in UTC to the second."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if instant else NOTHING


def time_tag(instant: datetime | None, text: str) -> SafeString:
    """A text about an instant, as a time element with the instant in UTC as its title."""
    if instant is None:
        return format_html("{}", text)
    return format_html('<time datetime="{}" title="{}">{}</time>', instant.isoformat(), utc_text(instant), text)


def local_time(instant: datetime | None, zone: ZoneInfo, form: str = "%a %d %b %H:%M:%S %Z") -> SafeString:
    """An instant in a track's time, with the zone's abbreviation, as a time element."""
    return time_tag(instant, instant.astimezone(zone).strftime(form) if instant else NOTHING)


def badge(word: str, tone: str) -> SafeString:
    """A word on a coloured ground; the word alone carries the meaning."""
    return format_html('<span class="rp-badge rp-{}">{}</span>', tone, word)


def poll_badge(state: str, reason: str, error_class: str) -> SafeString:
    """The state of a poll, with its reason or error class: `ok`, `failed Unavailable`, `skipped quota`."""
    detail = error_class if state == PollState.FAILED.value else reason
    return badge(f"{state} {detail}".strip(), POLL_TONES[PollState(state)])


def result_badge(state: str) -> SafeString:
    """The state of a result or a dividend: none, interim or final."""
    return badge(state, RESULT_TONES[ResultState(state)])
