"""django-q2's own pages, to look at: its Schedule form runs any function, so only superusers change anything."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_q import admin as _  # noqa: F401 - registers its pages now, wherever it stands in INSTALLED_APPS
from django_q.models import Failure, OrmQ, Schedule, Success

from polling.admin.base import ListAdmin
from polling.admin.filters import when


def _may(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


class SuperusersChange(ListAdmin[Any]):
    """Whoever may view may look; all else, running a task again included, is for superusers."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may(request) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if _may(request) else {}


# Not django-q2's own, which read a table for the groups and clusters that are in it.
FILTERS = {Success: (when("stopped"),), Failure: (when("stopped"),), Schedule: ("schedule_type",)}

for model in (Schedule, Success, Failure, OrmQ):
    # The queue has no page where it is in Redis.
    if admin.site.is_registered(model):
        page = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        admin.site.register(
            model, type(page.__name__, (SuperusersChange, page), {"list_filter": FILTERS.get(model, ())})
        )
