"""The facts by which polling and the sync are judged: that they are those of the database, in few queries."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule

from polling.appwrite import status
from polling.health import facts as health_facts
from polling.health import rules as health
from polling.health.facts import Counted, Facts
from polling.health.rules import Level, Subject
from polling.models import (
    Heartbeat,
    Incident,
    PollingSwitch,
    PollState,
    ProviderState,
    SyncCheckpoint,
    SyncConflict,
    SyncServer,
    SyncState,
    Tick,
    UnmatchedRow,
)
from polling.monitoring import heartbeat
from tests.factories import START as NOW
from tests.factories import make_log, make_race

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TARGET = "p/racepoll@appwrite.test"


@pytest.fixture
def appwrite(settings: Any) -> None:
    settings.APPWRITE_ENDPOINT, settings.APPWRITE_TARGET = "https://appwrite.test/v1", TARGET


def read() -> tuple[Facts, int]:
    """The facts, and how many queries they took."""
    with CaptureQueriesContext(connection) as captured:
        found = health_facts.read(now=NOW)
    return found, len(captured)


def test_an_empty_database_has_no_facts_but_when_the_first_tick_is_due() -> None:
    found, _ = read()
    scheduled = Schedule.objects.get(name="master tick").next_run
    assert (found.heartbeat, found.newest_tick, found.first_tick_at, found.switch) == (None, None, scheduled, None)
    assert (found.polls_not_begun, found.poll_begun_at, found.incidents) == (Counted(), None, [])


def test_the_facts_are_those_of_the_database() -> None:
    Heartbeat.objects.create(pk=1, at=NOW - SECOND, sleeping_until=NOW + MINUTE, late_since=NOW - MINUTE)
    for minutes, error in ((2, "old"), (1, "OperationalError")):
        at = NOW - minutes * MINUTE
        Tick.objects.create(slot_at=at, started_at=at + SECOND, error=error)
    PollingSwitch.objects.create(pk=1, paused=True, reason="fog", changed_at=NOW - MINUTE, changed_by="ann")
    ProviderState.objects.create(name="sandbox", throttle_factor=2)
    ProviderState.objects.create(name="configured no more")
    Incident.objects.create(provider="sandbox", kind="failing", began_at=NOW - MINUTE)
    Incident.objects.create(provider="sandbox", kind="failing", began_at=NOW - 2 * MINUTE, ended_at=NOW)
    found, _ = read()
    assert found.heartbeat and (found.heartbeat.at, found.heartbeat.sleeping_until) == (NOW - SECOND, NOW + MINUTE)
    assert found.heartbeat.late_since == NOW - MINUTE
    assert found.newest_tick and (found.newest_tick.started_at, found.newest_tick.error) == (
        NOW - 59 * SECOND,
        "OperationalError",
    )
    switch = found.switch
    assert switch and (switch.paused, switch.reason, switch.changed_by) == (True, "fog", "ann")
    assert switch.changed_at == NOW - MINUTE
    assert [(state.name, state.throttle_factor) for state in found.provider_states] == [("sandbox", 2)]
    assert [incident.began_at for incident in found.incidents] == [NOW - MINUTE]


def test_a_heartbeat_that_only_notes_an_alert_is_none() -> None:
    Heartbeat.objects.create(pk=1, at=heartbeat.NEVER, overdue_since=NOW)
    assert read()[0].heartbeat is None


def test_polls_that_no_worker_began_in_time_are_counted_of_late() -> None:
    for seconds, state, reason in (
        (200, PollState.LOST, ""),
        (60, PollState.SKIPPED, "stale"),
        (45, PollState.LOST, ""),
        (30, PollState.SKIPPED, "quota"),
        (15, PollState.OK, ""),
    ):
        make_log(make_race(), slot_at=NOW - seconds * SECOND, state=state, reason=reason)
    found, _ = read()
    assert (found.polls_not_begun, found.poll_begun_at) == (Counted(2, NOW - MINUTE), NOW - 15 * SECOND)


def make_sync_rows(count: int) -> None:
    SyncState.objects.bulk_create(
        SyncState(
            target=TARGET, table="races", local_pk=n, remote_id=f"r{n}", attempts=1, error="500",
            next_try_at=NOW + MINUTE, dead_since=None if n % 2 else NOW - n * MINUTE,
        )
        for n in range(count)
    )  # fmt: skip
    UnmatchedRow.objects.bulk_create(
        UnmatchedRow(target=TARGET, table="races", row_id=f"s{n}", problem="no start", found_at=NOW - n * MINUTE)
        for n in range(count)
    )
    SyncConflict.objects.bulk_create(
        SyncConflict(field="staff_note", chosen="local", policy="ours", found_at=NOW - n * MINUTE) for n in range(count)
    )
    Incident.objects.bulk_create(
        Incident(provider=f"provider-{n}", kind="failing", began_at=NOW, ended_at=None) for n in range(count)
    )
    for n in range(count):
        make_log(make_race(), slot_at=NOW - n * SECOND)


@pytest.mark.usefixtures("appwrite")
def test_the_sync_is_judged_by_its_rows_of_the_configured_appwrite() -> None:
    make_sync_rows(4)
    SyncState.objects.create(target="other", table="races", local_pk=9, remote_id="r9", dead_since=NOW)
    UnmatchedRow.objects.create(target="other", table="races", row_id="s9", problem="no start", found_at=NOW)
    SyncConflict.objects.create(
        field="status", chosen="local", policy="ours", found_at=NOW - 9 * MINUTE, resolved_at=NOW, resolution="ours"
    )
    facts = {"deletion_guard": "60 of 80 rows are gone", "sweep_error": "Unavailable: 503"}
    SyncCheckpoint.objects.create(target=TARGET, table="races", pulled_at=NOW - SECOND, **facts)
    SyncServer.objects.create(target=TARGET, problem="it takes stale writes")
    sync = read()[0].sync
    assert sync.pulled_at == NOW - SECOND
    assert (sync.unmatched_rows, sync.conflicts) == (Counted(4, NOW - 3 * MINUTE), Counted(4, NOW - 3 * MINUTE))
    assert sync.problems_since == NOW - 2 * MINUTE
    words = "; ".join(sync.problems)
    for expected in ("2 given up", "60 of 80 rows are gone", "2 wait after: 500", "503", "it takes stale writes"):
        assert expected in words


@pytest.mark.usefixtures("appwrite")
@pytest.mark.parametrize("table", ["races", "poll_logs"])
@pytest.mark.parametrize("problem", [{"deletion_guard": "60 of 80 rows are gone"}, {"error": "Blocked: 401"}], ids=str)
def test_the_strip_and_the_sync_page_say_the_same_of_the_same(table: str, problem: dict[str, str]) -> None:
    SyncCheckpoint.objects.create(target=TARGET, table=table, pulled_at=NOW, **problem)
    assert list(read()[0].sync.problems) == status.numbers(now=NOW).problems != []


@pytest.mark.usefixtures("appwrite")
def test_many_rows_take_as_many_queries_as_few() -> None:
    Heartbeat.objects.create(pk=1, at=NOW)
    make_sync_rows(2)
    few = read()[1]
    for model in (SyncState, UnmatchedRow, SyncConflict, Incident):
        model._default_manager.all().delete()
    make_sync_rows(40)
    assert read()[1] == few <= 6


def test_without_an_appwrite_there_is_nothing_to_judge_of_it() -> None:
    Heartbeat.objects.create(pk=1, at=NOW)
    found, queries = read()
    [appwrite] = [item for item in health.items(found, now=NOW) if item.subject is Subject.APPWRITE]
    assert (appwrite.level, queries) == (Level.IDLE, 3)
