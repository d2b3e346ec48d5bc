"""Lists stay quick however many rows there are: what they ask the database for is bounded, whatever is chosen."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection, models
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from polling import clock
from polling.admin import bounded_lists
from polling.admin.filters import time_bounds
from polling.models import Incident, PollingSwitch, PollLog, PollState
from races.models import Meeting, Race
from tests.admin.test_pages import MAKE, url
from tests.factories import START, make_log, make_meeting, make_race

pytestmark = pytest.mark.django_db

LOGS = reverse("admin:polling_polllog_changelist")
RACES = reverse("admin:races_race_changelist")
NOW = datetime(2026, 11, 27, 3, 30, tzinfo=UTC)
MODELS = [model for model in MAKE if model is not PollingSwitch]
EACH_LIST = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)


def changes(client: Client, path: str, **query: object) -> Any:
    response = client.get(path, {name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.headers
    return response.context["cl"]


def choices(model: type[models.Model]) -> Iterator[str]:
    """The query of each choice of each filter of a list."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    changes = admin.site.get_model_admin(model).get_changelist_instance(request)
    for spec in changes.filter_specs:
        for choice in spec.choices(changes):
            yield str(choice["query_string"])


@EACH_LIST
def test_no_list_counts_or_compares_all_rows_whatever_is_chosen(
    model: type[models.Model], admin_client: Client
) -> None:
    MAKE[model](3)
    path = url(model, "changelist")
    with CaptureQueriesContext(connection) as of_every_page:
        admin_client.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as seen:
        for query in ("", "?_facets=True", "?all=", "?o=-1", *choices(model)):
            assert admin_client.get(path + query).status_code == 200
    everywhere = {query["sql"][:40] for query in of_every_page}
    asked = [query["sql"] for query in seen if query["sql"][:40] not in everywhere]
    assert [sql for sql in asked if "COUNT(" in sql or "DISTINCT" in sql] == []
    own = f'FROM "{model._meta.db_table}"'
    assert [sql for sql in asked if own in sql and "LIMIT" not in sql and " IN (" not in sql and "= 1" not in sql] == []


@pytest.fixture
def two_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_lists, "MAX_ROWS", 2)


