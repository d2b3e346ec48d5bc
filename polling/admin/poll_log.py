"""Poll logs: every planned or requested poll and its outcome."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, request_time, utc_column
from polling.admin.bounded_lists import filter_by_scan
from polling.admin.filters import (
    Choice,
    FixedFilter,
    ScannedFilter,
    YesNoFilter,
    fixed_filter,
    plain_choices,
    provider_choices,
    when_filter,
)
from polling.errors import PollingError
from polling.models import PollLog, PollState, Trigger
from races.decisions import COMMAND
from races.models import Meeting, Race
from races.search import search_races
from races.status import choices

AROUND_NOW = timedelta(hours=12)
REQUESTED = (Trigger.FORCED.value, Trigger.REMOTE.value)
SORTABLE: Any = (utc_column("slot_at"),)  # no index has the other orders
MOST_RACES = 500  # whose polls are found by the races' own index


class MeetingFilter(admin.SimpleListFilter):
    """A filter by the meetings with races around now; the search finds all others by their track."""

    title = "meeting"
    parameter_name = "meeting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        now = request_time(request)
        around = (now - AROUND_NOW, now + AROUND_NOW)
        races = Race.objects.filter(advertised_start__range=around)
        meetings = Meeting.objects.filter(pk__in=races.values("meeting")).order_by("name", "pk")
        return [(str(meeting.pk), f"{meeting} {meeting.code}") for meeting in meetings]

    def has_output(self) -> bool:
        """Always true: a filter without output is dropped by Django, and a link to an older meeting would show all."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[PollLog]) -> QuerySet[PollLog]:
        value = self.value() or ""
        # As a subquery, so that a number too great for the database finds nothing instead of failing.
        chosen = Meeting.objects.filter(pk=int(value) if value.isdecimal() else 0)
        return queryset.filter(race__meeting__in=chosen) if value else queryset


class ProviderFilter(FixedFilter):
    """A filter by provider: by its races if they are few, along the list's order if they are many."""

    title = "provider"
    parameter_name = "race__provider"
    choices_of = staticmethod(provider_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[PollLog]) -> QuerySet[PollLog]:
        if not self.value():
            return queryset
        races = Race.objects.filter(provider=self.value()).values_list("pk", flat=True)
        few = list(races[: MOST_RACES + 1])
        return queryset.filter(race__in=few) if len(few) <= MOST_RACES else filter_by_scan(queryset, "race_id", races)


def error_classes() -> list[Choice]:
    """The error classes that a poll can end with."""
    classes, names = [PollingError], {"Lost"}
    while classes:
        subclasses = classes.pop().__subclasses__()
        names |= {each.__name__ for each in subclasses}
        classes += subclasses
    return plain_choices(sorted(names))


@admin.display(description="race")
def race(log: PollLog) -> SafeString:
    """The race, with a link to its page."""
    url = reverse("admin:races_race_change", args=[log.race_id])
    return format_html('<a href="{}">{}</a> <span class="rp-quiet">{}</span>', url, log.race, log.race.name)


@admin.display(description="state")
def outcome(log: PollLog) -> SafeString:
    """The state with its reason or error class, as a badge."""
    return formats.poll_badge(log.state, log.reason, log.error_class)


@admin.display(description="late by")
def late_by(log: PollLog) -> str:
    """How long after its slot the poll began."""
    return formats.precise_duration(log.lateness)


@admin.display(description="took")
def took(log: PollLog) -> str:
    """How long the poll took, from its start to its commit."""
    return formats.precise_duration(log.duration)


@admin.display(description="changed")
def changed(log: PollLog) -> str:
    """Whether the poll changed anything; in a word, since Django's red cross for False would look like a failure."""
    return "changed" if log.changed else formats.NOTHING


@admin.register(PollLog)
class PollLogAdmin(ReadOnlyAdmin[PollLog]):
    change_list_template = "admin/wide_list.html"
    list_display = (
        utc_column("slot_at"), race, "trigger", outcome, late_by, took, "http_status", changed, "requested_by",
    )  # fmt: skip
    list_filter = (
        when_filter("slot_at"),
        fixed_filter("state", "state", lambda: choices(PollState), parameter="state__exact", kind=ScannedFilter),
        fixed_filter("trigger", "trigger", lambda: choices(Trigger), parameter="trigger__exact", kind=ScannedFilter),
        fixed_filter("error_class", "error class", error_classes, kind=ScannedFilter),
        fixed_filter("changed", "changed", list, parameter="changed__exact", kind=YesNoFilter),
        ProviderFilter,
        MeetingFilter,
    )
    list_select_related = ("race__meeting",)
    sortable_by = SORTABLE
    search_fields = ("race__provider_race_id",)  # get_search_results decides what is searched
    search_help_text = "A race as the list shows it, a runner, the start of the provider's id, or who asked"
    preformatted = ("sample",)
    computed = (late_by, took)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PollLog], search_term: str
    ) -> tuple[QuerySet[PollLog], bool]:
        """The polls of the races that the text finds, or that the user of this name asked for."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if User.objects.filter(username=text).exists() or text == COMMAND.username:
            return filter_by_scan(queryset, "trigger", REQUESTED).filter(requested_by=text), False
        races = search_races(Race.objects.all(), text, today=request_time(request).date()).order_by("-advertised_start")
        return queryset.filter(race__in=list(races.values_list("pk", flat=True)[:MOST_RACES])), False
