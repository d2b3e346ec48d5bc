"""What the list and the page say of a race, and the queryset that carries what they need to say it."""

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

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
from polling.cadence import URGENT_WITHIN
from polling.models import Incident, IncidentKind, PollLog, ProviderState
from polling.planning import grid_of, is_unknown
from races.models import Race, RaceQuerySet
from races.relisted_races import relisted_races_of
from races.status import Escalation, RaceStatus


def annotate_shown(races: RaceQuerySet, *, now: datetime, nothing_polled: str = "") -> RaceQuerySet:
    """The races with `now`, the instant they are looked at, `newest`, their newest poll log, and `throttle_factor`.

    `nothing_polled` says why no race is polled now, where that is so; `disputed` whether the provider reports otherwise
    than staff or Appwrite, who ended the race.
    """
    told = JSONObject(state="state", reason="reason", error_class="error_class")
    newest = PollLog.objects.filter(race=OuterRef("pk")).order_by("-slot_at").values(told=told)[:1]
    disputes = Incident.objects.filter(race=OuterRef("pk"), kind=IncidentKind.DISPUTED.value, ended_at=None)
    throttle_factor = ProviderState.objects.filter(name=OuterRef("provider")).values("throttle_factor")[:1]
    return races.select_related("meeting").annotate(
        now=Value(now, output_field=DateTimeField()),
        newest=Subquery(newest),
        throttle_factor=Subquery(throttle_factor),
        nothing_polled=Value(nothing_polled, output_field=TextField()),
        disputed=Exists(disputes),
    )


def nearest_first(*, now: datetime) -> list[Any]:
    """The order of the list: what has not ended, the nearest start first; then what has, the latest first."""
    ended = When(status=RaceStatus.FINALIZED.value, then=Value(1))
    ahead, past = F("advertised_start") - Value(now), Value(now) - F("advertised_start")
    away = Case(
        When(status=RaceStatus.FINALIZED.value, then=None),
        When(advertised_start__gt=now, then=ExpressionWrapper(ahead, DurationField())),
        default=ExpressionWrapper(past, DurationField()),
    )
    return [Case(ended, default=Value(0)), away, "-advertised_start"]


def now_of(race: Race) -> datetime:
    """The instant that `annotate_shown` put on the row."""
    now: datetime = vars(race)["now"]
    return now


def zone_of(race: Race) -> ZoneInfo:
    """The track's zone; UTC for a race without a meeting."""
    return race.zone


@cache
def track_time_column(name: str) -> Column:
    """A column of an instant in the track's own time."""

    @admin.display(description=column_label(name))
    def column(race: Race) -> SafeString:
        return formats.local_time(getattr(race, name), race.zone)

    column.__name__ = name
    return column


@admin.display(description="race", ordering="meeting__name")
def title(race: Race) -> SafeString:
    """Track, number, the day where it is not today, and the name."""
    return format_html('{} <span class="rp-quiet">{}</span>', race.name_at(now_of(race)), race.name)


@admin.display(description="status", ordering="status")
def status(race: Race) -> SafeString:
    """The status, with how the race ended, or what keeps it from its end."""
    words = formats.badge(race.get_status_display(), formats.RACE_TONES[RaceStatus(race.status)])
    ending = format_html(" {}", race.outcome) if race.outcome not in ("", "resulted") else ""
    told = [
        formats.badge(word, tone)
        for word, tone, applies in (
            ("protest", formats.WARNING, race.protest and not race.is_finalized),
            (f"no end, {race.escalation}", formats.BAD, race.escalation in (Escalation.LATE, Escalation.OVERDUE)),
            ("Final without a result", formats.BAD, race.escalation == Escalation.NO_RESULT),
            ("Final, not confirmed", formats.WARNING, race.bare_final_at and not race.is_finalized),
            ("not known to the provider", formats.BAD, is_unknown(race.last_error, race.failures)),
            (f"the provider reports {race.provider_status}", formats.BAD, vars(race).get("disputed")),
            ("paused", formats.WARNING, race.polling_paused),
            ("not on the card", formats.WARNING, race.off_card_since and not race.is_finalized),
            ("answer incomplete", formats.WARNING, any(not what.endswith("twice") for what in race.left_out)),
        )
        if applies
    ]
    return format_html("{}{}{}", words, ending, format_html_join("", " {}", ((badge,) for badge in told)))


@admin.display(description="left out")
def left_out(race: Race) -> str:
    """What its last whole answer had that could not be read, or reported twice, and how often."""
    return formats.count_list(race.left_out)


@admin.display(description="start", ordering="advertised_start")
def start(race: Race) -> SafeString:
    """The advertised start in the track's time, and from when it moved."""
    shown = formats.local_time(race.advertised_start, race.zone, "%d %b %H:%M %Z")
    if race.advertised_start == race.original_advertised_start:
        return shown
    original = formats.local_time(race.original_advertised_start, race.zone, "%H:%M")
    return format_html('{} <span class="rp-quiet">moved from {}</span>', shown, original)


@admin.display(description="starts", ordering="advertised_start")
def starts(race: Race) -> SafeString:
    """How far off the advertised start is."""
    return formats.time_tag(race.advertised_start, formats.relative_time(race.advertised_start, now=now_of(race)))


@admin.display(description="window")
def window(race: Race) -> str:
    """The window of the cadence that the race is in, and its step: `T-5, every 15 s`."""
    if race.next_poll_at is None:
        return formats.NOTHING
    if race.is_finalized:
        return "result, looked at again"
    cadence, start, now = grid_of(race), race.advertised_start, now_of(race)
    inside = cadence.window(start, now=now)
    if inside is None:
        return f"before {cadence.windows[0].name}"
    factor = (vars(race)["throttle_factor"] or 1) if start - now > URGENT_WITHIN else 1
    return f"{inside.name}, every {formats.duration(inside.step * factor)}"


@admin.display(description="next poll", ordering="next_poll_at")
def next_poll(race: Race) -> SafeString:
    """When it is polled next; `due` where that has come, and the reason where nothing at all is polled."""
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
    """What came of the newest poll that was wanted, and how long ago an answer last arrived."""
    newest, answered = vars(race)["newest"], race.last_poll_time
    came = formats.poll_badge(**newest) if newest else formats.NOTHING
    if answered is None:
        return format_html("{}", came)
    ago = formats.time_tag(answered, formats.relative_time(answered, now=now_of(race)))
    return format_html('{} <span class="rp-quiet">answered {}</span>', came, ago)


@admin.display(description="failures", ordering="failures")
def failures(race: Race) -> str:
    """Polls failed in a row, with the last error."""
    return formats.badge(f"{race.failures} {race.last_error}".strip(), formats.BAD) if race.failures else "0"


@admin.display(description="listed again as")
def relisted_as(race: Race) -> SafeString:
    """The race that the provider lists in place of one that it no longer knows, with a link."""
    other = relisted_races_of([race]).get(race.pk) if is_unknown(race.last_error, race.failures) else None
    if other is None:
        return format_html("{}", formats.NOTHING)
    url = reverse("admin:races_race_change", args=[other.pk])
    return format_html('<a href="{}">{}</a> {}', url, other, other.provider_race_id)
