"""The switch that pauses all polling."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from polling import global_pause
from polling.admin.base import actor_of, request_time, utc_column
from polling.admin.concurrent_edits import NoOverwriteAdmin, NoOverwriteForm
from polling.models import PollingSwitch

SHOWN: Any = ("paused", "reason", utc_column("changed_at"), "changed_by")


class SwitchForm(NoOverwriteForm):
    """A pause needs a reason, and whoever ends a pause must have seen its reason."""

    together = True

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("paused") and not cleaned.get("reason") and "reason" not in self.errors:
            self.add_error("reason", "Give a reason: every page shows it while all polling is paused.")
        return cleaned


@admin.register(PollingSwitch)
class PollingSwitchAdmin(NoOverwriteAdmin[PollingSwitch]):
    """There is one row, created on the first visit; the list leads to its page."""

    form = SwitchForm
    fields = SHOWN
    readonly_fields = SHOWN[2:]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PollingSwitch | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        row, _ = PollingSwitch.objects.get_or_create(pk=1)
        return redirect("admin:polling_pollingswitch_change", row.pk)

    def save_model(
        self, request: HttpRequest, obj: PollingSwitch, form: "forms.ModelForm[PollingSwitch]", change: bool
    ) -> None:
        by, now, was_paused = actor_of(request), request_time(request), form.initial["paused"]
        if obj.paused and was_paused:
            global_pause.correct_reason(by=by, reason=obj.reason, now=now)
        elif obj.paused:
            global_pause.pause(by=by, reason=obj.reason, now=now)
        elif was_paused:
            # The pause's reason, left in the field, is not the reason to resume.
            reason = obj.reason if obj.reason != form.initial["reason"] else ""
            global_pause.resume(by=by, reason=reason, now=now)

    def log_change(self, request: HttpRequest, obj: PollingSwitch, message: object) -> LogEntry:
        """Saves no entry, because polling.global_pause has written one with the reason."""
        return LogEntry()
