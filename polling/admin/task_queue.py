"""django-q2's own pages: its Schedule form runs any function, so only superusers change anything, and not our rows."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q import admin as _  # noqa: F401 - registers its pages now, wherever it stands in INSTALLED_APPS
from django_q.models import Failure, OrmQ, Schedule, Success

from polling import schedules
from polling.admin.concurrent_edits import NoOverwriteAdmin, NoOverwriteForm
from polling.admin.filters import when_filter


def _may(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


class SuperusersChange(NoOverwriteAdmin[Any]):
    """Whoever may view may look; all else, running a task again included, is for superusers."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may(request) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if _may(request) else {}


class ScheduleForm(NoOverwriteForm):
    """A row of a superuser's own cannot take the name of one of ours, by which `migrate` finds it."""

    def clean_name(self) -> str | None:
        name: str | None = self.cleaned_data.get("name")
        if name in schedules.names():
            raise forms.ValidationError("racepoll runs by a row of this name.")
        return name


class ProtectedSchedules(SuperusersChange):
    """The rows that racepoll runs by are changed and deleted by nobody: without the master tick nothing is polled."""

    form = ScheduleForm

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_ours(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_ours(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset.exclude(name__in=schedules.names()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The cluster moves `next_run` on: a page left open must not set it back."""
        return [*super().get_readonly_fields(request, obj), *(["next_run"] if obj else [])]


class QueuedTasks(SuperusersChange):
    """The queue is the machine's: a task that is changed or taken out of it is a poll that is lost."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _is_ours(row: Any) -> bool:
    return row is not None and row.name in schedules.names()


PAGES = {
    Schedule: ProtectedSchedules,
    Success: SuperusersChange,
    Failure: SuperusersChange,
    OrmQ: QueuedTasks,
}
# Not django-q2's own, which read a table for the groups and clusters that are in it.
FILTERS = {Success: (when_filter("stopped"),), Failure: (when_filter("stopped"),), Schedule: ("schedule_type",)}

for model, ours in PAGES.items():
    # The queue has no page where it is in Redis.
    if admin.site.is_registered(model):
        page = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        admin.site.register(model, type(page.__name__, (ours, page), {"list_filter": FILTERS.get(model, ())}))
