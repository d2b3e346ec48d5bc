"""Strays: rows in Appwrite that are of no race, and why; and another look at them."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin.base import ReadOnlyAdmin, at, instant
from polling.admin.filters import fixed, same, targets
from polling.admin.wording import counted
from polling.appwrite import sync_state
from polling.appwrite.pull import run as pull
from polling.models import SyncStray


@admin.register(SyncStray)
class SyncStrayAdmin(ReadOnlyAdmin[SyncStray]):
    list_display = ("row_id", "table", "problem", at("found_at"), "updated_at")
    list_filter = (fixed("table", "table", lambda: same([sync_state.TABLE])), fixed("target", "target", targets))
    search_fields = ("row_id", "problem")
    search_help_text = "The row's id in Appwrite, or words of the problem"
    actions = ("look_again",)

    def has_look_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_syncstray")

    @admin.action(description="Look again", permissions=["look"])
    def look_again(self, request: HttpRequest, strays: QuerySet[SyncStray]) -> None:
        """Reads the rows anew; those that have been mended become races."""
        chosen = dict(strays.values_list("pk", "row_id"))
        done = pull.hinted(list(chosen.values()), now=instant(request))
        if done.error:
            self.message_user(request, f"They could not be read: {done.error}", messages.ERROR)
            return
        left = SyncStray.objects.filter(pk__in=chosen).count()
        said = f"{len(chosen) - left} of {counted(len(chosen), 'stray')} found a place."
        self.message_user(request, said, messages.WARNING if left else messages.SUCCESS)
