"""Conflicts: both sides' values, which of them counted and why, and the actions that resolve them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import Column, ReadOnlyAdmin, actor_of, request_time, utc_column
from polling.admin.confirmation import ConfirmingAdmin
from polling.admin.filters import Choice, fixed_filter, plain_choices, when_filter
from polling.admin.formats import count_noun
from polling.admin.sync import conflict_values
from polling.admin.sync.linked_race import race_in, race_link, race_of, search_by_race, with_race
from polling.admin.table import Table
from polling.appwrite import conflict_resolution
from polling.appwrite.conflict_resolution import Resolved
from polling.appwrite.mapping import RACE_FIELDS, canonical
from polling.appwrite.merge import OWNERS
from polling.models import SyncConflict
from races.models import Race

SIDES = (("base", "agreed before"), ("local", "Django's"), ("remote", "Appwrite's"))
RESOLUTION = ("resolution", "resolved_by", "resolved_at", "remote")
TAKE, KEEP = "Take Appwrite's value", "Keep Django's value"
TAKE_EFFECT = (
    "Appwrite's value is written into Django, with an entry in the audit, and pushed back to Appwrite. "
    "Conflicts below that give a reason against it stay as they are."
)


class OpenFilter(admin.SimpleListFilter):
    """Conflicts that somebody has resolved, or not."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SyncConflict]) -> QuerySet[SyncConflict]:
        if self.value() in ("open", "resolved"):
            return queryset.filter(resolved_at__isnull=self.value() == "open")
        return queryset


class WonFilter(admin.ChoicesFieldListFilter):
    """Conflicts by the side whose value counted."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = "who won"


@admin.display(description="race", ordering="state__local_pk")
def race(conflict: SyncConflict) -> SafeString:
    """The race, with a link to its page."""
    return race_link(conflict, description=conflict.row)


@admin.display(description="field", ordering="field")
def field(conflict: SyncConflict) -> str:
    """The field in which both sides differ."""
    return conflict_values.field_name(conflict.field)


@admin.display(description="row in Appwrite")
def row_id(conflict: SyncConflict) -> str:
    """The id of the row in Appwrite."""
    return conflict.state.remote_id if conflict.state else conflict.row.rpartition(", row ")[2] or formats.NOTHING


@admin.display(description="state", ordering="resolved_at")
def standing(conflict: SyncConflict) -> SafeString:
    """Open, or how it was resolved and who did it."""
    if conflict.resolved_at is None:
        return formats.badge("open", formats.WARNING)
    badge = formats.badge(conflict.get_resolution_display(), formats.GOOD)
    return format_html('{} <span class="rp-quiet">{}</span>', badge, conflict.resolved_by)


@admin.display(description="won, and why", ordering="policy")
def won(conflict: SyncConflict) -> SafeString:
    """The side whose value counted when the conflict was found, and the rule that chose it."""
    return format_html('{} <span class="rp-quiet rp-meaning">{}</span>', conflict.get_chosen_display(), conflict.policy)


def _value_column(name: str, heading: str, shown: Callable[[str, Any], str]) -> Column:
    @admin.display(description=heading)
    def column(conflict: SyncConflict) -> str:
        return shown(conflict.field, getattr(conflict, name))

    column.__name__ = f"{name}_{shown.__name__}"
    return column


SHORT_VALUES = tuple(_value_column(name, heading, conflict_values.short) for name, heading in SIDES)
WHOLE_VALUES = tuple(_value_column(name, heading, conflict_values.whole) for name, heading in SIDES)


def field_choices() -> list[Choice]:
    """The fields in which two sides can differ; `$id` stands for the whole row."""
    return plain_choices(["$id", *sorted(OWNERS)])


@admin.register(SyncConflict)
class SyncConflictAdmin(ConfirmingAdmin[SyncConflict], ReadOnlyAdmin[SyncConflict]):
    change_list_template = "admin/wide_list.html"
    list_display = (utc_column("found_at"), race, field, standing, *SHORT_VALUES, won)
    list_filter = (
        OpenFilter,
        fixed_filter("field", "field", field_choices),
        ("chosen", WonFilter),
        when_filter("found_at"),
    )
    list_select_related = ("state",)
    search_fields = ("state__remote_id",)  # get_search_results decides what is searched
    search_help_text = "A race as the list of races shows it, or the start of the row's id in Appwrite"
    actions = ("take_theirs", "keep_ours")
    depends_on = {"take_theirs": RESOLUTION, "keep_ours": RESOLUTION}
    applies_to = {
        "take_theirs": lambda conflict: conflict.resolution != conflict_resolution.THEIRS,
        "keep_ours": lambda conflict: (
            conflict.resolved_at is None and not conflict_resolution.objections_to_ours([conflict])
        ),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncConflict]:
        return with_current(with_race(super().get_queryset(request), "state__local_pk"))

    def relevant_state(self, action: str, row: SyncConflict) -> list[Any]:
        """Adds the race's present value: who has not seen a later note must not replace it."""
        return [*super().relevant_state(action, row), current(row)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncConflict], search_term: str
    ) -> tuple[QuerySet[SyncConflict], bool]:
        if not search_term.strip():
            return queryset, False
        today = request_time(request).date()
        found = search_by_race(queryset, search_term, "state__local_pk", "state__remote_id", today=today)
        # Of a conflict whose race is gone only its description is left.
        return found | queryset.filter(state=None, row__icontains=search_term.strip()), False

    def get_fields(self, request: HttpRequest, obj: SyncConflict | None = None) -> Any:
        return [race, field, row_id, *WHOLE_VALUES, won, utc_column("found_at"), standing, utc_column("resolved_at")]

    def buttons(self, request: HttpRequest, row: SyncConflict) -> list[tuple[str, str]]:
        """Leaves out a button whose confirmation page could only say why it is refused."""
        buttons = super().buttons(request, row)
        refused = conflict_resolution.objections_to_theirs([row], may=request.user.has_perm)
        return [(name, label) for name, label in buttons if not (name == "take_theirs" and refused)]

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_syncconflict")

    @admin.action(description=f"{TAKE}…", permissions=["resolve"])
    def take_theirs(self, request: HttpRequest, conflicts: QuerySet[SyncConflict]) -> HttpResponse:
        chosen, may = list(conflicts), request.user.has_perm
        if "confirm" not in request.POST:
            return self._ask_to_take(request, chosen)
        keys = [conflict.pk for conflict in chosen]
        with transaction.atomic():
            changed = self._lock_and_find_changed(request, "take_theirs", keys)
            if not changed:
                resolved = conflict_resolution.take_theirs(
                    keys, by=actor_of(request), may=may, now=request_time(request)
                )
        if changed:
            return self._ask_to_take(request, chosen, changed=changed)
        return self._report_resolved(request, chosen, resolved, "Appwrite's value taken")

    @admin.action(description=KEEP, permissions=["resolve"])
    def keep_ours(self, request: HttpRequest, conflicts: QuerySet[SyncConflict]) -> HttpResponse:
        chosen = list(conflicts)
        keys = [conflict.pk for conflict in chosen]
        with transaction.atomic():
            if changed := self._lock_and_find_changed(request, "keep_ours", keys):
                return self.refuse_changed(request, _names_of(changed))
            resolved = conflict_resolution.keep_ours(keys, by=actor_of(request), now=request_time(request))
        return self._report_resolved(request, chosen, resolved, "Django's value kept")

    def _lock_and_find_changed(self, request: HttpRequest, action: str, keys: list[int]) -> list[SyncConflict]:
        """The conflicts that changed since they were shown; locks their races, as every resolution does."""
        races = SyncConflict.objects.filter(pk__in=keys).values("state__local_pk")
        list(Race.objects.filter(pk__in=races).locked().values_list("pk"))
        conflicts = self.get_queryset(request).filter(pk__in=keys).select_related("state")
        return self.changed_since_shown(request, action, conflicts)

    def _ask_to_take(
        self, request: HttpRequest, chosen: list[SyncConflict], *, changed: Sequence[SyncConflict] = ()
    ) -> HttpResponse:
        objections = conflict_resolution.objections_to_theirs(chosen, may=request.user.has_perm)
        takable = len(chosen) - len(objections)
        heading = f"{TAKE} of {count_noun(takable, 'conflict')}"
        context = {
            **self.confirmation_context(request, "take_theirs", chosen, heading),
            "effect": TAKE_EFFECT,
            "table": _confirmation_table(chosen, objections),
            "changed": _names_of(changed),
        }
        if not takable:
            context |= {"title": "Appwrite's value cannot be taken", "effect": "Each conflict says why.", "button": ""}
        return TemplateResponse(request, "admin/polling/syncconflict/confirm.html", context)

    def _report_resolved(
        self, request: HttpRequest, chosen: list[SyncConflict], resolved: Resolved, done: str
    ) -> HttpResponse:
        """Reports how many conflicts were resolved, and which were not and why."""
        level = messages.WARNING if resolved.refused else messages.SUCCESS
        self.message_user(request, f"{resolved.done} of {count_noun(len(chosen), 'conflict')}: {done}.", level)
        for objection in sorted(set(resolved.refused.values())):
            names = ", ".join(_names_of(each for each in chosen if resolved.refused.get(each.pk) == objection))
            self.message_user(request, f"Not for {names}: {objection}.", messages.WARNING)
        return self.redirect_back(request)


