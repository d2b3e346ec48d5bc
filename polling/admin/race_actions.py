"""The actions of staff on races, from the list or from a race's page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from polling import staff
from polling.admin import health_strip
from polling.admin import race_columns as columns
from polling.admin.base import actor_of, request_time
from polling.admin.confirmation import ConfirmingAdmin
from polling.admin.formats import count_noun
from races.models import Race
from races.status import Outcome, choices


class ReasonForm(forms.Form):
    """Asks for the reason of a decision, which goes into the audit."""

    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autofocus": True, "size": 60}))

    def arguments(self) -> dict[str, Any]:
        """The answers, as arguments of the function that decides."""
        return {"reason": self.cleaned_data["reason"]}


class FinalizeForm(ReasonForm):
    """Asks how the race ended, and for the reason to end it by hand."""

    outcome = forms.ChoiceField(
        choices=[("", "resulted if there is a result, else not known"), *choices(Outcome)],
        required=False,
        help_text="Abandoned, void and postponed races keep no placings and no dividends.",
    )

    def arguments(self) -> dict[str, Any]:
        outcome = self.cleaned_data["outcome"]
        return {**super().arguments(), "outcome": Outcome(outcome) if outcome else None}


@dataclass(frozen=True, slots=True)
class ReasonedAction:
    """An action that asks for a reason: the function of polling.staff behind it, and the words for staff."""

    action: str
    decide: Callable[..., list[int]]
    verb: str
    done: str
    effect: str
    form: type[ReasonForm] = ReasonForm


FORCE_POLL = ReasonedAction(
    "force_poll", staff.force_poll, "Force a poll of", "being polled", "A forced poll is made at once."
)
FINALIZE = ReasonedAction(
    "finalize",
    staff.finalize,
    "Finalize",
    "finalized",
    "A finalized race is not polled any more. If a race has ended already, this sets its outcome.",
    FinalizeForm,
)
REOPEN = ReasonedAction(
    "reopen", staff.reopen, "Reopen", "reopened", "A reopened race loses its outcome and is polled again."
)
PAUSE = ReasonedAction("pause", staff.pause, "Pause", "paused", "A paused race is not polled until it is resumed.")

# Which buttons a race's page offers. The list offers all, and its report counts only races that changed.
APPLIES_TO: dict[str, Callable[[Race], bool]] = {
    "force_poll": lambda race: True,
    "finalize": lambda race: True,
    "reopen": lambda race: race.is_finalized,
    "pause": lambda race: not race.polling_paused,
    "resume": lambda race: race.polling_paused,
}
ENDING = (
    "status", "outcome", "result_state", "result_version", "finalized_by", "finalized_at", "polling_paused",
)  # fmt: skip
DEPENDS_ON = {
    "finalize": ENDING,
    "reopen": ENDING,
    "pause": ("polling_paused",),
    "resume": ("polling_paused",),
}


class RaceActions(ConfirmingAdmin[Race]):
    """The actions; each `has_<name>_permission` is asked by Django for the action of that name."""

    actions = list(APPLIES_TO)
    applies_to = APPLIES_TO
    depends_on = DEPENDS_ON

    def has_force_poll_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("races.force_poll_race")

    def has_finalize_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("races.finalize_race")

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("races.reopen_race")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("races.pause_race")

    @admin.action(description="Force a poll…", permissions=["force_poll"])
    def force_poll(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._decide_with_reason(request, races, FORCE_POLL)

    @admin.action(description="Finalize…", permissions=["finalize"])
    def finalize(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._decide_with_reason(request, races, FINALIZE)

    @admin.action(description="Reopen…", permissions=["reopen"])
    def reopen(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._decide_with_reason(request, races, REOPEN)

    @admin.action(description="Pause polling…", permissions=["pause"])
    def pause(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._decide_with_reason(request, races, PAUSE)

    @admin.action(description="Resume polling", permissions=["pause"])
    def resume(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        keys = [race.pk for race in races]
        with transaction.atomic():
            if changed := self._lock_and_find_changed(request, "resume", keys):
                return self.refuse_changed(request, map(str, changed))
            resumed = staff.resume(keys, by=actor_of(request), now=request_time(request))
        return self._report_done(request, len(resumed), len(keys), "resumed")

    def _decide_with_reason(self, request: HttpRequest, races: QuerySet[Race], action: ReasonedAction) -> HttpResponse:
        """Asks for the reason, and then decides about races that are still as they were shown."""
        form = action.form(request.POST if "confirm" in request.POST else None)
        chosen = list(races)
        if not form.is_valid():
            return self._ask_for_reason(request, chosen, action, form)
        keys = [race.pk for race in chosen]
        with transaction.atomic():
            changed = self._lock_and_find_changed(request, action.action, keys)
            arguments = {"by": actor_of(request), "now": request_time(request), **form.arguments()}
            decided = [] if changed else action.decide(keys, **arguments)
        if changed:  # asked after the transaction, which holds the races' locks
            return self._ask_for_reason(request, chosen, action, form, changed=changed)
        if action is FORCE_POLL:
            return self._report_forced(request, chosen, polled=len(decided))
        return self._report_done(request, len(decided), len(chosen), action.done)

    def _lock_and_find_changed(self, request: HttpRequest, action: str, keys: list[int]) -> list[Race]:
        """The races that have changed since they were shown; all are locked, so that none changes before the commit."""
        races = Race.objects.filter(pk__in=keys).select_related("meeting").locked()
        return self.changed_since_shown(request, action, races)

    def _ask_for_reason(
        self,
        request: HttpRequest,
        races: list[Race],
        action: ReasonedAction,
        form: ReasonForm,
        *,
        changed: Sequence[Race] = (),
    ) -> HttpResponse:
        now = request_time(request)
        heading = f"{action.verb} {count_noun(len(races), 'race')}"
        context = {
            **self.confirmation_context(request, action.action, races, heading),
            "effect": action.effect,
            "rows": [(race, columns.start(race), columns.status(race)) for race in races],
            "form": form,
            "changed": changed,
            "obstacles": _poll_obstacles(request, races) if action is FORCE_POLL else [],
            "not_started": sum(race.is_before_start(now=now) for race in races) if action is FINALIZE else 0,
        }
        return TemplateResponse(request, "admin/races/race/confirm.html", context)

    def _report_forced(self, request: HttpRequest, races: list[Race], *, polled: int) -> HttpResponse:
        """Reports that the races are being polled, or what prevents it."""
        obstacles = _poll_obstacles(request, races)
        if not obstacles:
            return self._report_done(request, polled, len(races), FORCE_POLL.done)
        of = f"{polled} of {count_noun(len(races), 'race')}"
        result = f"Asked for a poll of {of}, which may not be made now." if polled else "No poll was asked for."
        self.message_user(request, " ".join([result, *obstacles]), messages.WARNING)
        return self.redirect_back(request)

    def _report_done(self, request: HttpRequest, number: int, chosen: int, done: str) -> HttpResponse:
        level = messages.SUCCESS if number == chosen else messages.WARNING
        self.message_user(request, f"{number} of {count_noun(chosen, 'race')} {done}.", level)
        return self.redirect_back(request)


def _poll_obstacles(request: HttpRequest, races: Iterable[Race]) -> list[str]:
    """Why polls of these races may not be made now, one sentence per obstacle."""
    return health_strip.obstacles(request, {race.polled_provider for race in races})
