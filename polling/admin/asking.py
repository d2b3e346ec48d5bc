"""Actions that ask before they act, taken from a list or from a page, which posts to the list's own actions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from polling.admin.base import ListAdmin
from polling.admin.wording import counted

M = TypeVar("M", bound=Model)
MOST = 500  # a form takes 1,000 fields, and nobody reads a longer list


class AskingAdmin(ListAdmin[M]):
    """The way from the question to the answer, and back to where it was asked.

    `fits` says of each action on which row's page it makes sense; a list offers all of them.
    """

    fits: Mapping[str, Callable[[M], bool]] = MappingProxyType({})

    def buttons(self, request: HttpRequest, row: M) -> list[tuple[str, str]]:
        """The actions that this user may take and that fit this row: name and label."""
        return [(name, str(label)) for name, label in self.get_action_choices(request, []) if self.fits[name](row)]

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[M], *args: Any, **options: Any
    ) -> HttpResponse | None:
        """Django's own, but for more rows than a confirmation can list."""
        if request.POST.get("select_across") == "1" and queryset.count() > MOST:
            most = counted(MOST, str(self.opts.verbose_name))
            self.message_user(request, f"At most {most} at once; narrow the list.", messages.ERROR)
            return None
        return super().response_action(request, queryset, *args, **options)

    def question(self, request: HttpRequest, action: str, chosen: list[M], heading: str) -> dict[str, Any]:
        """The context of a page on `admin/confirm.html`."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{heading}?",
            "button": heading,
            "action": action,
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
            "page": request.POST.get("page", ""),
            "list": request.POST.get("list") or request.GET.urlencode(),
        }

    def back(self, request: HttpRequest) -> HttpResponse:
        """To where the action was taken: the row's page, or the list as it was."""
        page, query = request.POST.get("page", ""), request.POST.get("list") or request.GET.urlencode()
        if page.isdecimal():
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", page)
        return redirect(f"{request.path}?{query}")