def with_current(conflicts: QuerySet[SyncConflict]) -> QuerySet[SyncConflict]:
    """Annotates conflicts with `current`: their races' present values of the fields that can be taken, as JSON."""
    values = JSONObject(**{field: RACE_FIELDS[field].source for field in conflict_resolution.TAKABLE})
    race = Race.objects.filter(pk=OuterRef("state__local_pk")).values(values=values)
    annotated: QuerySet[Any] = conflicts.annotate(current=Subquery(race[:1]))
    return annotated


def current(conflict: SyncConflict) -> Any:
    """The race's present value in canonical form; None if the field cannot be taken, or the race is gone."""
    values = vars(conflict)["current"] or {}
    name = conflict.field
    return canonical(RACE_FIELDS[name], values[name]) if name in values else None


def _names_of(conflicts: Iterable[SyncConflict]) -> list[str]:
    return [f"{race_of(each) or race_in(each.row)} {conflict_values.field_name(each.field)}" for each in conflicts]


def _confirmation_table(conflicts: list[SyncConflict], objections: dict[int, str]) -> Table:
    headers = ("Race", "Field", "Django's", "Appwrite's", "What happens")
    rows = [
        (
            race_link(each, description=each.row),
            conflict_values.field_name(each.field),
            _local_value(each),
            conflict_values.short(each.field, each.remote),
            objections.get(each.pk, "Appwrite's is taken"),
        )
        for each in conflicts
    ]
    return Table("conflicts", "Conflicts", headers, rows, row_headers=True)


def _local_value(conflict: SyncConflict) -> str:
    """Django's value when the conflict was found, and the present one if it has changed since."""
    local, now = conflict_values.short(conflict.field, conflict.local), current(conflict)
    has_changed = conflict.field in (vars(conflict)["current"] or {}) and now != conflict.local
    return f"{conflict_values.short(conflict.field, now)} now, {local} when it was found" if has_changed else local
