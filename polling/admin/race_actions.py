"""What staff may do to races, from the list or from a race's page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from polling.admin.base import request_time
from polling.admin.confirmation import ConfirmingAdmin
from polling.admin.formats import count_noun
from races.decisions import Actor
from races.models import Race
from races.status import Outcome, choices


class ReasonForm(forms.Form):
    """Why: it goes into the audit."""

    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autofocus": True, "size": 60}))

    def arguments(self) -> dict[str, Any]:
        """The arguments of the decision that the answers give."""
        return {"reason": self.cleaned_data["reason"]}


class FinalizeForm(ReasonForm):
    """How the race ended, and why it is ended by hand."""

    outcome = forms.ChoiceField(
        choices=[("", "resulted where there is a result, else not known"), *choices(Outcome)],
        required=False,
        help_text="Abandoned, void and postponed races keep no placings and no dividends.",
    )

    def arguments(self) -> dict[str, Any]:
        outcome = self.cleaned_data["outcome"]
        return {**super().arguments(), "outcome": Outcome(outcome) if outcome else None}


@dataclass(frozen=True, slots=True)
class ReasonedAction:
    """A decision that wants a reason: the function of polling.staff that makes it, and how it is put to people."""

    action: str
    decide: Callable[..., list[int]]
    verb: str
    done: str
    effect: str
    form: type[ReasonForm] = ReasonForm


FORCE_POLL = ReasonedAction(
    "force_poll", staff.force_poll, "Force a poll of", "being polled", "A forced poll is asked for at once."
)
FINALIZE = ReasonedAction(
    "finalize",
    staff.finalize,
    "Finalize",
    "finalized",
    "A finalized race is polled no more. Of a race that has ended already this sets the outcome.",
    FinalizeForm,
)
REOPEN = ReasonedAction(
    "reopen", staff.reopen, "Reopen", "reopened", "A reopened race loses its outcome and is polled again."
)
PAUSE = ReasonedAction("pause", staff.pause, "Pause", "paused", "A paused race is not polled until it is resumed.")

# What makes sense on the page of one race; the list offers all, and what changes nothing is not count_noun.
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


def actor_of(request: HttpRequest) -> Actor:
    """The member of staff who asks."""
    return Actor(request.user.get_username())


class RaceActions(ConfirmingAdmin[Race]):
    """The actions, and the permission that each asks for by name."""

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
        chosen = [race.pk for race in races]
        with transaction.atomic():
            moved = self._lock_and_find_changed(request, "resume", chosen)
            if moved:
                names = ", ".join(map(str, moved))
                said = f"Changed since the page was shown; nothing has been done. Look again at: {names}."
                self.message_user(request, said, messages.ERROR)
                return self.redirect_back(request)
            changed = staff.resume(chosen, by=actor_of(request), now=request_time(request))
        return self._report_changed(request, len(changed), len(chosen), "resumed")

    def _decide_with_reason(
        self, request: HttpRequest, races: QuerySet[Race], decision: ReasonedAction
    ) -> HttpResponse:
        form = decision.form(request.POST if "confirm" in request.POST else None)
        chosen = list(races)
        if not form.is_valid():
            return self._ask_for_reason(request, chosen, decision, form)
        keys = [race.pk for race in chosen]
        with transaction.atomic():
            moved = self._lock_and_find_changed(request, decision.action, keys)
            decide = decision.decide
            changed = [] if moved else decide(keys, by=actor_of(request), now=request_time(request), **form.arguments())
        if moved:
            return self._ask_for_reason(request, chosen, decision, form, moved=moved)
        if decision is FORCE_POLL:
            return self._report_forced(request, chosen, polled=len(changed))
        return self._report_changed(request, len(changed), len(chosen), decision.done)

    def _lock_and_find_changed(self, request: HttpRequest, action: str, keys: list[int]) -> list[Race]:
        """The races that stand otherwise than they were shown. They are locked, so that none moves before the end."""
        return self.changed_since_shown(
            request, action, Race.objects.filter(pk__in=keys).select_related("meeting").locked()
        )

    def _ask_for_reason(
        self,
        request: HttpRequest,
        races: list[Race],
        decision: ReasonedAction,
        form: ReasonForm,
        *,
        moved: Sequence[Race] = (),
    ) -> HttpResponse:
        heading = f"{decision.verb} {count_noun(len(races), 'race')}"
        context = {
            **self.confirmation_context(request, decision.action, races, heading),
            "verb": decision.verb,
            "effect": decision.effect,
            "rows": [(race, columns.start(race), columns.status(race)) for race in races],
            "form": form,
            "moved": moved,
            "obstacles": _poll_obstacles(request, races) if decision is FORCE_POLL else [],
            "early": _not_started(races, now=request_time(request)) if decision is FINALIZE else 0,
        }
        return TemplateResponse(request, "admin/races/race/confirm.html", context)

    def _report_forced(self, request: HttpRequest, races: list[Race], *, polled: int) -> HttpResponse:
        """That they are being polled, or what keeps them from it."""
        obstacles = _poll_obstacles(request, races)
        if not obstacles:
            return self._report_changed(request, polled, len(races), FORCE_POLL.done)
        of = f"{polled} of {count_noun(len(races), 'race')}"
        said = f"Asked for a poll of {of}, which may not be made now." if polled else "No poll was asked for."
        self.message_user(request, " ".join([said, *obstacles]), messages.WARNING)
        return self.redirect_back(request)

    def _report_changed(self, request: HttpRequest, changed: int, chosen: int, done: str) -> HttpResponse:
        level = messages.SUCCESS if changed == chosen else messages.WARNING
        self.message_user(request, f"{changed} of {count_noun(chosen, 'race')} {done}.", level)
        return self.redirect_back(request)


def _poll_obstacles(request: HttpRequest, races: Iterable[Race]) -> list[str]:
    """What keeps polls of these races from being made, a sentence each."""
    providers = {race.provider if race.provider_race_id else "" for race in races}
    return health_strip.obstacles(request, providers)


def _not_started(races: list[Race], *, now: datetime) -> int:
    """How many of them would be ended before their start."""
    return sum(race.is_waiting and race.advertised_start > now for race in races)
