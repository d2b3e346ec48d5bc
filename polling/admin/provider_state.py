"""Providers: how long each wants to be left alone, and what it said that nobody understood."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin.base import ReadOnlyAdmin, at, instant
from polling.admin.wording import counted
from polling.models import ProviderState
from polling.planning import replan
from races.models import Race


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnlyAdmin[ProviderState]):
    list_display = ("name", at("not_before"), "reason", "unknown_statuses", at("last_import_at"), "last_import_error")
    ordering = ("name",)
    actions = ("ask_again",)

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Ask again at once, whatever the provider said", permissions=["clear"])
    def ask_again(self, request: HttpRequest, providers: QuerySet[ProviderState]) -> None:
        """Ends the wait; the races that it held back are planned anew."""
        with transaction.atomic():
            held = list(providers.select_for_update().filter(not_before__isnull=False))
            providers.filter(pk__in=[state.pk for state in held]).update(not_before=None, reason="")
            races = Race.objects.open().filter(provider__in=[state.name for state in held])
            replan(races.values_list("pk", flat=True), now=instant(request))
            for state in held:
                self.log_change(request, state, f"Asked again, although: {state.reason}")
        self.message_user(request, f"{counted(len(held), 'provider')} asked again.", messages.SUCCESS)
