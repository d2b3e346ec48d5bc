"""What all pages share: the instant and the user of a request, kinds of columns, and read-only pages."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling import clock
from polling.admin import formats
from polling.admin.bounded_lists import BoundedChangeList, KeyPaginator
from races.audit import Actor

M = TypeVar("M", bound=models.Model)
Column = Callable[[Any], str]

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's own, which takes a type argument only in its stubs."""

        def __class_getitem__(cls, _):
            return cls


def request_time(request: HttpRequest) -> datetime:
    """The one instant of a request: everything it shows and decides is measured from it."""
    now: datetime = request.META.setdefault("racepoll.now", clock.now())
    return now


def actor_of(request: HttpRequest) -> Actor:
    """The logged-in member of staff, as the one who decides."""
    return Actor(request.user.get_username())


def is_superuser(request: HttpRequest) -> bool:
    """Whether this user may do everything, also what no permission covers."""
    return bool(request.user.is_active and request.user.is_superuser)


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether this user's pages of the model open."""
    return admin.site.get_model_admin(model).has_view_permission(request)


@cache
def utc_column(name: str) -> Column:
    """A column that shows an instant in UTC to the second; Django's own leaves the seconds out."""

    @admin.display(description=column_label(name), ordering=name)
    def column(row: models.Model) -> SafeString:
        value = getattr(row, name)
        return formats.time_tag(value, formats.utc_text(value))

    column.__name__ = name
    return column


@cache
def preformatted_column(name: str) -> Column:
    """A field shown as preformatted text: text as it is stored, JSON indented."""

    @admin.display(description=column_label(name))
    def column(row: models.Model) -> SafeString:
        value = getattr(row, name)
        text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
        return format_html('<pre class="rp-block" tabindex="0">{}</pre>', text or formats.NOTHING)

    column.__name__ = name
    return column


@cache
def yes_no_column(name: str) -> Column:
    """A column that shows a flag as yes or no; Django's icon for no is a red cross, as if something were wrong."""

    @admin.display(description=column_label(name), ordering=name)
    def column(row: models.Model) -> str:
        value: bool | None = getattr(row, name)
        return formats.NOTHING if value is None else "yes" if value else "no"

    column.__name__ = name
    return column


def column_label(name: str) -> str:
    """The heading of a field's column: `finished` for `finished_at`."""
    return name.removesuffix("_at").replace("_", " ")


class ListAdmin(ModelAdmin[M]):
    """A list that opens quickly however many rows there are: it never counts or sorts all of them."""

    paginator = KeyPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Shows a row's decisions, so it needs the permission to view log entries."""
        if not may_view(request, LogEntry):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)


class ReadOnlyAdmin(ListAdmin[M]):
    """Read-only pages: they show every field, and nobody can add, change or delete a row."""

    actions: Any = None
    preformatted: tuple[str, ...] = ()
    computed: tuple[Column, ...] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        fields = (field for field in self.opts.concrete_fields if not field.primary_key)
        return [*map(self._column_of, fields), *self.computed]

    def _column_of(self, field: "models.Field[Any, Any]") -> str | Column:
        if isinstance(field, models.JSONField) or field.name in self.preformatted:
            return preformatted_column(field.name)
        if isinstance(field, models.BooleanField):
            return yes_no_column(field.name)
        return utc_column(field.name) if isinstance(field, models.DateTimeField) else field.name
