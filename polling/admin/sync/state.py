"""Sync states: how the push of each row to Appwrite goes, dead rows first, and the action to try them again."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.contrib import admin, messages
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from polling import sync_queue
from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, request_time, utc_column
from polling.admin.filters import fixed_filter, plain_choices, target_choices
from polling.admin.formats import count_noun
from polling.admin.sync.linked_race import race_link, race_of, search_by_race, with_race
from polling.appwrite import sync_state
from polling.models import SyncState
from races.models import Race


@admin.display(description="race", ordering="local_pk")
def race(state: SyncState) -> SafeString:
    """The race, with a link to its page."""
    return race_link(state)


@admin.display(description="state", ordering="dead_since")
def standing(state: SyncState) -> SafeString:
    """The state of the row, as a badge."""
    synced_race = race_of(state)
    if state.dead_since:
        return formats.badge("dead", formats.BAD)
    if synced_race is None:
        return formats.badge("race gone", formats.CALM)
    if vars(state)["is_missing"]:
        return formats.badge("missing", formats.WARNING)
    if state.pushed_version >= synced_race.version:
        return formats.badge("in sync", formats.GOOD)
    return formats.badge("waiting" if vars(state)["is_waiting"] else "dirty", formats.WARNING)


class StateFilter(admin.SimpleListFilter):
    """A filter by what may need attention."""

    title = "state"
    parameter_name = "state"
    conditions: Mapping[str, Q] = MappingProxyType(
        {
            "dead": Q(dead_since__isnull=False),
            "failing": Q(dead_since=None, attempts__gt=0),
            # Rows whose race is gone are left out: the push deletes them.
            "missing": sync_state.DELETION_PENDING & Q(local_pk__in=Race.objects.values("pk")),
        }
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("dead", "Dead"), ("failing", "Failed, and tried again"), ("missing", "Deleted in Appwrite")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SyncState]) -> QuerySet[SyncState]:
        return queryset.filter(self.conditions.get(self.value() or "", Q()))


@admin.register(SyncState)
class SyncStateAdmin(ReadOnlyAdmin[SyncState]):
    list_display = (
        "remote_id", race, standing, "error", "attempts",
        utc_column("dead_since"), utc_column("next_try_at"), utc_column("synced_at"), utc_column("remote_deleted_at"),
    )  # fmt: skip
    change_list_template = "admin/wide_list.html"
    list_filter = (
        StateFilter,
        fixed_filter("table", "table", lambda: plain_choices([sync_state.TABLE])),
        fixed_filter("target", "target", target_choices),
    )
    search_fields = ("remote_id",)  # get_search_results decides what is searched
    search_help_text = "A race as the list of races shows it, or the start of the row's id in Appwrite"
    ordering = (F("dead_since").desc(nulls_last=True), "-attempts", F("synced_at").desc(nulls_last=True))
    actions = ("try_again",)
    computed = (race, standing)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncState]:
        is_waiting = sync_state.is_waiting(now=request_time(request))
        rows: QuerySet[Any] = with_race(super().get_queryset(request), "local_pk").annotate(
            is_missing=ExpressionWrapper(sync_state.is_missing(), BooleanField()),
            is_waiting=ExpressionWrapper(is_waiting, BooleanField()),
        )
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncState], search_term: str
    ) -> tuple[QuerySet[SyncState], bool]:
        today = request_time(request).date()
        return search_by_race(queryset, search_term, "local_pk", "remote_id", today=today), False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_syncstate")

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[SyncState]) -> Any:
        """Lets the dead rows among the chosen be pushed again at once."""
        requeued = sync_state.requeue_dead(SyncState.objects.filter(pk__in=[state.pk for state in chosen]))
        if requeued:
            sync_queue.request_push()
        message = f"{count_noun(requeued, 'dead row')} will be tried again."
        self.message_user(request, message, messages.SUCCESS if requeued else messages.WARNING)
