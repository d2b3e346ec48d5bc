"""The columns of a race, in the list and on its page, and the queryset with what they need."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

from django.contrib import admin
from django.db.models import (
    Case,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import Column, column_label
from polling.models import Incident, IncidentKind, PollLog, ProviderState
from polling.planning import grid_of, is_unknown, window_at
from races.models import Race, RaceQuerySet
from races.race_flags import RaceFlag, flags_of
from races.relisted_races import relisted_races_of
from races.status import Outcome, RaceStatus

FLAG_TONES: Mapping[RaceFlag, str] = MappingProxyType(
    {
        RaceFlag.PROTEST: formats.WARNING,
        RaceFlag.LATE: formats.BAD,
        RaceFlag.OVERDUE: formats.BAD,
        RaceFlag.NO_RESULT: formats.BAD,
        RaceFlag.UNCONFIRMED: formats.WARNING,
        RaceFlag.UNKNOWN: formats.BAD,
        RaceFlag.DISPUTED: formats.BAD,
        RaceFlag.PAUSED: formats.WARNING,
        RaceFlag.OFF_CARD: formats.WARNING,
        RaceFlag.INCOMPLETE: formats.WARNING,
    }
)


def annotate_shown(races: RaceQuerySet, *, now: datetime, nothing_polled: str = "") -> RaceQuerySet:
    """Annotates the races with what the columns below read, so that a list needs no query per row.

    `now` is the instant of the request, `newest_poll` the newest poll log's state, reason and error class,
    `throttle_factor` that of the provider, `nothing_polled` why no race at all is polled now, else empty, and
    `disputed` whether the provider reports another end than staff or Appwrite decided.
    """
    shown = JSONObject(state="state", reason="reason", error_class="error_class")
    newest_poll = PollLog.objects.filter(race=OuterRef("pk")).order_by("-slot_at").values(shown=shown)[:1]
    disputes = Incident.objects.filter(race=OuterRef("pk"), kind=IncidentKind.DISPUTED.value, ended_at=None)
    throttle_factor = ProviderState.objects.filter(name=OuterRef("provider")).values("throttle_factor")[:1]
    return races.select_related("meeting").annotate(
        now=Value(now, output_field=DateTimeField()),
        newest_poll=Subquery(newest_poll),
        throttle_factor=Subquery(throttle_factor),
        nothing_polled=Value(nothing_polled, output_field=TextField()),
        disputed=Exists(disputes),
    )


def nearest_first(*, now: datetime) -> list[Any]:
    """The order of the list: open races by nearest start, then races that ended, the latest first.

    `race_order.NearestFirst` puts keys in the same order without sorting all races.
    """
    ended = When(status=RaceStatus.FINALIZED.value, then=Value(1))
    ahead, past = F("advertised_start") - Value(now), Value(now) - F("advertised_start")
    distance = Case(
        When(status=RaceStatus.FINALIZED.value, then=None),
        When(advertised_start__gt=now, then=ExpressionWrapper(ahead, DurationField())),
        default=ExpressionWrapper(past, DurationField()),
    )
    return [Case(ended, default=Value(0)), distance, "-advertised_start"]


def now_of(race: Race) -> datetime:
    """The instant of the request, as `annotate_shown` set it on the race."""
    now: datetime = vars(race)["now"]
    return now


@cache
def track_time_column(name: str) -> Column:
    """A column that shows an instant in the track's time."""

    @admin.display(description=column_label(name))
    def column(race: Race) -> SafeString:
        return formats.local_time(getattr(race, name), race.zone)

    column.__name__ = name
    return column


@admin.display(description="race", ordering="meeting__name")
def title(race: Race) -> SafeString:
    """Track, number, the day unless it is today, and the race's name."""
    return format_html('{} <span class="rp-quiet">{}</span>', race.name_at(now_of(race)), race.name)


