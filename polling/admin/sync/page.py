"""The sync page: how it stands with Appwrite, and the buttons for what a person may set going."""

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
from polling.admin.sync.status_tables import tables, waiting
from polling.appwrite import checkpoints, status
from polling.appwrite.push import run as push
from polling.models import SyncCheckpoint

VIEW, CHANGE, CONFLICTS = (
    "polling.view_synccheckpoint", "polling.change_synccheckpoint", "polling.view_syncconflict",
)  # fmt: skip
NEWEST = 20


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Shows it; a POST names in `do` what to set going, and in `table` the table, where that matters."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    if request.method == "POST":
        return _do(request)
    return TemplateResponse(request, "admin/sync.html", _context(request, now=request_time(request)))


def _context(request: HttpRequest, *, now: datetime) -> dict[str, object]:
    told = status.numbers(now=now)
    may_see = request.user.has_perm(CONFLICTS)
    newest = with_race(status.open_conflicts(), "state__local_pk").select_related("state")[:NEWEST] if may_see else []
    shown = tables(told, list(newest), may=request.user.has_perm, now=now)
    return {
        **admin.site.each_context(request),
        "title": "Sync with Appwrite",
        "told": told,
        "waiting": waiting(told),
        "not_read": health_strip.not_read(request),
        "tables": shown if may_see else shown[:-1],
        "may_act": told.configured and request.user.has_perm(CHANGE),
        "may_see_conflicts": may_see,
        "now": now,
    }


def _do(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    deed = DEEDS.get(request.POST.get("do", ""))
    if deed and (said := deed(request)):
        messages.success(request, said)
    return redirect("sync")


def _push(request: HttpRequest) -> str:
    push.retry_now()  # who asks by hand does not wait for a backoff to end
    sync_queue.request_push()
    return "A push has been asked for."


def _pull(request: HttpRequest) -> str:
    sync_queue.request_sync()
    return "A pull has been asked for; a push follows it."


def _release(request: HttpRequest) -> str:
    held = checkpoints.existing(request.POST.get("table", ""))
    why = held.deletion_guard if held else ""
    if why and request.POST.get("deletion_guard", why) != why:
        messages.error(request, f"Changed since the page was shown, so the deletion guard stays on. Look again: {why}")
        return ""
    if held is None or not checkpoints.release_deletions(held.table):  # released meanwhile
        return ""
    said = f"The deletion guard of {held.table} is released: {why}"
    admin.site.get_model_admin(SyncCheckpoint).log_change(request, held, said)
    return said


DEEDS: dict[str, Callable[[HttpRequest], str]] = {"push": _push, "pull": _pull, "release": _release}
urls = [path("", admin.site.admin_view(page), name="sync")]