@pytest.mark.usefixtures("two_at_most")
@pytest.mark.parametrize("model", [PollLog, Race, Incident], ids=lambda model: model._meta.model_name)
def test_more_rows_than_are_counted_are_shown_as_more(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    path = url(model, "changelist")
    assert str(changes(admin_client, path).result_count) == "2"
    clear_and_make = {PollLog: 3, Race: 3, Incident: 3}
    model._default_manager.all().delete()
    MAKE[model](clear_and_make[model])
    shown = changes(admin_client, path)
    assert (str(shown.result_count), len(list(shown.result_list))) == ("2+", 2)
    assert "2+" in admin_client.get(path).content.decode()


def test_the_count_is_written_in_thousands() -> None:
    assert f"{bounded_lists.CappedCount(10_000)}" == "10,000+"
    assert bounded_lists.CappedCount(10_000) > 9_999


def test_pages_follow_each_other_in_the_order_of_the_list(admin_client: Client) -> None:
    race = make_race()
    logs = [make_log(race, slot_at=START + timedelta(seconds=15 * number)) for number in range(120)]
    newest_first = logs[::-1]
    for page, expected in ((1, newest_first[:50]), (2, newest_first[50:100]), (3, newest_first[100:])):
        assert list(changes(admin_client, LOGS, p=page).result_list) == expected
    assert list(changes(admin_client, LOGS, all="").result_list) == newest_first
    assert admin_client.get(LOGS, {"p": 4}).headers["Location"].endswith("?e=1")


def test_the_races_of_all_pages_are_those_of_the_list(admin_client: Client) -> None:
    now = clock.now()
    for number in range(70):
        make_race(start=now + timedelta(minutes=number * (-1) ** number))
    seen = [race for page in (1, 2) for race in changes(admin_client, RACES, p=page).result_list]
    assert seen == sorted(Race.objects.all(), key=lambda race: abs(race.advertised_start - now))


def test_the_list_of_polls_is_ordered_by_its_slots_alone(admin_client: Client) -> None:
    logs = [make_log(make_race(), slot_at=START + timedelta(seconds=n), http_status=200 - n) for n in range(3)]
    slots, status = 0, 6
    assert list(changes(admin_client, LOGS, o=slots).result_list) == logs
    assert list(changes(admin_client, LOGS, o=status).result_list) == logs[::-1]


FILTERS = ["", "state__exact=lost", "trigger__exact=slot", "error_class=Lost", "changed__exact=1", "when=today"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what the table holds")
@pytest.mark.parametrize("query", [*FILTERS, "&".join(filter(None, FILTERS)), "race__provider=sandbox"])
def test_polls_are_searched_along_the_index_of_their_order(
    query: str, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.admin.poll_log.MOST_RACES", 1)
    for _ in range(2):
        make_log(make_race())
    with CaptureQueriesContext(connection) as seen:
        admin_client.get(f"{LOGS}?{query}")
    [keys] = [query["sql"] for query in seen if "LIMIT 10001" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {keys}")
        steps = [row[3] for row in cursor.fetchall()]
    assert "COVERING INDEX poll_log_list" in steps[0]
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize(
    ("value", "since", "until"),
    [
        ("hour", NOW - timedelta(hours=1), NOW + timedelta(minutes=1)),
        ("today", datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        ("week", NOW - timedelta(days=7), NOW + timedelta(minutes=1)),
    ],
)
def test_a_day_of_the_filter_is_a_span_of_instants(value: str, since: datetime, until: datetime) -> None:
    assert time_bounds(value, now=NOW) == (since, until)


@pytest.mark.parametrize("value", ["", "2026-02-30", "9999-12-31", "tomorrow?", "\x00"])
def test_what_is_no_day_filters_nothing(value: str) -> None:
    assert time_bounds(value, now=NOW) is None


def test_the_polls_of_a_day_are_found(admin_client: Client) -> None:
    now = clock.now()
    race, midnight = make_race(), now.replace(hour=0, minute=0, second=0, microsecond=0)
    before = make_log(race, slot_at=midnight - timedelta(seconds=1))
    after = make_log(race, slot_at=midnight)
    assert list(changes(admin_client, LOGS, when="today").result_list) == [after]
    assert list(changes(admin_client, LOGS, when="yesterday").result_list) == [before]
    assert list(changes(admin_client, LOGS, when=f"{midnight:%Y-%m-%d}").result_list) == [after]
    assert set(changes(admin_client, LOGS, when="week").result_list) == {before, after}


def test_the_meetings_of_a_day_are_found(admin_client: Client) -> None:
    today = clock.now().date()
    meetings = {days: make_meeting(racing_day=today + timedelta(days=days)) for days in (-1, 0, 1)}
    path = reverse("admin:races_meeting_changelist")
    assert list(changes(admin_client, path, when="today").result_list) == [meetings[0]]
    assert list(changes(admin_client, path, when=today + timedelta(days=1)).result_list) == [meetings[1]]
    assert Meeting.objects.count() == len(list(changes(admin_client, path).result_list))


def test_the_polls_of_a_provider_of_many_races_are_found_too(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.admin.poll_log.MOST_RACES", 1)
    sought = {make_log(make_race(provider="p2")) for _ in range(3)}
    make_log(make_race())
    assert set(changes(admin_client, LOGS, race__provider="p2").result_list) == sought


def test_the_slots_that_an_incident_cost_are_counted_up_to_a_bound(admin_client: Client, two_at_most: None) -> None:
    incident = Incident.objects.create(provider="sandbox", kind="limited", began_at=START)
    race = make_race()
    for number in range(3):
        make_log(race, slot_at=START + timedelta(seconds=number), state=PollState.SKIPPED, reason="quota")
    page = admin_client.get(reverse("admin:polling_incident_change", args=[incident.pk])).content.decode()
    assert "2+" in page


def offered(client: Client, term: str) -> list[str]:
    named = {"app_label": "polling", "model_name": "polllog", "field_name": "race", "term": term}
    response = client.get(f"{reverse('admin:autocomplete')}?{urlencode(named)}")
    assert response.status_code == 200
    return [one["id"] for one in response.json()["results"]]


def test_every_choice_of_a_race_searches_as_the_list_does(admin_client: Client) -> None:
    meeting = make_meeting(name="Mount Halloran")
    five, seven = (make_race(meeting=meeting, number=number) for number in (5, 7))
    logs = [make_log(race) for race in (five, seven)]
    assert offered(admin_client, "Halloran R5") == [str(five.pk)]
    assert list(changes(admin_client, LOGS, q="Mount Halloran 5").result_list) == logs[:1]


def test_polls_are_found_by_who_asked_for_them(admin_client: Client) -> None:
    sought = make_log(make_race(), trigger="forced", requested_by="admin")
    make_log(make_race())
    assert list(changes(admin_client, LOGS, q="admin").result_list) == [sought]


def test_every_list_of_the_console_is_bounded() -> None:
    own = {model: page for model, page in admin.site._registry.items() if model not in (User, Group, PollingSwitch)}
    assert [model for model, page in own.items() if page.paginator is not bounded_lists.KeyPaginator] == []
    assert [model for model, page in own.items() if page.date_hierarchy or page.show_full_result_count] == []
