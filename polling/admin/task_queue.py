"""django-q2's own pages. Its schedules can run any function, so only superusers change anything, and never our rows."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q import admin as _  # noqa: F401 - registers its pages now, wherever it stands in INSTALLED_APPS
from django_q.models import Failure, OrmQ, Schedule, Success

from polling import schedules
from polling.admin.base import is_superuser
from polling.admin.concurrent_edits import NoOverwriteAdmin, NoOverwriteForm
from polling.admin.filters import when_filter


class SuperusersChange(NoOverwriteAdmin[Any]):
    """Pages that only superusers may use for more than viewing; running a task again needs them too."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if is_superuser(request) else {}


class ScheduleForm(NoOverwriteForm):
    """Refuses the names of racepoll's own schedules, by which `migrate` finds them."""

    def clean_name(self) -> str | None:
        name: str | None = self.cleaned_data.get("name")
        if name in schedules.names():
            raise forms.ValidationError("racepoll has a schedule of its own with this name.")
        return name


class ProtectedSchedules(SuperusersChange):
    """Nobody can change or delete racepoll's own schedules: without the master tick nothing is polled."""

    form = ScheduleForm

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_ours(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_ours(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset.exclude(name__in=schedules.names()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Adds `next_run`, which the cluster moves on: a page left open must not set it back."""
        return [*super().get_readonly_fields(request, obj), *(["next_run"] if obj else [])]


class QueuedTasks(SuperusersChange):
    """Nobody can change or delete queued tasks: each one may be a poll, which would be lost."""

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
# In place of django-q2's own filters, which read the whole table for its groups and clusters.
FILTERS = {Success: (when_filter("stopped"),), Failure: (when_filter("stopped"),), Schedule: ("schedule_type",)}

for model, ours in PAGES.items():
    # The queue has no page if it is in Redis.
    if admin.site.is_registered(model):
        page = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        admin.site.register(model, type(page.__name__, (ours, page), {"list_filter": FILTERS.get(model, ())}))
