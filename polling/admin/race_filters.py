"""The filter of the race list by the time around the start."""

from datetime import timedelta
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin.base import request_time
from races.models import Race, RaceQuerySet

HOUR = timedelta(hours=1)
WINDOWS = {
    "hour": (timedelta(), HOUR), "hours": (-HOUR, 3 * HOUR), "day": (-12 * HOUR, 12 * HOUR),
    "before": (-36 * HOUR, -12 * HOUR), "week": (-7 * 24 * HOUR, 12 * HOUR), "ahead": (12 * HOUR, 36 * HOUR),
}  # fmt: skip


class StartFilter(admin.SimpleListFilter):
    """Races that start around now; "today" is 12 hours to both sides, because racing days are the tracks' own."""

    title = "start"
    parameter_name = "start"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("hour", "in the next hour"),
            ("hours", "1 h ago to in 3 h"),
            ("day", "today: within 12 h"),
            ("ahead", "tomorrow: in 12 h to 36 h"),
            ("before", "yesterday: 12 h to 36 h ago"),
            ("week", "in the last 7 days"),
            ("overdue", "started, not ended"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Race]) -> QuerySet[Race]:
        now, value = request_time(request), self.value()
        if value == "overdue":
            return cast(RaceQuerySet, queryset).open_past_start(now=now)
        if value in WINDOWS:
            since, until = WINDOWS[value]
            return queryset.filter(advertised_start__gte=now + since, advertised_start__lte=now + until)
        return queryset
