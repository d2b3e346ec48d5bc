"""What is old goes, in small batches, whatever else fails; what is young or in use stays."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import Task

from polling import cleanup
from polling.cleanup import OLD_ROWS
from polling.health import doctor
from polling.health.doctor import State
from polling.models import Incident, PollLog, PollState, RetentionState, SyncConflict, SyncState, Tick
from races.models import Meeting, PriceChange, Race, Runner
from races.status import FinalizedBy, RaceStatus
from tests.factories import make_log, make_meeting, make_race

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLENTY = timedelta(seconds=60)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "PAUSE_SECONDS", 0)


def ended_race(at: datetime, **values: Any) -> Race:
    ended = {"status": RaceStatus.FINALIZED.value, "finalized_by": FinalizedBy.PROVIDER.value, "finalized_at": at}
    return make_race(start=at, **ended | values)


def make_tick(at: datetime) -> Tick:
    return Tick.objects.create(slot_at=at, started_at=at)


def make_price(at: datetime) -> PriceChange:
    runner = Runner.objects.create(race=make_race(), number=1, name="Silver Fern")
    return PriceChange.objects.create(runner=runner, observed_at=at, fixed_win="4.20")


def make_idle_meeting(at: datetime) -> Meeting:
    return make_meeting(racing_day=at.date())


def make_incident(at: datetime) -> Incident:
    return Incident.objects.create(provider="sandbox", kind="failing", began_at=at - SECOND, ended_at=at)


def make_conflict(at: datetime) -> SyncConflict:
    return SyncConflict.objects.create(field="staff_note", chosen="local", found_at=at, resolved_at=at)


def make_state_elsewhere(at: datetime) -> SyncState:
    number = SyncState.objects.count()
    return SyncState.objects.create(
        target="old project", table="races", local_pk=number, remote_id=f"r{number}", expired_at=at
    )


def make_decision(at: datetime) -> LogEntry:
    user, _ = User.objects.get_or_create(username="officer")
    kind = ContentType.objects.get_for_model(Race)
    return LogEntry.objects.create(
        user=user, content_type=kind, object_id="1", object_repr="Race", action_flag=CHANGE, action_time=at
    )


def make_session(at: datetime) -> Session:
    return Session.objects.create(session_key=f"s{Session.objects.count()}", session_data="", expire_date=at)


def make_task(at: datetime) -> Task:
    return Task.objects.create(id=f"t{Task.objects.count()}", name="t", func="f", started=at, stopped=at, success=False)


MAKE: dict[str, Callable[[datetime], models.Model]] = {
    "ticks": make_tick,
    "poll logs": lambda at: make_log(make_race(), slot_at=at),
    "price changes": make_price,
    "races": ended_race,
    "meetings": make_idle_meeting,
    "sync states of other Appwrite projects": make_state_elsewhere,
    "incidents": make_incident,
    "conflicts": make_conflict,
    "decisions": make_decision,
    "sessions": make_session,
    "queued tasks that ended": make_task,
}


def test_every_kind_of_row_that_is_deleted_is_tested_here() -> None:
    assert {one.name for one in OLD_ROWS} == set(MAKE)


@pytest.mark.parametrize("one", OLD_ROWS, ids=lambda one: one.name)
def test_what_is_older_than_its_age_goes_and_what_is_not_stays(one: cleanup.OldRows) -> None:
    day = timedelta(days=1) if one.age_field == "racing_day" else SECOND
    old, young = MAKE[one.name](NOW - one.kept_for - day), MAKE[one.name](NOW - one.kept_for)
    assert cleanup.run(now=NOW, budget=PLENTY)[one.name] >= 1
    kind = type(old)
    assert set(kind._default_manager.filter(pk__in=[old.pk, young.pk])) == {young}


@pytest.mark.parametrize("one", OLD_ROWS, ids=lambda one: one.name)
def test_the_oldest_are_found_by_an_index(one: cleanup.OldRows) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the other database chooses by what its tables hold")
    rows = one.find(NOW).values_list("pk", flat=True)[:10]
    steps = [line for line in rows.explain().splitlines() if "USE TEMP B-TREE" in line or "SCAN" in line.split()[3:4]]
    assert [step for step in steps if "USING" not in step or "TEMP" in step] == []


@pytest.mark.parametrize("days", [1, 30])
def test_ages_can_be_set(days: int, settings: Any) -> None:
    settings.RETENTION = settings.RETENTION | {"POLL_LOGS": timedelta(days=days)}
    make_log(make_race(), slot_at=NOW - timedelta(days=7))
    assert cleanup.run(now=NOW, budget=PLENTY) == ({"poll logs": 1} if days == 1 else {})


def test_what_is_still_open_stays_however_old() -> None:
    long_ago = NOW - timedelta(days=4000)
    open_race = make_race(start=long_ago)
    claimed = ended_race(long_ago)
    make_log(claimed, slot_at=long_ago, state=PollState.CLAIMED)
    Incident.objects.create(provider="sandbox", kind="failing", began_at=long_ago)
    SyncConflict.objects.create(field="staff_note", chosen="local", found_at=long_ago)
    finalized_today = ended_race(long_ago, finalized_at=NOW)
    cleanup.run(now=NOW, budget=PLENTY)
    assert set(Race.objects.all()) == {open_race, claimed, finalized_today}
    assert (PollLog.objects.count(), Incident.objects.count(), SyncConflict.objects.count()) == (1, 1, 1)


def test_a_race_goes_with_all_that_belongs_to_it_and_its_meeting_after_it() -> None:
    old = NOW - timedelta(days=91)
    meeting = make_meeting(racing_day=old.date())
    race = ended_race(old, meeting=meeting)
    runner = Runner.objects.create(race=race, number=1, name="Silver Fern")
    PriceChange.objects.bulk_create(PriceChange(runner=runner, observed_at=NOW, fixed_win="4.20") for _ in range(700))
    failed = make_log(race, slot_at=NOW, state=PollState.FAILED)
    make_log(race, slot_at=NOW + SECOND, retry_of=failed)
    for _ in range(2):
        cleanup.run(now=NOW, budget=PLENTY)
    assert [kind.objects.count() for kind in (PriceChange, PollLog, Runner, Race, Meeting)] == [0] * 5


def test_every_table_that_refers_to_rows_that_go_is_known() -> None:
    """Their rows go too, or refer to none afterwards: see the tests above and below."""
    referring = {
        (relation.related_model, relation.field.name)
        for one in OLD_ROWS
        for relation in one.find(NOW).model._meta.related_objects
    }
    assert referring == {
        (PollLog, "race"), (PollLog, "retry_of"), (Runner, "race"), (Incident, "race"), (Race, "meeting"),
        (SyncConflict, "state"),
    }  # fmt: skip
    assert {relation.related_model for relation in Runner._meta.related_objects} == {PriceChange}


def test_the_incidents_of_a_race_keep_it_while_they_go_on_and_leave_with_it() -> None:
    old = NOW - timedelta(days=100)
    race = ended_race(old)
    incident = Incident.objects.create(provider="sandbox", race=race, kind="disputed", began_at=old)
    cleanup.run(now=NOW, budget=PLENTY)
    assert Race.objects.get() == race
    Incident.objects.filter(pk=incident.pk).update(ended_at=NOW)
    cleanup.run(now=NOW, budget=PLENTY)
    assert (Race.objects.count(), Incident.objects.count()) == (0, 0)


def test_a_conflict_outlives_what_was_known_of_its_row() -> None:
    state = make_state_elsewhere(NOW - timedelta(days=100))
    conflict = SyncConflict.objects.create(state=state, field="staff_note", chosen="local", found_at=NOW)
    cleanup.run(now=NOW, budget=PLENTY)
    conflict.refresh_from_db()
    assert (conflict.state, SyncState.objects.count()) == (None, 0)


def test_the_row_of_an_old_race_is_marked_to_leave_appwrite(settings: Any) -> None:
    settings.APPWRITE_TARGET = "p/d@here"
    race = ended_race(NOW - timedelta(days=91))
    SyncState.objects.create(target="p/d@here", table="races", local_pk=race.pk, remote_id="r1")
    cleanup.run(now=NOW, budget=PLENTY)
    assert not Race.objects.exists()
    assert SyncState.objects.get().expired_at == NOW


def test_a_retry_outlives_the_poll_that_it_was_a_retry_of() -> None:
    race, age = make_race(), timedelta(days=7)
    first = make_log(race, slot_at=NOW - age - SECOND, state=PollState.FAILED)
    retry = make_log(race, slot_at=NOW - age, retry_of=first)
    cleanup.run(now=NOW, budget=PLENTY)
    assert PollLog.objects.get().pk == retry.pk
    assert PollLog.objects.get().retry_of is None


def many_logs(count: int) -> None:
    race = make_race()
    PollLog.objects.bulk_create(
        PollLog(race=race, slot_at=NOW - timedelta(days=20) + number * SECOND, trigger="slot", state="ok")
        for number in range(count)
    )


def test_each_batch_is_a_short_transaction_of_its_own_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "LARGEST_BATCH", 80)
    many_logs(400)
    left: list[list[int]] = []

    def note(*_: object) -> None:
        assert not connection.in_atomic_block
        left.append(list(PollLog.objects.order_by("slot_at").values_list("pk", flat=True)))

    monkeypatch.setattr(time, "sleep", note)
    with CaptureQueriesContext(connection) as seen:
        cleanup.run(now=NOW, budget=PLENTY)
    assert len(left) >= 3
    assert all(later == earlier[len(earlier) - len(later) :] for earlier, later in zip(left, left[1:], strict=False))
    assert max(query["sql"].count(",") for query in seen if query["sql"].startswith("DELETE")) <= 100


def test_what_a_pass_has_no_time_for_is_left_to_the_next() -> None:
    many_logs(300)
    left = PollLog.objects.count()
    for _ in range(300):
        cleanup.run(now=NOW, budget=timedelta(microseconds=1))
        before, left = left, PollLog.objects.count()
        if not left:
            break
        assert left < before
    assert left == 0


@pytest.fixture
def broken_logs() -> Any:
    """Deletions of poll logs fail, whatever deletes them."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "CREATE TRIGGER refuse BEFORE DELETE ON polling_polllog BEGIN SELECT RAISE(ABORT, 'disk error'); END"
            )
        else:
            cursor.execute(
                "CREATE FUNCTION refuse() RETURNS trigger AS "
                "$$ BEGIN RAISE EXCEPTION 'disk error'; END $$ LANGUAGE plpgsql"
            )
            cursor.execute("CREATE TRIGGER refuse BEFORE DELETE ON polling_polllog EXECUTE FUNCTION refuse()")
    mended: list[bool] = []

    def mend() -> None:
        if not mended:
            mended.append(True)
            with connection.cursor() as cursor:
                on = "" if connection.vendor == "sqlite" else " ON polling_polllog"
                cursor.execute(f"DROP TRIGGER refuse{on}")
                if on:
                    cursor.execute("DROP FUNCTION refuse")

    yield mend
    mend()


