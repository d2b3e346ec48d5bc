"""Incidents: what went wrong with a provider, for how long, and which slots it cost."""

from datetime import datetime

from django.contrib import admin
from django.db.models import Value
from django.db.models.fields import DateTimeField
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from polling.admin import wording
from polling.admin.base import ReadOnlyAdmin, at, instant
from polling.models import Incident, IncidentKind, PollLog, SkipReason

SKIPPED_AS = {
    IncidentKind.FAILING: SkipReason.BREAKER,
    IncidentKind.BLOCKED: SkipReason.BREAKER,
    IncidentKind.LIMITED: SkipReason.QUOTA,
    IncidentKind.STRETCHED: SkipReason.THROTTLED,
}


@admin.display(description="lasted")
def lasted(incident: Incident) -> SafeString:
    """How long; `open` in a badge where it goes on."""
    now: datetime = vars(incident)["now"]
    length = wording.span((incident.ended_at or now) - incident.began_at)
    return wording.badge(f"open for {length}", wording.BAD) if incident.ended_at is None else wording.time(None, length)


@admin.display(description="slots let go")
def slots_let_go(incident: Incident) -> str:
    """The polls skipped because of it; counted for one page, not for a list."""
    logs = PollLog.objects.filter(race__provider=incident.provider, slot_at__gte=incident.began_at)
    if incident.ended_at:
        logs = logs.filter(slot_at__lte=incident.ended_at)
    return str(logs.filter(reason=SKIPPED_AS[IncidentKind(incident.kind)].value).count())


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin[Incident]):
    list_display = (at("began_at"), "provider", "kind", lasted, "reason")
    list_filter = ("kind", ("ended_at", admin.EmptyFieldListFilter), "provider")
    date_hierarchy = "began_at"
    computed = (lasted, slots_let_go)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        return super().get_queryset(request).annotate(now=Value(instant(request), output_field=DateTimeField()))
