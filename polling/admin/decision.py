"""Decisions: Django's log of who changed what, with the reasons that staff gave."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin.base import ReadOnlyAdmin, at


@admin.display(description="of")
def subject(entry: LogEntry) -> SafeString:
    """What was decided about, with a link where it has a page."""
    url = entry.get_admin_url()
    return format_html('<a href="{}">{}</a>' if url else "{1}", url, entry.object_repr)


@admin.display(description="what")
def message(entry: LogEntry) -> str:
    """What was decided, and why."""
    return entry.get_change_message() or entry.get_action_flag_display()


@admin.register(LogEntry)
class DecisionAdmin(ReadOnlyAdmin[LogEntry]):
    list_display = (at("action_time"), "user", subject, message)
    list_filter = (("user", admin.RelatedOnlyFieldListFilter), ("content_type", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")
    date_hierarchy = "action_time"

    def get_fields(self, request: HttpRequest, obj: LogEntry | None = None) -> Any:
        return [at("action_time"), "user", subject, message]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Decisions", **(extra_context or {})})
