"""The site's own middleware: refuses requests that hold a NUL character."""

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.http.request import UnreadablePostError

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
NUL = "\0"


class RefuseNul:
    """Answers 400 to a NUL in address, headers, cookies or form: no text has one, and PostgreSQL takes none."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        if _has_nul(_texts_before_the_body(request)):
            return _nul_response()
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Checks a posted form; not those of views that read the body themselves, which are those without CSRF."""
        if request.method != "POST" or request.content_type not in FORMS or getattr(view, "csrf_exempt", False):
            return None
        try:
            return _nul_response() if _has_nul(_texts_of_form(request.POST.lists())) else None
        except UnreadablePostError:  # the caller hung up
            return HttpResponseBadRequest()


def _texts_before_the_body(request: HttpRequest) -> Iterable[str]:
    yield request.path
    yield from (value for value in request.META.values() if isinstance(value, str))
    yield from request.COOKIES.values()  # decoded, as the query is
    yield from _texts_of_form(request.GET.lists())


def _texts_of_form(lists: Iterable[tuple[str, list[Any]]]) -> Iterable[str]:
    for name, values in lists:
        yield name
        yield from map(str, values)


def _has_nul(texts: Iterable[str]) -> bool:
    return any(NUL in text for text in texts)


def _nul_response() -> HttpResponse:
    return HttpResponseBadRequest("The request has a NUL character, which no text has.\n", content_type="text/plain")
