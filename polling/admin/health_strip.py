"""The strip above every page: the state of polling and of the sync, read once per request."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import request_time
from polling.health import facts as health_facts
from polling.health import rules as health
from polling.health.facts import Facts
from polling.health.rules import Item, Level, Subject

TONES = {Level.WELL: formats.GOOD, Level.IDLE: formats.CALM, Level.WARNING: formats.WARNING, Level.BAD: formats.BAD}
# The page with the details, the model whose viewers may open it, and the query of the link.
PAGES = {
    Subject.TICK: ("admin:polling_tick_changelist", "tick", ""),
    Subject.WORKER: ("admin:polling_polllog_changelist", "polllog", ""),
    Subject.PROVIDER: ("admin:polling_providerstate_changelist", "providerstate", ""),
    Subject.APPWRITE: ("sync", "synccheckpoint", ""),
    Subject.SWITCH: ("admin:polling_pollingswitch_changelist", "pollingswitch", ""),
    Subject.INCIDENTS: ("admin:polling_incident_changelist", "incident", "?ended_at__isempty=1"),
    Subject.CONFLICTS: ("admin:polling_syncconflict_changelist", "syncconflict", "?state=open"),
}
MAX_CHARACTERS = 200  # of a quoted text; the page has all of it
SHOWN_TO_ALL = (Subject.WORKER, Subject.SWITCH)  # their texts are racepoll's own, or meant for all staff


@dataclass(frozen=True, slots=True)
class Cell:
    """One item of the strip as it is shown; `page` is empty if the user may not open it."""

    title: str
    badge: SafeString
    when: SafeString
    detail: str
    page: str
    level: Level


def facts_of(request: HttpRequest) -> Facts:
    """The facts at the request's instant, read once, so that everything on a page agrees."""
    cached: Facts | None = request.META.get("racepoll.facts")
    if cached is None:
        cached = request.META["racepoll.facts"] = health_facts.read(now=request_time(request))
    return cached


def nothing_polled(request: HttpRequest) -> str:
    """Why nothing at all is polled, in a few words; empty if polling goes on."""
    return health.nothing_polled(facts_of(request), now=request_time(request))


def obstacles(request: HttpRequest, providers: Iterable[str]) -> list[str]:
    """Why polls of these providers' races may not be made now, one sentence per obstacle."""
    return health.obstacles(facts_of(request), providers, now=request_time(request))


def pause_notice(request: HttpRequest) -> str:
    """That all polling is paused, since when, by whom and why; empty if it is not paused."""
    return health.pause_notice(facts_of(request))


def not_read(request: HttpRequest) -> Cell | None:
    """The cell of Appwrite if nothing has been read from it for too long, else None."""
    item = health.appwrite(facts_of(request), now=request_time(request))
    return _strip_cell(request, item, now=request_time(request)) if item.level is Level.WARNING else None


def cells(request: HttpRequest) -> list[Cell]:
    """The cells of the strip for this user, who sees links and quoted texts only of pages that he may open."""
    now = request_time(request)
    return [_strip_cell(request, item, now=now) for item in health.items(facts_of(request), now=now)]


def _strip_cell(request: HttpRequest, item: Item, *, now: datetime) -> Cell:
    name, model, query = PAGES[item.subject]
    may_open = request.user.has_perm(f"polling.view_{model}")
    is_shown = item.level in (Level.BAD, Level.WARNING) and (may_open or item.subject in SHOWN_TO_ALL)
    detail = item.detail if len(item.detail) <= MAX_CHARACTERS else f"{item.detail[:MAX_CHARACTERS]}…"
    if item.since:
        when = formats.time_tag(item.since, formats.since_text(item.since, now=now))
    else:
        when = formats.time_tag(item.seen, formats.relative_time(item.seen, now=now) if item.seen else "")
    return Cell(
        title=item.title,
        badge=formats.badge(item.words, TONES[item.level]),
        when=when,
        detail=detail if is_shown else "",
        page=f"{reverse(name)}{query}" if may_open else "",
        level=item.level,
    )
