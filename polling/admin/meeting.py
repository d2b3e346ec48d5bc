"""Meetings, with their races."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin import health_strip
from polling.admin import race_columns as columns
from polling.admin.base import ReadOnlyAdmin, request_time
from polling.admin.filters import DayFilter, fixed_filter, meeting_choices, provider_choices, when_filter
from polling.admin.race_columns import annotate_shown
from races.models import Meeting, Race, RaceQuerySet
from races.search import search_meetings

if TYPE_CHECKING:
    RaceInlineBase = admin.TabularInline[Race, Meeting]
else:
    RaceInlineBase = admin.TabularInline


SHOWN: Any = (columns.title, columns.status, columns.start, columns.starts, columns.window, columns.last_poll)


class RaceInline(RaceInlineBase):
    """The races of a meeting, ordered by number, each with a link to its page."""

    model = Race
    ordering = ("number", "pk")
    fields = readonly_fields = SHOWN
    show_change_link = True
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> RaceQuerySet:
        races: Any = super().get_queryset(request)
        return annotate_shown(races, now=request_time(request), nothing_polled=health_strip.nothing_polled(request))


@admin.register(Meeting)
class MeetingAdmin(ReadOnlyAdmin[Meeting]):
    list_display = ("name", "racing_day", "code", "country", "state", "timezone", "provider")
    list_filter = (
        fixed_filter("code", "code", meeting_choices("code")),
        fixed_filter("country", "country", meeting_choices("country")),
        fixed_filter("provider", "provider", provider_choices),
        when_filter("racing_day", DayFilter),
    )
    search_fields = ("name",)  # get_search_results decides what is searched
    search_help_text = "Track, a day (28 Nov), or the start of the provider's id"
    ordering = ("-racing_day", "name")
    inlines = (RaceInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Meeting], search_term: str
    ) -> tuple[QuerySet[Meeting], bool]:
        return search_meetings(queryset, search_term, today=request_time(request).date()), False
