"""Every page opens, in as many queries for many rows as for few, and has nothing inline for the CSP to refuse."""

from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.tasks import async_task

from polling.models import (
    Heartbeat,
    Incident,
    PollingSwitch,
    PollLog,
    PollState,
    ProviderState,
    SyncCheckpoint,
    SyncConflict,
    SyncLease,
    SyncServer,
    SyncState,
    Tick,
    UnmatchedRow,
)
from races import decisions
from races.decisions import COMMAND
from races.models import Meeting, PriceChange, Race, Runner
from tests.factories import START, make_log, make_meeting, make_race

pytestmark = pytest.mark.django_db


def make_meetings(count: int) -> None:
    """Meetings; the first with as many races."""
    first, *_ = [make_meeting() for _ in range(count)]
    for number in range(count):
        make_log(make_race(meeting=first, number=number), slot_at=START)


def make_races(count: int) -> None:
    """Races, each of its own meeting; the first with as many of all that its page shows."""
    first, *_ = [make_race() for _ in range(count)]
    first.results = [{"runner_number": n, "position": 1, "code": "", "name": "", "margin": None} for n in range(count)]
    first.dividends = [
        {"pool": "WIN", "product": "tote", "selection": [n], "amount": "2.40", "state": "final"} for n in range(count)
    ]
    first.save()
    for number in range(count):
        runner = Runner.objects.create(race=first, number=number, name=f"Runner {number}")
        PriceChange.objects.create(runner=runner, observed_at=START, fixed_win="4.20")
        make_log(first, slot_at=START + timedelta(seconds=15 * number))
        decisions.annotate([first.pk], note=f"note {number}", by=COMMAND, now=START)


def make_logs(count: int) -> None:
    """Poll logs of as many races; all but the first are retries of it."""
    first = make_log(make_race(), state=PollState.FAILED, error_class="Unavailable", sample="<html>")
    for _ in range(count - 1):
        make_log(make_race(), retry_of=first)


def make_ticks(count: int) -> None:
    slots = [START + timedelta(seconds=15 * number) for number in range(count)]
    Tick.objects.bulk_create(Tick(slot_at=slot, started_at=slot) for slot in slots)


def make_heartbeat(count: int) -> None:
    """One, however many are wanted."""
    Heartbeat.objects.get_or_create(pk=1, defaults={"at": START + timedelta(seconds=count)})


def make_incidents(count: int) -> None:
    Incident.objects.bulk_create(
        Incident(provider=f"provider-{number}", kind="failing", began_at=START) for number in range(count)
    )


def make_provider_states(count: int) -> None:
    ProviderState.objects.bulk_create(
        ProviderState(name=f"provider-{number}", unknown_statuses={"Hold": "2026"}) for number in range(count)
    )


def make_switch(count: int) -> None:
    """One, however many are wanted."""
    PollingSwitch.objects.get_or_create(pk=1, defaults={"paused": True, "reason": f"{count} hosts down"})


def make_sync_states(count: int) -> None:
    SyncState.objects.bulk_create(
        SyncState(target="p", table="races", local_pk=number, remote_id=f"r{number}", base={"number": number})
        for number in range(count)
    )


def make_conflicts(count: int) -> None:
    make_sync_states(count)
    SyncConflict.objects.bulk_create(
        SyncConflict(state=state, field="staff_note", chosen="local", policy="ours", found_at=START)
        for state in SyncState.objects.all()
    )


def make_checkpoints(count: int) -> None:
    SyncCheckpoint.objects.bulk_create(SyncCheckpoint(target="p", table=f"t{number}") for number in range(count))


def make_leases(count: int) -> None:
    SyncLease.objects.bulk_create(SyncLease(work=f"t{number}") for number in range(count))


def make_unmatched_rows(count: int) -> None:
    UnmatchedRow.objects.bulk_create(
        UnmatchedRow(target="p", table="races", row_id=f"r{number}", problem="no start", found_at=START)
        for number in range(count)
    )


def make_servers(count: int) -> None:
    SyncServer.objects.bulk_create(SyncServer(target=f"p{number}", version="1.9.6") for number in range(count))


