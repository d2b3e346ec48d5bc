"""What the pages share: the request's instant, columns of instants, and pages that only show."""

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
    """The one instant of a request: all that it shows and decides is measured from there."""
    now: datetime = request.META.setdefault("racepoll.now", clock.now())
    return now


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether this user's pages of the model open."""
    return admin.site.get_model_admin(model).has_view_permission(request)


@cache
def utc_column(name: str) -> Column:
    """A column of an instant in UTC to the second; Django's own leaves the seconds out."""

    @admin.display(description=column_label(name), ordering=name)
    def column(row: models.Model) -> SafeString:
        value = getattr(row, name)
        return formats.time_tag(value, formats.utc_text(value))

    column.__name__ = name
    return column


@cache
def preformatted_column(name: str) -> Column:
    """A field as preformatted text: a sample as it came, JSON indented."""

    @admin.display(description=column_label(name))
    def column(row: models.Model) -> SafeString:
        value = getattr(row, name)
        text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
        return format_html('<pre class="rp-block" tabindex="0">{}</pre>', text or formats.NOTHING)

    column.__name__ = name
    return column


@cache
def yes_no_column(name: str) -> Column:
    """A column of a flag in words; Django's own icon of a `no` is a red cross, also where nothing is wrong."""

    @admin.display(description=column_label(name), ordering=name)
    def column(row: models.Model) -> str:
        value: bool | None = getattr(row, name)
        return formats.NOTHING if value is None else "yes" if value else "no"

    column.__name__ = name
    return column


def column_label(name: str) -> str:
    """A field's name as the heading of a column: `finished_at` is `finished`."""
    return name.removesuffix("_at").replace("_", " ")


class ListAdmin(ModelAdmin[M]):
    """A list that opens at once however many rows there are: no count, no facets, and no sorting, of all of them."""

    paginator = KeyPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A history shows decisions, so it opens for who may view those."""
        if not may_view(request, LogEntry):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)


class ReadOnlyAdmin(ListAdmin[M]):
    """Pages to look at: every field is shown, and nobody adds, changes or deletes."""

    actions: Any = None
    blocks: tuple[str, ...] = ()
    computed: tuple[Column, ...] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        return [*(self._shown(field) for field in self.opts.concrete_fields if not field.primary_key), *self.computed]

    def _shown(self, field: "models.Field[Any, Any]") -> str | Column:
        if isinstance(field, models.JSONField) or field.name in self.blocks:
            return preformatted_column(field.name)
        if isinstance(field, models.BooleanField):
            return yes_no_column(field.name)
        return utc_column(field.name) if isinstance(field, models.DateTimeField) else field.name
