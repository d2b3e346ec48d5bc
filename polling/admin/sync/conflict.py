"""Conflicts: what both sides said, which count_noun and why; and a person's word on them."""

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
from polling.admin.base import Column, ReadOnlyAdmin, request_time, utc_column
from polling.admin.confirmation import ConfirmingAdmin
from polling.admin.filters import Choice, fixed_filter, plain_choices, when_filter
from polling.admin.formats import count_noun
from polling.admin.race_actions import actor_of
from polling.admin.sync import conflict_values
from polling.admin.sync.linked_race import found_by, linked, race_of, remembered, with_race
from polling.admin.table import Table
from polling.appwrite import conflict_resolution
from polling.appwrite.conflict_resolution import Resolved
from polling.appwrite.mapping import RACE_FIELDS, canonical
from polling.appwrite.merge import OWNERS
from polling.models import SyncConflict
from races.models import Race

SIDES = (("base", "agreed before"), ("local", "Django's"), ("remote", "Appwrite's"))
SETTLED = ("resolution", "resolved_by", "resolved_at", "remote")
TAKE, KEEP = "Take Appwrite's value", "Keep Django's value"
TAKE_EFFECT = (
    "Appwrite's value is written into Django, with an entry in the audit, and pushed back to Appwrite. "
    "Nothing happens to the conflicts below that say why not."
)


class OpenFilter(admin.SimpleListFilter):
    """Whether a person has settled it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SyncConflict]) -> QuerySet[SyncConflict]:
        if self.value() in ("open", "resolved"):
            return queryset.filter(resolved_at__isnull=self.value() == "open")
        return queryset


class WonFilter(admin.ChoicesFieldListFilter):
    """Which side count_noun."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = "who won"


@admin.display(description="race", ordering="state__local_pk")
def race(conflict: SyncConflict) -> SafeString:
    """The race, with a link to its page."""
    return linked(conflict, gone=conflict.row)


@admin.display(description="field", ordering="field")
def field(conflict: SyncConflict) -> str:
    """The field that both sides say otherwise."""
    return conflict_values.field_name(conflict.field)


@admin.display(description="row in Appwrite")
def row_id(conflict: SyncConflict) -> str:
    """The row's id, to find it by."""
    return conflict.state.remote_id if conflict.state else conflict.row.rpartition(", row ")[2] or formats.NOTHING


@admin.display(description="state", ordering="resolved_at")
def standing(conflict: SyncConflict) -> SafeString:
    """Open, or how it was settled and by whom."""
    if conflict.resolved_at is None:
        return formats.badge("open", formats.WARNING)
    badge = formats.badge(conflict.get_resolution_display(), formats.GOOD)
    return format_html('{} <span class="rp-quiet">{}</span>', badge, conflict.resolved_by)


@admin.display(description="won, and why", ordering="policy")
def won(conflict: SyncConflict) -> SafeString:
    """Whose value count_noun when it was found, and the rule that chose."""
    return format_html('{} <span class="rp-quiet rp-meaning">{}</span>', conflict.get_chosen_display(), conflict.policy)


def _column(name: str, heading: str, shown: Callable[[str, Any], str]) -> Column:
    @admin.display(description=heading)
    def column(conflict: SyncConflict) -> str:
        return shown(conflict.field, getattr(conflict, name))

    column.__name__ = f"{name}_{shown.__name__}"
    return column


SHORT = tuple(_column(name, heading, conflict_values.short) for name, heading in SIDES)
WHOLE = tuple(_column(name, heading, conflict_values.whole) for name, heading in SIDES)


def fields() -> list[Choice]:
    """The fields that two sides can disagree on; `$id` is the row itself."""
    return plain_choices(["$id", *sorted(OWNERS)])


