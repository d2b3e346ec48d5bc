"""Actions that ask for confirmation, from a list or from a row's page, which posts to the list's own actions."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from polling.admin.base import ListAdmin
from polling.admin.formats import count_noun

M = TypeVar("M", bound=Model)
MAX_CHOSEN = 500  # a form takes 1,000 fields, and nobody reads a longer list


class ConfirmingAdmin(ListAdmin[M]):
    """Pages whose actions show a confirmation page first, and then return to where the action was chosen.

    `applies_to` has a test per action: whether the page of a row offers it; a list offers all actions. `depends_on` has
    the fields that an action is about: if one has changed since the row was shown, the action does nothing.
    """

    applies_to: Mapping[str, Callable[[M], bool]] = MappingProxyType({})
    depends_on: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def buttons(self, request: HttpRequest, row: M) -> list[tuple[str, str]]:
        """Name and label of the actions that this user may take and that apply to this row."""
        actions = self.get_action_choices(request, [])
        return [(name, str(label)) for name, label in actions if self.applies_to[name](row)]

    def page_context(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """The context of a row's page: its buttons, and a token of the row's state for each."""
        buttons = self.buttons(request, row)
        tokens = [(f"shown_{name}", self.state_token(name, [row])) for name, _ in buttons]
        return {"buttons": buttons, "state_tokens": tokens}

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: M | None = None,
    ) -> HttpResponse:
        if obj:
            context |= self.page_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def state_token(self, action: str, rows: Iterable[M]) -> str:
        """The state of rows that the action is about, for one hidden field of a form: `17:9f2c… 18:03ab…`."""
        return " ".join(f"{row.pk}:{self._state_digest(action, row)}" for row in rows)

    def changed_since_shown(self, request: HttpRequest, action: str, rows: Iterable[M]) -> list[M]:
        """The rows whose state differs from the request's token; none if the request has no token."""
        shown = dict(pair.split(":", 1) for pair in request.POST.get(f"shown_{action}", "").split() if ":" in pair)
        return [row for row in rows if shown.get(str(row.pk)) not in (None, self._state_digest(action, row))]

    def relevant_state(self, action: str, row: M) -> list[Any]:
        """The values of the row that the action is about."""
        return [getattr(row, name) for name in self.depends_on.get(action, ())]

    def _state_digest(self, action: str, row: M) -> str:
        return hashlib.sha256(repr(self.relevant_state(action, row)).encode()).hexdigest()[:16]

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[M], *args: Any, **options: Any
    ) -> HttpResponse | None:
        """Refuses more rows than a confirmation page can list; else Django's own."""
        if request.POST.get("select_across") == "1" and queryset.count() > MAX_CHOSEN:
            most = count_noun(MAX_CHOSEN, str(self.opts.verbose_name))
            self.message_user(request, f"At most {most} at once; narrow the list.", messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **options)

    def confirmation_context(self, request: HttpRequest, action: str, chosen: list[M], heading: str) -> dict[str, Any]:
        """The context of a page that extends `admin/confirm.html`."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{heading}?",
            "button": heading,
            "action": action,
            "shown": self.state_token(action, chosen),
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
            "page": request.POST.get("page", ""),
            "list": request.POST.get("list") or request.GET.urlencode(),
        }

    def refuse_changed(self, request: HttpRequest, names: Iterable[str]) -> HttpResponse:
        """Reports that nothing was done because these rows have changed since they were shown."""
        message = f"Changed since the page was shown; nothing has been done. Look again at: {', '.join(names)}."
        self.message_user(request, message, messages.ERROR)
        return self.redirect_back(request)

    def redirect_back(self, request: HttpRequest) -> HttpResponse:
        """Redirects to where the action was chosen: the row's page, or the list with its filters."""
        page, query = request.POST.get("page", ""), request.POST.get("list") or request.GET.urlencode()
        if page.isdecimal():
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", page)
        return redirect(f"{request.path}?{query}")
