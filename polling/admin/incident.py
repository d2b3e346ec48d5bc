"""Incidents: what went wrong with a provider or a race, how long it lasted, and how many polls it cost."""

from datetime import datetime

from django.contrib import admin
from django.db.models import Value
from django.db.models.fields import DateTimeField
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, request_time, utc_column
from polling.admin.bounded_lists import capped_count, filter_by_scan
from polling.admin.filters import fixed_filter, provider_choices, when_filter
from polling.models import Incident, IncidentKind, PollLog, PollState
from polling.quota.incidents import SKIP_REASONS


@admin.display(description="lasted")
def lasted(incident: Incident) -> SafeString:
    """How long the incident lasted; a badge if it is open."""
    now: datetime = vars(incident)["now"]
    length = formats.duration((incident.ended_at or now) - incident.began_at)
    if incident.ended_at is None:
        return formats.badge(f"open for {length}", formats.BAD)
    return formats.time_tag(None, length)


@admin.display(description="polls skipped")
def skipped_polls(incident: Incident) -> str:
    """How many polls were skipped because of the incident; counted on its page, not in the list."""
    if (reason := SKIP_REASONS[IncidentKind(incident.kind)]) is None:
        return formats.NOTHING
    logs = filter_by_scan(PollLog.objects.filter(slot_at__gte=incident.began_at), "state", [PollState.SKIPPED.value])
    if incident.ended_at:
        logs = logs.filter(slot_at__lte=incident.ended_at)
    return str(capped_count(logs.filter(reason=reason.value, race__provider=incident.provider)))


@admin.display(description="race")
def subject(incident: Incident) -> SafeString:
    """The race that the incident is about, with a link; a dash if it is about the whole provider."""
    if incident.race is None:
        return format_html("{}", formats.NOTHING)
    name = incident.race.name_at(vars(incident)["now"])
    return format_html('<a href="{}">{}</a>', reverse("admin:races_race_change", args=[incident.race.pk]), name)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin[Incident]):
    list_display = (utc_column("began_at"), "provider", subject, "kind", lasted, "reason", "settled_by")
    list_select_related = ("race__meeting",)
    list_filter = (
        "kind",
        ("ended_at", admin.EmptyFieldListFilter),
        fixed_filter("provider", "provider", provider_choices),
        when_filter("began_at"),
    )
    computed = (lasted, skipped_polls)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        return super().get_queryset(request).annotate(now=Value(request_time(request), output_field=DateTimeField()))