@admin.display(description="status", ordering="status")
def status(race: Race) -> SafeString:
    """The status, with how the race ended and what staff should notice about it."""
    status_badge = formats.badge(race.get_status_display(), formats.RACE_TONES[RaceStatus(race.status)])
    ending = format_html(" {}", race.outcome) if race.outcome not in ("", Outcome.RESULTED) else ""
    is_disputed = bool(vars(race).get("disputed"))
    flags = flags_of(race, is_unknown=is_unknown(race.last_error, race.failures), is_disputed=is_disputed)
    words = {RaceFlag.DISPUTED: f"the provider reports {race.provider_status}"}
    badges = [(formats.badge(words.get(flag, flag.value), FLAG_TONES[flag]),) for flag in flags]
    return format_html("{}{}{}", status_badge, ending, format_html_join("", " {}", badges))


@admin.display(description="left out")
def left_out(race: Race) -> str:
    """What of its last full answer could not be read, or was reported twice, and how often."""
    return formats.count_list(race.left_out)


@admin.display(description="start", ordering="advertised_start")
def start(race: Race) -> SafeString:
    """The advertised start in the track's time, and the original one if it moved."""
    shown = formats.local_time(race.advertised_start, race.zone, "%d %b %H:%M %Z")
    if race.advertised_start == race.original_advertised_start:
        return shown
    original = formats.local_time(race.original_advertised_start, race.zone, "%H:%M")
    return format_html('{} <span class="rp-quiet">moved from {}</span>', shown, original)


@admin.display(description="starts", ordering="advertised_start")
def starts(race: Race) -> SafeString:
    """How long until or since the advertised start."""
    return formats.time_tag(race.advertised_start, formats.relative_time(race.advertised_start, now=now_of(race)))


@admin.display(description="window")
def window(race: Race) -> str:
    """The window of the cadence that the race is in, and the time between its polls: `T-5, every 15 s`."""
    if race.next_poll_at is None:
        return formats.NOTHING
    if race.is_finalized:
        return "recheck of the result"
    current = window_at(race, factor=vars(race)["throttle_factor"] or 1, now=now_of(race))
    if current is None:
        return f"before {grid_of(race).windows[0].name}"
    return f"{current.name}, every {formats.duration(current.step)}"


@admin.display(description="next poll", ordering="next_poll_at")
def next_poll(race: Race) -> SafeString:
    """When the race is polled next: `due` if that is past, and the reason if nothing at all is polled."""
    if race.next_poll_at is None:
        return format_html("{}", formats.NOTHING)
    if why := vars(race)["nothing_polled"]:
        return format_html('<span class="rp-quiet">none: {}</span>', why)
    is_due = race.next_poll_at <= now_of(race)
    return formats.time_tag(
        race.next_poll_at, "due" if is_due else formats.relative_time(race.next_poll_at, now=now_of(race))
    )


@admin.display(description="last poll", ordering="last_poll_time")
def last_poll(race: Race) -> SafeString:
    """The outcome of the newest planned poll, and how long ago an answer last arrived."""
    newest, answered = vars(race)["newest_poll"], race.last_poll_time
    outcome = formats.poll_badge(**newest) if newest else formats.NOTHING
    if answered is None:
        return format_html("{}", outcome)
    ago = formats.time_tag(answered, formats.relative_time(answered, now=now_of(race)))
    return format_html('{} <span class="rp-quiet">answered {}</span>', outcome, ago)


@admin.display(description="failures", ordering="failures")
def failures(race: Race) -> str:
    """How many polls failed in a row, with the last error."""
    return formats.badge(f"{race.failures} {race.last_error}".strip(), formats.BAD) if race.failures else "0"


@admin.display(description="listed again as")
def relisted_as(race: Race) -> SafeString:
    """The race that the provider lists again under a new id, with a link, once it no longer knows this one."""
    other = relisted_races_of([race]).get(race.pk) if is_unknown(race.last_error, race.failures) else None
    if other is None:
        return format_html("{}", formats.NOTHING)
    url = reverse("admin:races_race_change", args=[other.pk])
    return format_html('<a href="{}">{}</a> {}', url, other, other.provider_race_id)
