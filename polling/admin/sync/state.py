"""Rows in Appwrite: how pushing each goes, the dead first; and another try for those given up."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet, Value
from django.db.models.fields import DateTimeField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from polling import sync_queue
from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, request_time, utc_column
from polling.admin.filters import fixed_filter, plain_choices, target_choices
from polling.admin.formats import count_noun
from polling.admin.sync.linked_race import found_by, linked, race_of, with_race
from polling.appwrite import sync_state
from polling.models import SyncState
from races.models import Race


@admin.display(description="race", ordering="local_pk")
def race(state: SyncState) -> SafeString:
    """The race, with a link to its page."""
    return linked(state)


@admin.display(description="state", ordering="dead_since")
def standing(state: SyncState) -> SafeString:
    """How it stands, in a word."""
    of, now = race_of(state), vars(state)["now"]
    if state.dead_since:
        return formats.badge("dead", formats.BAD)
    if of is None:
        return formats.badge("race gone", formats.CALM)
    if state.remote_deleted_at and state.base_updated_at:
        return formats.badge("missing", formats.WARNING)
    if state.pushed_version >= of.version:
        return formats.badge("in sync", formats.GOOD)
    return formats.badge("waiting" if _waits(state, now) else "dirty", formats.WARNING)


def _waits(state: SyncState, now: datetime) -> bool:
    return state.next_try_at is not None and state.next_try_at > now


class StandingFilter(admin.SimpleListFilter):
    """What somebody may look for."""

    title = "state"
    parameter_name = "state"
    wanted: Mapping[str, Q] = MappingProxyType(
        {
            "dead": Q(dead_since__isnull=False),
            "failing": Q(dead_since=None, attempts__gt=0),
            # Of a race that is gone it is the push's to delete.
            "missing": sync_state.DELETION_PENDING & Q(local_pk__in=Race.objects.values("pk")),
        }
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("dead", "Dead"), ("failing", "Failed, and tried again"), ("missing", "Deleted in Appwrite")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SyncState]) -> QuerySet[SyncState]:
        return queryset.filter(self.wanted.get(self.value() or "", Q()))


@admin.register(SyncState)
class SyncStateAdmin(ReadOnlyAdmin[SyncState]):
    list_display = (
        "remote_id", race, standing, "error", "attempts",
        utc_column("dead_since"), utc_column("next_try_at"), utc_column("synced_at"), utc_column("remote_deleted_at"),
    )  # fmt: skip
    change_list_template = "admin/wide_list.html"
    list_filter = (
        StandingFilter,
        fixed_filter("table", "table", lambda: plain_choices([sync_state.TABLE])),
        fixed_filter("target", "target", target_choices),
    )
    search_fields = ("remote_id",)  # get_search_results decides what is searched
    search_help_text = "A race as the list of races shows it, or the start of the row's id in Appwrite"
    ordering = (F("dead_since").desc(nulls_last=True), "-attempts", F("synced_at").desc(nulls_last=True))
    actions = ("try_again",)
    computed = (race, standing)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncState]:
        rows = with_race(super().get_queryset(request), "local_pk")
        return rows.annotate(now=Value(request_time(request), output_field=DateTimeField()))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncState], search_term: str
    ) -> tuple[QuerySet[SyncState], bool]:
        today = request_time(request).date()
        return found_by(queryset, search_term, "local_pk", "remote_id", today=today), False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_syncstate")

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[SyncState]) -> Any:
        """Lets the dead among the chosen be pushed again, at once."""
        revived = sync_state.revive(SyncState.objects.filter(pk__in=[state.pk for state in chosen]))
        if revived:
            sync_queue.request_push()
        said = f"{count_noun(revived, 'dead row')} will be tried again."
        self.message_user(request, said, messages.SUCCESS if revived else messages.WARNING)