def make_log_entries(count: int) -> None:
    content_type = ContentType.objects.get_for_model(Race)
    for number in range(count):
        user = User.objects.create(username=f"user-{number}")
        LogEntry.objects.create(
            user=user, content_type=content_type, object_id="1", object_repr="Race", action_flag=CHANGE
        )


def make_schedules(count: int) -> None:
    """On top of those that racepoll runs by."""
    Schedule.objects.bulk_create(Schedule(name=f"s{number}", func="math.sqrt") for number in range(count))


def make_tasks(count: int, *, success: bool) -> None:
    known = Success.objects.count() + Failure.objects.count()
    for number in range(known, known + count):
        values = {"name": f"task {number}", "func": "math.sqrt", "started": START, "stopped": START}
        Success.objects.create(id=f"{number:032}", success=success, **values)


def make_queue(count: int) -> None:
    for _ in range(count):
        async_task("math.sqrt", 2)


MAKE: dict[type[models.Model], Callable[[int], None]] = {
    Meeting: make_meetings,
    Race: make_races,
    PollLog: make_logs,
    Tick: make_ticks,
    Heartbeat: make_heartbeat,
    Incident: make_incidents,
    ProviderState: make_provider_states,
    PollingSwitch: make_switch,
    SyncState: make_sync_states,
    SyncCheckpoint: make_checkpoints,
    SyncConflict: make_conflicts,
    SyncLease: make_leases,
    UnmatchedRow: make_unmatched_rows,
    SyncServer: make_servers,
    LogEntry: make_log_entries,
    Schedule: make_schedules,
    Success: lambda count: make_tasks(count, success=True),
    Failure: lambda count: make_tasks(count, success=False),
    OrmQ: make_queue,
}
EACH_MODEL = pytest.mark.parametrize("model", MAKE, ids=lambda model: model._meta.model_name)


class Inline(HTMLParser):
    """Collects what a strict content security policy refuses: inline scripts, styles and handlers."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        inline_script = tag == "script" and "src" not in names
        if tag == "style" or inline_script or "style" in names or any(name.startswith("on") for name in names):
            self.found.append(self.get_starttag_text() or tag)


def url(model: type[models.Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def queries(client: Client, path: str) -> int:
    """How many queries a page takes that opens without complaint, once content types are cached."""
    client.get(path, follow=True)
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path, follow=True)
    assert response.status_code == 200
    assert Inline(response.content.decode()).found == []
    return len(captured)


def test_every_page_of_the_admin_is_tested_here() -> None:
    assert set(admin.site._registry) - {User, Group} == set(MAKE)


@EACH_MODEL
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    few = queries(admin_client, url(model, "changelist"))
    clear(model)
    MAKE[model](30)
    assert queries(admin_client, url(model, "changelist")) == few <= 20


@EACH_MODEL
def test_a_page_takes_as_many_queries_for_many_rows_as_for_few(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    few = queries(admin_client, url(model, "change", first(model).pk))
    clear(model)
    MAKE[model](30)
    assert queries(admin_client, url(model, "change", first(model).pk)) == few <= 20


# The one of a failed task says that it failed.
@pytest.mark.parametrize(
    "model", [model for model in MAKE if model is not Failure], ids=lambda model: model._meta.model_name
)
def test_a_flag_that_is_off_is_no_red_cross(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    for path in (url(model, "changelist"), url(model, "change", first(model).pk)):
        assert "icon-no.svg" not in admin_client.get(path, follow=True).content.decode()


def first(model: type[models.Model]) -> models.Model:
    found = model._default_manager.order_by("pk").first()
    assert found
    return found


def clear(model: type[models.Model]) -> None:
    for kind in (SyncState, LogEntry, PollLog, Race, Meeting, model):
        kind._default_manager.all().delete()
    User.objects.filter(is_staff=False).delete()


def test_the_front_page_names_the_site(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "racepoll" in page and "Races, polls and sync" in page
    assert Inline(page).found == []


@EACH_MODEL
def test_staff_without_permissions_see_nothing(model: type[models.Model], staff_client: Callable[..., Client]) -> None:
    MAKE[model](2)
    client = staff_client()
    assert client.get(url(model, "changelist")).status_code == 403
    assert client.get(url(model, "change", first(model).pk)).status_code == 403
