"""Races: the list that staff watch, and the page of a race."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from polling import staff
from polling.admin import health_strip
from polling.admin import race_columns as columns
from polling.admin.base import actor_of, request_time, yes_no_column
from polling.admin.concurrent_edits import NoOverwriteAdmin
from polling.admin.filters import fixed_filter, meeting_choices
from polling.admin.race_actions import RaceActions
from polling.admin.race_columns import annotate_shown, nearest_first, track_time_column
from polling.admin.race_filters import StartFilter
from polling.admin.race_order import NearestFirst
from polling.admin.race_tables import tables_of_race
from races.models import Race, RaceQuerySet
from races.search import search_races

NOTE = "staff_note"
# Columns are functions, which Django takes in a fieldset and its stubs do not.
FIELDSETS: Any = (
    ("Now", {"fields": ((columns.status, columns.starts, columns.window),)}),
    ("Staff", {"fields": (NOTE,)}),
    (
        "Polling",
        {
            "fields": (
                (columns.next_poll, columns.last_poll, columns.failures),
                (
                    track_time_column("last_poll_time"),
                    track_time_column("last_attempt_at"),
                    yes_no_column("detail_wanted"),
                ),
                (track_time_column("unproven_final_at"), columns.relisted_as),
                (track_time_column("snoozed_until"), track_time_column("poll_requested_at")),
            )
        },
    ),
    (
        "Start",
        {
            "fields": (
                (track_time_column("advertised_start"), track_time_column("original_advertised_start")),
                (
                    track_time_column("provider_start"),
                    track_time_column("start_override"),
                    track_time_column("actual_start"),
                ),
            )
        },
    ),
    (
        "Race",
        {
            "fields": (
                ("meeting", "number", "distance_m"),
                ("name", yes_no_column("protest")),
                ("provider", "provider_race_id", "provider_status"),
                ("outcome", "finalized_by", track_time_column("finalized_at")),
                (track_time_column("source_time"), "older_answers", track_time_column("last_changed_at")),
                (track_time_column("off_card_since"), columns.left_out),
                ("version", "result_version"),
            ),
            "classes": ("collapse",),
        },
    ),
)  # fmt: skip
READ_ONLY: Any = [field for field in flatten_fieldsets(FIELDSETS) if field != NOTE]


@admin.register(Race)
class RaceAdmin(RaceActions, NoOverwriteAdmin[Race]):
    """Staff decide about races through actions; the note is the only field that the page edits."""

    list_display = (
        columns.title, columns.status, columns.start, columns.starts, columns.window,
        columns.next_poll, columns.last_poll, columns.failures,
    )  # fmt: skip
    list_filter = (
        StartFilter,
        "status",
        fixed_filter("meeting__code", "code", meeting_choices("code")),
        fixed_filter("meeting__country", "country", meeting_choices("country")),
        "escalation",
        "polling_paused",
    )
    list_select_related = ("meeting",)
    search_fields = ("provider_race_id",)  # get_search_results decides what is searched
    search_help_text = "As the list shows it (Halloran R5, 28 Nov), a runner, or the start of the provider's id"
    formfield_overrides = {models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})}}
    fieldsets = FIELDSETS
    readonly_fields = READ_ONLY

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Race | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> RaceQuerySet:
        races: Any = super().get_queryset(request)
        return annotate_shown(races, now=request_time(request), nothing_polled=health_strip.nothing_polled(request))

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return nearest_first(now=request_time(request))

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **options: Any) -> Any:
        """Orders the list by keys unless a column is chosen; Django also asks for a paginator of a race's history."""
        if ORDER_VAR in request.GET or queryset.model is not Race:
            return super().get_paginator(request, queryset, *args, **options)
        return NearestFirst(queryset, *args, now=request_time(request), **options)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[QuerySet[Race], bool]:
        return search_races(queryset, search_term, today=request_time(request).date()), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Races", "now": request_time(request), "paused": health_strip.pause_notice(request)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def page_context(self, request: HttpRequest, row: Race) -> dict[str, Any]:
        """Adds the tables below the form, and the notice that all polling is paused."""
        shown = {"tables": tables_of_race(request, row), "paused": health_strip.pause_notice(request)}
        return {**super().page_context(request, row), **shown}

    def save_model(self, request: HttpRequest, obj: Race, form: "forms.ModelForm[Race]", change: bool) -> None:
        # Only an edited note is saved: a page left open must not put back the note that it showed.
        if NOTE in form.changed_data:
            staff.annotate([obj.pk], note=obj.staff_note, by=actor_of(request), now=request_time(request))

    def log_change(self, request: HttpRequest, obj: Race, message: object) -> LogEntry:
        """Saves no entry, because races.decisions has written one with the note."""
        return LogEntry()
