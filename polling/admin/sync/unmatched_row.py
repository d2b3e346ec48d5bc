"""Unmatched rows: rows in Appwrite that belong to no race, the reason, and the action to read them again."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from polling.admin.base import ReadOnlyAdmin, request_time, utc_column
from polling.admin.filters import fixed_filter, plain_choices, target_choices
from polling.admin.formats import count_noun
from polling.appwrite import sync_state
from polling.appwrite.pull import run as pull
from polling.models import UnmatchedRow


@admin.register(UnmatchedRow)
class UnmatchedRowAdmin(ReadOnlyAdmin[UnmatchedRow]):
    list_display = ("row_id", "table", "problem", utc_column("found_at"), "updated_at")
    list_filter = (
        fixed_filter("table", "table", lambda: plain_choices([sync_state.TABLE])),
        fixed_filter("target", "target", target_choices),
    )
    search_fields = ("row_id", "problem")
    search_help_text = "The row's id in Appwrite, or words of the problem"
    actions = ("look_again",)

    def has_look_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_unmatchedrow")

    @admin.action(description="Look again", permissions=["look"])
    def look_again(self, request: HttpRequest, rows: QuerySet[UnmatchedRow]) -> None:
        """Reads the rows from Appwrite again; rows that have been corrected become races."""
        chosen = dict(rows.values_list("pk", "row_id"))
        done = pull.run(row_ids=list(chosen.values()), now=request_time(request))
        if done.error:
            self.message_user(request, f"They could not be read: {done.error}", messages.ERROR)
            return
        left = UnmatchedRow.objects.filter(pk__in=chosen).count()
        message = f"{len(chosen) - left} of {count_noun(len(chosen), 'row')} matched a race."
        self.message_user(request, message, messages.WARNING if left else messages.SUCCESS)