def test_a_table_that_fails_stops_no_other_and_is_reported_once(
    broken_logs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "polling.cleanup")
    make_log(make_race(), slot_at=NOW - timedelta(days=8) + SECOND)
    for _ in range(3):
        make_price(NOW - timedelta(days=40))
        assert cleanup.run(now=NOW, budget=PLENTY)["price changes"] == 1
    assert [record.getMessage() for record in caplog.records] == ["old poll logs cannot be deleted"]
    assert "disk error" in finding().words
    broken_logs()
    caplog.clear()
    assert cleanup.run(now=NOW, budget=PLENTY)["poll logs"] == 1
    assert [record.getMessage() for record in caplog.records] == ["old poll logs can be deleted again"]
    assert finding().state is State.OK


def test_rows_that_wait_for_more_than_a_day_are_one_alert_until_they_are_gone(
    broken_logs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "polling.cleanup")
    race = make_race()
    make_log(race, slot_at=NOW - timedelta(days=8))
    cleanup.run(now=NOW, budget=PLENTY)
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
    for seconds in (1, 2, 3):
        cleanup.run(now=NOW + seconds * SECOND, budget=PLENTY)
    alerts = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert alerts == ["old rows wait to be deleted: poll logs of 2026-11-15, kept for 7 days"]
    assert RetentionState.objects.get().behind_since == NOW + SECOND
    broken_logs()
    RetentionState.objects.update(errors={})
    assert "poll logs of 2026-11-15" in finding(NOW + SECOND).words
    caplog.clear()
    cleanup.run(now=NOW + SECOND, budget=PLENTY)
    assert [record.getMessage() for record in caplog.records] == ["no old rows wait to be deleted any more"]
    assert finding().state is State.OK


def finding(now: datetime = NOW) -> doctor.Finding:
    [found] = [each for each in doctor.examine(now=now) if each.check == "old rows"]
    return found


def test_a_race_that_is_opened_between_the_query_and_the_deletion_stays() -> None:
    race = ended_race(NOW - timedelta(days=91))
    [of_races] = [one for one in OLD_ROWS if one.name == "races"]
    rows = of_races.find(NOW - of_races.kept_for)
    keys = list(rows.values_list("pk", flat=True))
    Race.objects.filter(pk=race.pk).update(status=RaceStatus.IN_PROGRESS.value)
    with transaction.atomic():
        assert of_races.delete(rows, keys, NOW) == 0
    assert Race.objects.filter(pk=race.pk).exists()
