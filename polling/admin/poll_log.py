"""Poll logs: what was wanted of the providers, and what came of it."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import wording
from polling.admin.base import ReadOnlyAdmin, ValuesFilter, at, instant
from polling.models import PollLog
from races.models import Meeting

AROUND_NOW = timedelta(hours=12)


class MeetingFilter(admin.SimpleListFilter):
    """The meetings that race around now; the search finds the others by their track."""

    title = "meeting"
    parameter_name = "meeting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        now = instant(request)
        around = (now - AROUND_NOW, now + AROUND_NOW)
        meetings = Meeting.objects.filter(races__advertised_start__range=around).distinct().order_by("name", "pk")
        return [(str(meeting.pk), f"{meeting} {meeting.code}") for meeting in meetings]

    def has_output(self) -> bool:
        """Always: without output Django would drop the filter, and a link to an older meeting would show all."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[PollLog]) -> QuerySet[PollLog]:
        value = self.value() or ""
        # As a subquery, where a number too great for the database finds nothing instead of failing.
        chosen = Meeting.objects.filter(pk=int(value) if value.isdecimal() else 0)
        return queryset.filter(race__meeting__in=chosen) if value else queryset


@admin.display(description="race", ordering="race")
def race(log: PollLog) -> SafeString:
    """The race, with a link to its page."""
    url = reverse("admin:races_race_change", args=[log.race_id])
    return format_html('<a href="{}">{}</a> <span class="rp-quiet">{}</span>', url, log.race, log.race.name)


@admin.display(description="state", ordering="state")
def outcome(log: PollLog) -> SafeString:
    """The state with its reason, or with the class of the error."""
    return wording.poll_badge(log.state, log.reason, log.error_class)


@admin.display(description="late by")
def late_by(log: PollLog) -> str:
    """How long after its slot the poll began."""
    return wording.short(log.lateness)


@admin.display(description="took")
def took(log: PollLog) -> str:
    """From the start of the poll to its committed end."""
    return wording.short(log.duration)


@admin.display(description="changed", ordering="changed")
def changed(log: PollLog) -> str:
    """In a word: Django's red cross for False would look like a failure."""
    return "changed" if log.changed else wording.NOTHING


@admin.register(PollLog)
class PollLogAdmin(ReadOnlyAdmin[PollLog]):
    change_list_template = "admin/wide_list.html"
    list_display = (
        at("slot_at"), race, "trigger", outcome, late_by, took, "http_status", changed, "requested_by",
    )  # fmt: skip
    list_filter = (
        "state",
        "trigger",
        ("error_class", ValuesFilter),
        "changed",
        ("race__provider", ValuesFilter),
        MeetingFilter,
    )
    list_select_related = ("race__meeting",)
    search_fields = ("race__meeting__name", "race__name", "^race__provider_race_id", "requested_by")
    search_help_text = "Track, race name, the start of the provider's id, or who asked"
    date_hierarchy = "slot_at"
    blocks = ("sample",)
    computed = (late_by, took)