@admin.register(SyncConflict)
class SyncConflictAdmin(ConfirmingAdmin[SyncConflict], ReadOnlyAdmin[SyncConflict]):
    change_list_template = "admin/wide_list.html"
    list_display = (utc_column("found_at"), race, field, standing, *SHORT, won)
    list_filter = (OpenFilter, fixed_filter("field", "field", fields), ("chosen", WonFilter), when_filter("found_at"))
    list_select_related = ("state",)
    search_fields = ("state__remote_id",)  # what is searched for, and how: get_search_results
    search_help_text = "A race as the list of races shows it, or the start of the row's id in Appwrite"
    actions = ("take_theirs", "keep_ours")
    depends_on = {"take_theirs": SETTLED, "keep_ours": SETTLED}
    applies_to = {
        "take_theirs": lambda conflict: conflict.resolution != conflict_resolution.THEIRS,
        "keep_ours": lambda conflict: (
            conflict.resolved_at is None and not conflict_resolution.objections_to_ours([conflict])
        ),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncConflict]:
        return with_current(with_race(super().get_queryset(request), "state__local_pk"))

    def relevant_state(self, action: str, row: SyncConflict) -> list[Any]:
        """Also what the race says now: a later note must not be replaced by who has not seen it."""
        return [*super().relevant_state(action, row), current(row)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SyncConflict], search_term: str
    ) -> tuple[QuerySet[SyncConflict], bool]:
        if not search_term.strip():
            return queryset, False
        today = request_time(request).date()
        found = found_by(queryset, search_term, "state__local_pk", "state__remote_id", today=today)
        # Of a conflict whose race is gone only these words are left.
        return found | queryset.filter(state=None, row__icontains=search_term.strip()), False

    def get_fields(self, request: HttpRequest, obj: SyncConflict | None = None) -> Any:
        return [race, field, row_id, *WHOLE, won, utc_column("found_at"), standing, utc_column("resolved_at")]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: SyncConflict | None = None,
    ) -> HttpResponse:
        if obj:
            context |= self.button_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def buttons(self, request: HttpRequest, row: SyncConflict) -> list[tuple[str, str]]:
        """Without the one whose question would only say why not."""
        refused = conflict_resolution.objections_to_theirs([row], may=request.user.has_perm)
        return [button for button in super().buttons(request, row) if not (button[0] == "take_theirs" and refused)]

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("polling.change_syncconflict")

    @admin.action(description=f"{TAKE}…", permissions=["resolve"])
    def take_theirs(self, request: HttpRequest, conflicts: QuerySet[SyncConflict]) -> HttpResponse:
        chosen, may = list(conflicts), request.user.has_perm
        if "confirm" not in request.POST:
            return self._ask(request, chosen, conflict_resolution.objections_to_theirs(chosen, may=may))
        keys = [conflict.pk for conflict in chosen]
        with transaction.atomic():
            moved = self._lock_and_find_changed(request, "take_theirs", keys)
            done = (
                Resolved(0, {})
                if moved
                else conflict_resolution.take_theirs(keys, by=actor_of(request), may=may, now=request_time(request))
            )
        if moved:
            return self._ask(request, chosen, conflict_resolution.objections_to_theirs(chosen, may=may), moved=moved)
        return self._report(request, chosen, done, "Appwrite's value taken")

    @admin.action(description=KEEP, permissions=["resolve"])
    def keep_ours(self, request: HttpRequest, conflicts: QuerySet[SyncConflict]) -> HttpResponse:
        chosen = list(conflicts)
        keys = [conflict.pk for conflict in chosen]
        with transaction.atomic():
            if moved := self._lock_and_find_changed(request, "keep_ours", keys):
                names = ", ".join(_names(moved))
                said = f"Changed since the page was shown; nothing has been done. Look again at: {names}."
                self.message_user(request, said, messages.ERROR)
                return self.redirect_back(request)
            done = conflict_resolution.keep_ours(keys, by=actor_of(request), now=request_time(request))
        return self._report(request, chosen, done, "Django's value kept")

    def _lock_and_find_changed(self, request: HttpRequest, action: str, keys: list[int]) -> list[SyncConflict]:
        """The conflicts that stand otherwise than they were shown, their races locked as by those who settle them."""
        races = SyncConflict.objects.filter(pk__in=keys).values("state__local_pk")
        list(Race.objects.filter(pk__in=races).locked().values_list("pk"))
        return self.changed_since_shown(
            request, action, self.get_queryset(request).filter(pk__in=keys).select_related("state")
        )

    def _ask(
        self,
        request: HttpRequest,
        chosen: list[SyncConflict],
        objections: dict[int, str],
        *,
        moved: Sequence[SyncConflict] = (),
    ) -> HttpResponse:
        takable = len(chosen) - len(objections)
        context = self.confirmation_context(
            request, "take_theirs", chosen, f"{TAKE} of {count_noun(takable, 'conflict')}"
        )
        context |= {"verb": TAKE, "effect": TAKE_EFFECT, "table": _question(chosen, objections)}
        context |= {"moved": _names(moved)}
        if not takable:
            context |= {"title": "Appwrite's value cannot be taken", "effect": "Each conflict says why.", "button": ""}
        return TemplateResponse(request, "admin/polling/syncconflict/confirm.html", context)

    def _report(self, request: HttpRequest, chosen: list[SyncConflict], done: Resolved, words: str) -> HttpResponse:
        """How many, and of the others which and why not."""
        level = messages.WARNING if done.refused else messages.SUCCESS
        self.message_user(request, f"{done.done} of {count_noun(len(chosen), 'conflict')}: {words}.", level)
        for objection in sorted(set(done.refused.values())):
            names = ", ".join(_names(each for each in chosen if done.refused.get(each.pk) == objection))
            self.message_user(request, f"Not for {names}: {objection}.", messages.WARNING)
        return self.redirect_back(request)


def with_current(conflicts: QuerySet[SyncConflict]) -> QuerySet[SyncConflict]:
    """The conflicts with `current`, what their races say now in the fields whose values can be taken."""
    said = JSONObject(**{field: RACE_FIELDS[field].source for field in conflict_resolution.TAKERS})
    race = Race.objects.filter(pk=OuterRef("state__local_pk")).values(said=said)
    annotated: QuerySet[Any] = conflicts.annotate(current=Subquery(race[:1]))
    return annotated


def current(conflict: SyncConflict) -> Any:
    """What the race says now, in canonical form; None where that cannot be taken, or the race is gone."""
    said = vars(conflict)["current"]
    return canonical(RACE_FIELDS[conflict.field], said[conflict.field]) if said and conflict.field in said else None


def _local_and_current(conflict: SyncConflict) -> str:
    """Django's value when the conflict was found, and what it is now where it has moved since."""
    local, now = conflict_values.short(conflict.field, conflict.local), current(conflict)
    moved = conflict.field in (vars(conflict)["current"] or {}) and now != conflict.local
    return f"{conflict_values.short(conflict.field, now)} now, {local} when it was found" if moved else local


def _names(conflicts: Iterable[SyncConflict]) -> list[str]:
    return [f"{race_of(each) or remembered(each.row)} {conflict_values.field_name(each.field)}" for each in conflicts]


def _question(conflicts: list[SyncConflict], objections: dict[int, str]) -> Table:
    headers = ("Race", "Field", "Django's", "Appwrite's", "What happens")
    rows = [
        (
            linked(each, gone=each.row),
            conflict_values.field_name(each.field),
            _local_and_current(each),
            conflict_values.short(each.field, each.remote),
            objections.get(each.pk, "Appwrite's is taken"),
        )
        for each in conflicts
    ]
    return Table("conflicts", "Conflicts", headers, rows, row_headers=True)
