"""Filters with known choices, so that no filter reads a whole table for the values in it."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin.base import request_time
from polling.admin.bounded_lists import filter_by_scan
from polling.models import ProviderState, SyncServer
from races.models import Meeting

Choice = tuple[str, str]
Choices = Callable[[], Iterable[Choice]]
DAY = timedelta(days=1)
SPANS = {"hour": timedelta(hours=1), "week": 7 * DAY}
CLOCK_SLACK = timedelta(minutes=1)  # another host's clock may be a little ahead of this request
DAYS_BACK = {"today": 0, "yesterday": 1}
NEWEST_MEETINGS = 500


class FixedFilter(admin.SimpleListFilter):
    """A filter by one column; a link may use a value that is not among the choices."""

    column: str
    choices_of: Choices

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Choice]:
        return list(type(self).choices_of())

    def has_output(self) -> bool:
        """Always true: a filter without output is dropped by Django, and a link with a value would show all rows."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.column: value}) if value else queryset


class ScannedFilter(FixedFilter):
    """A filter by a column that is part of the index with the list's order."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return filter_by_scan(queryset, self.column, [value]) if value else queryset


def fixed_filter(
    column: str, title: str, choices: Choices, *, parameter: str = "", kind: type[FixedFilter] = FixedFilter
) -> type[FixedFilter]:
    """Makes a filter by a column; `parameter` is its name in the URL, by default the column."""
    values = {"column": column, "title": title, "parameter_name": parameter or column}
    return type(f"{column.title()}Filter", (kind,), {**values, "choices_of": staticmethod(choices)})


def plain_choices(names: Iterable[str]) -> list[Choice]:
    """Choices whose label is the value itself."""
    return [(name, name) for name in names]


def provider_choices() -> list[Choice]:
    """The providers that are or were configured."""
    return plain_choices(sorted({*settings.RACE_PROVIDERS, *ProviderState.objects.values_list("name", flat=True)}))


def target_choices() -> list[Choice]:
    """The Appwrite projects that are or were synced with."""
    return plain_choices(sorted({settings.APPWRITE_TARGET, *SyncServer.objects.values_list("target", flat=True)}))


def meeting_choices(column: str) -> Choices:
    """The values of a column in the newest meetings, as a function for `fixed_filter`."""

    def choices_now() -> list[Choice]:
        newest = Meeting.objects.order_by("-racing_day", "name").values_list(column, flat=True)[:NEWEST_MEETINGS]
        return plain_choices(sorted(set(newest) - {""}))

    return choices_now


class YesNoFilter(ScannedFilter):
    """A filter by a flag that is part of the index with the list's order."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Choice]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return filter_by_scan(queryset, self.column, [value == "1"]) if value in ("0", "1") else queryset


class WhenFilter(admin.SimpleListFilter):
    """A filter by the last hour, a day in UTC or the last seven days, on the column that orders the list."""

    title = "when"
    parameter_name = "when"
    column: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Choice]:
        return [
            ("hour", "in the last hour"),
            *_day_choices(request_time(request).date()),
            ("week", "in the last 7 days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        within = time_bounds(self.value() or "", now=request_time(request))
        if within is None:
            return queryset
        return queryset.filter(**{f"{self.column}__gte": within[0], f"{self.column}__lt": within[1]})


class DayFilter(WhenFilter):
    """A filter by a day, on a column of days."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Choice]:
        today = request_time(request).date()
        return [((today + DAY).isoformat(), "tomorrow"), *_day_choices(today), ("week", "in the last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        within = time_bounds(
            self.value() or "", now=request_time(request).replace(hour=0, minute=0, second=0, microsecond=0)
        )
        if within is None:
            return queryset
        since, until = within[0].date(), within[1].date()
        return queryset.filter(**{f"{self.column}__gte": since, f"{self.column}__lt": max(until, since + DAY)})


def time_bounds(value: str, *, now: datetime) -> tuple[datetime, datetime] | None:
    """The first instant and the end of `hour`, `week`, `today`, `yesterday` or an ISO day; None for anything else."""
    if value in SPANS:
        return now - SPANS[value], now + CLOCK_SLACK
    try:
        day = now.date() - DAYS_BACK[value] * DAY if value in DAYS_BACK else date.fromisoformat(value)
        midnight = datetime.combine(day, time(), UTC)
        return midnight, midnight + DAY
    except (ValueError, OverflowError):
        return None


def _day_choices(today: date) -> list[Choice]:
    older = [today - back * DAY for back in range(2, 7)]
    return [("today", "today, UTC"), ("yesterday", "yesterday"), *((f"{day}", f"{day:%a %d %b}") for day in older)]


def when_filter(column: str, kind: type[WhenFilter] = WhenFilter) -> type[WhenFilter]:
    """Makes a filter by an instant, or with DayFilter by a day."""
    return type("When", (kind,), {"column": column})
