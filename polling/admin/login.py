"""The login: `next` leads only to an existing page of this site; any other value leads to the front page."""

from urllib.parse import urlsplit

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme

NOT_PAGES = ("login", "logout", "jsi18n", "autocomplete", "view_on_site")


def login(request: HttpRequest) -> HttpResponse:
    """Django's own login, with `next` replaced if it leads to no page here."""
    for name in ("GET", "POST"):
        given = getattr(request, name)
        if REDIRECT_FIELD_NAME in given and not leads_to_page(request, given[REDIRECT_FIELD_NAME]):
            cleaned = given.copy()
            cleaned[REDIRECT_FIELD_NAME] = reverse("admin:index")
            setattr(request, name, cleaned)
    return admin.site.login(request)


def leads_to_page(request: HttpRequest, url: str) -> bool:
    """Whether the URL is a page of the admin on this host."""
    if not url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return False
    path = urlsplit(url).path
    # Django's admin adds a slash that is missing.
    return _is_page_match(_resolve_path(path)) or _is_page_match(_resolve_path(f"{path}/"))


def _resolve_path(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None


def _is_page_match(match: ResolverMatch | None) -> bool:
    """The admin resolves every path below it, so that it can answer 404 itself; such a match has no name."""
    if match is None or not match.url_name or match.url_name in NOT_PAGES:
        return False
    return "admin" in match.namespaces or match.url_name == "sync"
