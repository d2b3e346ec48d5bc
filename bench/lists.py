"""How long the lists of the admin take at a million polls: each list, filter, order, page, search and choice."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse

from bench.figures import Bar, Figure, median
from bench.many_rows import SMALL, Sizes, build
from bench.run_options import RunOptions
from polling import clock
from polling.models import PollLog
from races.models import Race

MOST_MS = 300
ROUNDS = 3
WORST_SHOWN = 10
SEARCHES = (
    "Mount Halloran 5", "Halloran R5", "R5", "5", "Halloran", "Handicap", "Karewa Downs R2, 28 Nov", "no such thing",
    "Star 67000 of 3", "star", "Handicap 65", "officer", "0000ffff-0000", "task", "row-1",
)  # fmt: skip
AUTOCOMPLETES = (("polling", "polllog", "race"), ("polling", "polllog", "retry_of"), ("races", "race", "meeting"))


@dataclass(frozen=True, slots=True)
class Opened:
    """One page: its address, and the median of how long it took."""

    path: str
    milliseconds: float


def run(options: RunOptions) -> Iterator[Figure]:
    """Opens every page in three rounds; the median of each page counts, and the figure is the worst of them."""
    now = clock.now()
    call_command("collectstatic", interactive=False, verbosity=0)
    build(options.sized(Sizes(), SMALL), now=now.replace(microsecond=0))
    yield from figures()


def figures() -> Iterator[Figure]:
    """The figures of a database that is filled."""
    user = User.objects.get(username="officer")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    paths = list(_page_paths(user))
    took: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(ROUNDS):
        for path in paths:
            took[path].append(_time_page(client, path))
    opened = sorted((Opened(path, median(values)) for path, values in took.items()), key=lambda one: -one.milliseconds)
    worst = {one.path: round(one.milliseconds) for one in opened[:WORST_SHOWN]}
    sizes = {"logs": PollLog.objects.count(), "races": Race.objects.count(), "database": connection.vendor}
    slow = sum(one.milliseconds > MOST_MS for one in opened)
    details = {**sizes, "worst_ms": worst, "over_the_bar": slow}
    details |= {"median_ms": round(median([one.milliseconds for one in opened]))}
    yield Figure("slowest_list_ms", opened[0].milliseconds, "ms", Bar("<=", MOST_MS), len(opened), details=details)


def _time_page(client: Client, path: str) -> float:
    began = time.perf_counter()
    response = client.get(path)
    took = (time.perf_counter() - began) * 1000
    assert response.status_code == 200, (path, response.status_code, response.headers)
    return took


def _page_paths(user: User) -> Iterator[str]:
    for model, page in admin.site._registry.items():
        if model not in (User, Group):
            yield from _list_paths(
                reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), page, user
            )
    yield from (reverse("admin:index"), reverse("sync"))
    for model in (Race, PollLog):
        newest = model._default_manager.order_by("-pk")[0]
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[newest.pk])
    for app, model_name, field in AUTOCOMPLETES:
        for term in ("", "Halloran 5"):
            named = {"app_label": app, "model_name": model_name, "field_name": field, "term": term}
            yield f"{reverse('admin:autocomplete')}?{urlencode(named)}"


def _list_paths(path: str, page: admin.ModelAdmin, user: User) -> Iterator[str]:  # type: ignore[type-arg]
    """The list, its last page, each choice of each filter, each order, each search; and the facets of all filters."""
    changes = _change_list_of(path, page, user)
    if changes is None:
        return
    yield path
    yield f"{path}?_facets=True"
    last = changes.paginator.num_pages
    if last > 1:
        yield f"{path}?p={last}"
    for spec in changes.filter_specs:
        for choice in spec.choices(changes):
            yield path + str(choice["query_string"])
    for number in range(len(changes.list_display)):
        yield f"{path}?o=-{number}"
    if changes.search_fields:
        for text in SEARCHES:
            yield f"{path}?{urlencode({'q': text})}"
    yield from _combined_filter_paths(path)


def _combined_filter_paths(path: str) -> Iterator[str]:
    """Combinations of filters that few or no rows pass."""
    if path == reverse("admin:polling_polllog_changelist"):
        yield f"{path}?state__exact=ok&trigger__exact=push"
        yield f"{path}?state__exact=lost&changed__exact=1&trigger__exact=retry&error_class=Conflict"
        yield f"{path}?state__exact=ok&race__provider=nobody"
        yield f"{path}?when=week&state__exact=lost&q=Halloran"


def _change_list_of(path: str, page: admin.ModelAdmin, user: User) -> ChangeList | None:  # type: ignore[type-arg]
    request = RequestFactory(SERVER_NAME="localhost").get(path)
    request.user = user
    if page.model._meta.model_name == "pollingswitch":  # its list leads to its one row
        return None
    return page.get_changelist_instance(request)
