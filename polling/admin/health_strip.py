"""The strip above every page: how polling and the sync stand, read once per request."""

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
# The page that says more, and the model whose viewers may open it.
PAGES = {
    Subject.TICK: ("admin:polling_tick_changelist", "tick", ""),
    Subject.WORKER: ("admin:polling_polllog_changelist", "polllog", ""),
    Subject.PROVIDER: ("admin:polling_providerstate_changelist", "providerstate", ""),
    Subject.APPWRITE: ("sync", "synccheckpoint", ""),
    Subject.SWITCH: ("admin:polling_pollingswitch_changelist", "pollingswitch", ""),
    Subject.INCIDENTS: ("admin:polling_incident_changelist", "incident", "?ended_at__isempty=1"),
    Subject.CONFLICTS: ("admin:polling_syncconflict_changelist", "syncconflict", "?state=open"),
}
MOST = 200  # characters of what is quoted; the page has all of it
SEEN_BY_ALL = (Subject.WORKER, Subject.SWITCH)  # their words are our own, or meant for all of staff


@dataclass(frozen=True, slots=True)
class Cell:
    """One item as it is drawn. `page` is empty for who may not open it."""

    title: str
    badge: SafeString
    when: SafeString
    detail: str
    page: str
    level: Level


def facts_of(request: HttpRequest) -> Facts:
    """The facts at the request's instant; all that one page says comes from the same."""
    known: Facts | None = request.META.get("racepoll.facts")
    if known is None:
        known = request.META["racepoll.facts"] = health_facts.read(now=request_time(request))
    return known


def nothing_polled(request: HttpRequest) -> str:
    """Why nothing at all is polled, in a few words; empty where polling goes on."""
    return health.nothing_polled(facts_of(request), now=request_time(request))


def obstacles(request: HttpRequest, providers: Iterable[str]) -> list[str]:
    """Why polls of races of these providers, asked for now, may not be made: a sentence each."""
    return health.obstacles(facts_of(request), providers, now=request_time(request))


def pause_notice(request: HttpRequest) -> str:
    """That all polling is paused, since when, who paused it and why; empty where it is not."""
    return health.pause_notice(facts_of(request))


def not_read(request: HttpRequest) -> Cell | None:
    """The cell of Appwrite where nothing has been read from it for too long; None where that is not so."""
    item = health.appwrite(facts_of(request), now=request_time(request))
    return _cell(request, item, now=request_time(request)) if item.level is Level.WARNING else None


def cells(request: HttpRequest) -> list[Cell]:
    """The strip, for this user: links and quoted words only of pages that he may open."""
    now = request_time(request)
    return [_cell(request, item, now=now) for item in health.items(facts_of(request), now=now)]


def _cell(request: HttpRequest, item: Item, *, now: datetime) -> Cell:
    name, model, query = PAGES[item.subject]
    may = request.user.has_perm(f"polling.view_{model}")
    shown = item.level in (Level.BAD, Level.WARNING) and (may or item.subject in SEEN_BY_ALL)
    return Cell(
        title=item.title,
        badge=formats.badge(item.words, TONES[item.level]),
        when=_when(item, now=now),
        detail=_short(item.detail) if shown else "",
        page=f"{reverse(name)}{query}" if may else "",
        level=item.level,
    )


def _short(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}…"


def _when(item: Item, *, now: datetime) -> SafeString:
    if item.since:
        return formats.time_tag(item.since, formats.since_text(item.since, now=now))
    return formats.time_tag(item.seen, formats.relative_time(item.seen, now=now) if item.seen else "")
