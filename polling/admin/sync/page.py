"""The sync page: the state of the sync with Appwrite, and the buttons to push, pull and release a deletion guard."""

from collections.abc import Callable
from datetime import datetime

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import require_http_methods

from polling import sync_queue
from polling.admin import health_strip
from polling.admin.base import request_time
from polling.admin.sync.linked_race import with_race
from polling.admin.sync.status_tables import tables_of_status, waiting_items
from polling.appwrite import checkpoints, status
from polling.appwrite.push import run as push
from polling.models import SyncCheckpoint

VIEW, CHANGE, CONFLICTS = (
    "polling.view_synccheckpoint", "polling.change_synccheckpoint", "polling.view_syncconflict",
)  # fmt: skip
NEWEST = 20


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Shows the sync page; a POST does what its field `do` names, one of POST_ACTIONS."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    if request.method != "POST":
        return TemplateResponse(request, "admin/sync.html", _page_context(request, now=request_time(request)))
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    act = POST_ACTIONS.get(request.POST.get("do", ""))
    if act and (message := act(request)):
        messages.success(request, message)
    return redirect("sync")


def _page_context(request: HttpRequest, *, now: datetime) -> dict[str, object]:
    sync_status = status.numbers(now=now)
    may_see = request.user.has_perm(CONFLICTS)
    newest = with_race(status.open_conflicts(), "state__local_pk").select_related("state")[:NEWEST] if may_see else []
    shown = tables_of_status(sync_status, list(newest), may=request.user.has_perm, now=now)
    return {
        **admin.site.each_context(request),
        "title": "Sync with Appwrite",
        "sync_status": sync_status,
        "waiting": waiting_items(sync_status),
        "not_read": health_strip.not_read(request),
        "tables": shown if may_see else shown[:-1],
        "may_act": sync_status.configured and request.user.has_perm(CHANGE),
        "may_see_conflicts": may_see,
        "now": now,
    }


def _request_push(request: HttpRequest) -> str:
    push.retry_now()  # who asks by hand does not wait for a backoff to end
    sync_queue.request_push()
    return "A push has been asked for."


def _request_pull(request: HttpRequest) -> str:
    sync_queue.request_sync()
    return "A pull has been asked for; a push follows it."


def _release_deletion_guard(request: HttpRequest) -> str:
    """Lets the deletions of a table go on; does nothing if its guard now has another reason than the page showed."""
    held = checkpoints.existing(request.POST.get("table", ""))
    reason = held.deletion_guard if held else ""
    if reason and request.POST.get("deletion_guard", reason) != reason:
        messages.error(
            request, f"Changed since the page was shown, so the deletion guard stays on. Look again: {reason}"
        )
        return ""
    if held is None or not checkpoints.release_deletions(held.table):  # released meanwhile
        return ""
    message = f"The deletion guard of {held.table} is released: {reason}"
    admin.site.get_model_admin(SyncCheckpoint).log_change(request, held, message)
    return message


POST_ACTIONS: dict[str, Callable[[HttpRequest], str]] = {
    "push": _request_push,
    "pull": _request_pull,
    "release": _release_deletion_guard,
}
urls = [path("", admin.site.admin_view(page), name="sync")]
