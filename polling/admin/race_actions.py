"""What staff may do to races, from the list or from a race's page, which posts to the list's own actions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from polling import staff
from polling.admin import race_columns as columns
from polling.admin.base import ModelAdmin, instant
from polling.admin.wording import counted
from races.decisions import Actor
from races.models import Race

MOST = 500  # a form takes 1,000 fields, and nobody reads a longer list


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that wants a reason: the function of polling.staff that makes it, and how it is put to people."""

    action: str
    decide: Callable[..., list[int]]
    verb: str
    done: str
    effect: str


FORCE_POLL = Decision(
    "force_poll", staff.force_poll, "Force a poll of", "being polled", "A forced poll is asked for at once."
)
FINALIZE = Decision("finalize", staff.finalize, "Finalize", "finalized", "A finalized race is polled no more.")
REOPEN = Decision(
    "reopen", staff.reopen, "Reopen", "reopened", "A reopened race loses its outcome and is polled again."
)
PAUSE = Decision("pause", staff.pause, "Pause", "paused", "A paused race is not polled until it is resumed.")

# What makes sense on the page of one race; the list offers all, and what changes nothing is not counted.
FITS: dict[str, Callable[[Race], bool]] = {
    "force_poll": lambda race: True,
    "finalize": lambda race: not race.is_finalized,
    "reopen": lambda race: race.is_finalized,
    "pause": lambda race: not race.polling_paused,
    "resume": lambda race: race.polling_paused,
}


class ReasonForm(forms.Form):
    """Why: it goes into the audit."""

    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autofocus": True, "size": 60}))


def actor(request: HttpRequest) -> Actor:
    """The member of staff who asks."""
    return Actor(request.user.get_username())


class RaceActions(ModelAdmin[Race]):
    """The actions, and the permission that each asks for by name."""

    actions = list(FITS)

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
        return self._with_reason(request, races, FORCE_POLL)

    @admin.action(description="Finalize…", permissions=["finalize"])
    def finalize(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._with_reason(request, races, FINALIZE)

    @admin.action(description="Reopen…", permissions=["reopen"])
    def reopen(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._with_reason(request, races, REOPEN)

    @admin.action(description="Pause polling…", permissions=["pause"])
    def pause(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        return self._with_reason(request, races, PAUSE)

    @admin.action(description="Resume polling", permissions=["pause"])
    def resume(self, request: HttpRequest, races: QuerySet[Race]) -> HttpResponse:
        chosen = [race.pk for race in races]
        changed = staff.resume(chosen, by=actor(request), reason="in the admin", now=instant(request))
        return self._report(request, len(changed), len(chosen), "resumed")

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Race], *args: Any, **options: Any
    ) -> HttpResponse | None:
        """Django's own, but for more races than a confirmation can list."""
        if request.POST.get("select_across") == "1" and queryset.count() > MOST:
            self.message_user(request, f"At most {counted(MOST, 'race')} at once; narrow the list.", messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **options)

    def buttons(self, request: HttpRequest, race: Race) -> list[tuple[str, str]]:
        """The actions that this user may take and that fit this race: name and label."""
        return [(name, str(label)) for name, label in self.get_action_choices(request, []) if FITS[name](race)]

    def _with_reason(self, request: HttpRequest, races: QuerySet[Race], decision: Decision) -> HttpResponse:
        form = ReasonForm(request.POST if "confirm" in request.POST else None)
        chosen = list(races)
        if not form.is_valid():
            return self._ask(request, chosen, decision, form)
        keys, reason = [race.pk for race in chosen], form.cleaned_data["reason"]
        changed = decision.decide(keys, by=actor(request), reason=reason, now=instant(request))
        return self._report(request, len(changed), len(chosen), decision.done)

    def _ask(self, request: HttpRequest, races: list[Race], decision: Decision, form: ReasonForm) -> HttpResponse:
        heading = f"{decision.verb} {counted(len(races), 'race')}"
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{heading}?",
            "button": heading,
            "rows": [(race, columns.start(race), columns.status(race)) for race in races],
            "decision": decision,
            "form": form,
            "checkbox": ACTION_CHECKBOX_NAME,
            "page": request.POST.get("page", ""),
            "list": request.POST.get("list") or request.GET.urlencode(),
        }
        return TemplateResponse(request, "admin/races/race/confirm.html", context)

    def _report(self, request: HttpRequest, changed: int, chosen: int, done: str) -> HttpResponse:
        """Says how many and goes back to where the action was taken: the race's page, or the list as it was."""
        level = messages.SUCCESS if changed == chosen else messages.WARNING
        self.message_user(request, f"{changed} of {counted(chosen, 'race')} {done}.", level)
        page, query = request.POST.get("page", ""), request.POST.get("list") or request.GET.urlencode()
        if page.isdecimal():
            return redirect("admin:races_race_change", page)
        return redirect(f"{request.path}?{query}")
