"""The page *Decisions*: Django's log entries of who decided what, with the reasons that staff gave."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin.base import ReadOnlyAdmin, utc_column
from polling.admin.filters import Choice, fixed_filter, when_filter

MOST_USERS = 200


@admin.display(description="of")
def subject(entry: LogEntry) -> SafeString:
    """What the decision is about, with a link if it has a page."""
    url = entry.get_admin_url()
    return format_html('<a href="{}">{}</a>' if url else "{1}", url, entry.object_repr)


@admin.display(description="what")
def message(entry: LogEntry) -> str:
    """The decision and its reason."""
    return entry.get_change_message() or entry.get_action_flag_display()


def user_choices() -> list[Choice]:
    """Staff, and the systems that decide under their own names."""
    return [(str(user.pk), user.get_username()) for user in User.objects.order_by("username")[:MOST_USERS]]


def kind_choices() -> list[Choice]:
    """The kinds of rows that a decision can be about."""
    found = ContentType.objects.filter(app_label__in=("races", "polling", "auth", "django_q")).order_by("model")
    return [(str(kind.pk), kind.name) for kind in found]


@admin.register(LogEntry)
class DecisionAdmin(ReadOnlyAdmin[LogEntry]):
    list_display = (utc_column("action_time"), "user", subject, message)
    list_filter = (
        when_filter("action_time"),
        fixed_filter("user", "by", user_choices, parameter="user__id__exact"),
        fixed_filter("content_type", "of", kind_choices, parameter="content_type__id__exact"),
    )
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")

    def get_fields(self, request: HttpRequest, obj: LogEntry | None = None) -> Any:
        return [utc_column("action_time"), "user", subject, message]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Decisions", **(extra_context or {})})
