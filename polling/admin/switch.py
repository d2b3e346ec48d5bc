"""The switch that pauses all polling."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from polling.admin.base import ModelAdmin
from polling.models import PollingSwitch


@admin.register(PollingSwitch)
class PollingSwitchAdmin(ModelAdmin[PollingSwitch]):
    """One row, made on the first visit; its list is its page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PollingSwitch | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        switch, _ = PollingSwitch.objects.get_or_create(pk=1)
        return redirect("admin:polling_pollingswitch_change", switch.pk)
