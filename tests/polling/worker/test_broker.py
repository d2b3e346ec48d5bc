"""The broker's place in the sentinel: it ticks on time, also when the clock is set."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.cache.backends.filebased import FileBasedCache
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.signing import SignedPackage

from polling import schedules
from polling.models import Heartbeat
from polling.monitoring import heartbeat
from polling.worker import broker as broker_module
from polling.worker.broker import OrmBroker, RedisBroker

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


def cycle(broker: OrmBroker | RedisBroker, now: datetime, status: object = Conf.IDLE) -> None:
    """What the sentinel does once a guard cycle."""
    with time_machine.travel(now, tick=False):
        broker.set_stat("key", SignedPackage.dumps(SimpleNamespace(status=status), True), 3)


def next_tick() -> datetime | None:
    found: datetime | None = Schedule.objects.get(name="master tick").next_run
    return found


@pytest.fixture
def broker() -> OrmBroker:
    """One that has looked at noon, with its rows on time."""
    schedules.ensure()
    Schedule.objects.update(next_run=NOON.replace(second=15))
    broker = OrmBroker()
    cycle(broker, NOON)
    return broker


def test_a_clock_that_was_set_back_takes_the_rows_with_it(broker: OrmBroker) -> None:
    cycle(broker, NOON - timedelta(hours=1))
    assert next_tick() == datetime(2026, 11, 23, 11, 0, 15, tzinfo=UTC)
    assert not Heartbeat.objects.exists()


def test_rows_left_ahead_while_it_was_down_come_back_at_the_start() -> None:
    Schedule.objects.update(next_run=NOON + timedelta(hours=1))
    cycle(OrmBroker(), NOON)
    assert next_tick() == NOON.replace(second=15)


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_was_set_forward_fires_at_once(broker: OrmBroker) -> None:
    cycle(broker, NOON + timedelta(hours=1))
    assert Heartbeat.objects.get().at == NOON + timedelta(hours=1)
    assert next_tick() == datetime(2026, 11, 23, 13, 0, 15, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_ticks_that_fail_to_come_are_reported_by_the_sentinel(
    broker: OrmBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the row of the master tick is gone: the sentinel lives, and nothing ticks."""
    Schedule.objects.all().delete()
    heartbeat.record(now=NOON)
    for seconds in (15, 30, 45, 60):
        cycle(broker, NOON + timedelta(seconds=seconds))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC"
    ]


@pytest.mark.django_db(transaction=True)
def test_the_first_tick_after_a_pause_leaves_the_pause_to_be_reported(
    broker: OrmBroker, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat.record(now=NOON)
    cycle(broker, NOON + timedelta(minutes=5))
    reported = [record.getMessage() for record in caplog.records if record.name == "polling.monitoring.heartbeat"]
    assert reported == [
        "the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC",
        "the master tick is back, after 0:05:00 without one",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_does_not_keep_the_sentinel_from_reporting_that_no_tick_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:9/0")
    schedules.ensure()
    Schedule.objects.update(next_run=NOON.replace(second=15))
    heartbeat.record(now=NOON)
    broker = RedisBroker()
    for seconds in (0, 15, 30, 45, 60):
        cycle(broker, NOON + timedelta(seconds=seconds))
    [problem] = [record.getMessage() for record in caplog.records if record.name == "polling.worker.broker"]
    assert problem.startswith("the queue in Redis takes nothing; no tick is run until it does: ConnectionError")
    assert not [record for record in caplog.records if record.name == "django-q"], "django-q2 heard of no error"
    reported = [record.getMessage() for record in caplog.records if record.name == "polling.monitoring.heartbeat"]
    assert reported == ["the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC"]
    assert next_tick() == NOON.replace(second=15), "it is due until it can be made"


def test_nothing_fires_between_ticks_or_while_the_cluster_stops(broker: OrmBroker) -> None:
    cycle(broker, NOON.replace(second=10))
    cycle(broker, NOON.replace(second=16), status=Conf.STOPPING)
    assert not Heartbeat.objects.exists()


# --- by-products ------------------------------------------------------------------------------------------------


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the broker reported, each message up to its reason."""
    found = [record.getMessage() for record in caplog.records if record.name in ("polling.worker.broker", "django-q")]
    return [message.split(":")[0] for message in found]


@pytest.mark.django_db(transaction=True)
def test_statistics_that_cannot_be_stored_hold_no_tick_and_are_reported_when_that_begins_and_ends(
    broker: OrmBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "RETRY_SECONDS", 0.0)
    in_the_way = tmp_path / "cluster"
    broker.cache = FileBasedCache(str(in_the_way), {})
    in_the_way.rmdir()
    in_the_way.write_text("a file where the directory should be, so that root cannot write there either")
    for slot in (15, 30):
        for seconds in (0.1, 0.6, 1.1):
            cycle(broker, NOON.replace(second=slot) + timedelta(seconds=seconds))
        assert Heartbeat.objects.get().at == NOON.replace(second=slot, microsecond=100_000)
    assert messages(caplog) == ["the cluster's statistics cannot be stored; ticks and polls go on"]
    in_the_way.unlink()
    cycle(broker, NOON.replace(second=32))
    cycle(broker, NOON.replace(second=33))
    assert [message.split(",")[0] for message in messages(caplog)[1:]] == ["no longer"]
    assert list(in_the_way.iterdir())


def test_a_cluster_starts_though_its_statistics_have_no_place(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "cluster"
    in_the_way.write_text("")
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {**settings.CACHES, "cluster": {"BACKEND": backend, "LOCATION": str(in_the_way)}}
    broker = OrmBroker()
    cycle(broker, NOON, status=Conf.STARTING)
    assert messages(caplog) == ["the cluster's statistics cannot be stored; ticks and polls go on"]


def test_statistics_that_take_long_to_store_are_stored_less_often(
    broker: OrmBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "SLOW_SECONDS", -1.0)
    cycle(broker, NOON.replace(second=2))
    broker.cache.delete("key")
    cycle(broker, NOON.replace(second=3))
    assert broker.cache.get("key") is None


@pytest.mark.django_db(transaction=True)
def test_a_schedule_row_that_breaks_does_not_hold_the_tick(broker: OrmBroker, caplog: pytest.LogCaptureFixture) -> None:
    """django-q2 runs all rows that are due in one transaction, which the broken one undoes."""
    broken = Schedule.objects.create(name="by hand", func="polling.tasks.prune", cron="* * * * *", args="of what?")
    Schedule.objects.filter(pk=broken.pk).update(next_run=NOON)
    for slot in (15, 30):
        cycle(broker, NOON.replace(second=slot + 1))
        assert Heartbeat.objects.get().at == NOON.replace(second=slot + 1)
    broken.delete()
    cycle(broker, NOON.replace(second=46))
    assert Heartbeat.objects.get().at == NOON.replace(second=46)
    reported = [record for record in caplog.records if record.name == "polling.worker.broker"]
    assert [record.levelname for record in reported] == ["ERROR", "WARNING"]
    assert "is a row broken?" in reported[0].getMessage()


def test_a_mistyped_cron_of_another_row_keeps_none_from_coming_back(broker: OrmBroker) -> None:
    ahead = NOON + timedelta(days=1)
    Schedule.objects.create(name="by hand", func="polling.tasks.prune", cron="* * * * *", next_run=ahead)
    Schedule.objects.filter(name="by hand").update(schedule_type=Schedule.CRON, cron="every day")
    cycle(broker, NOON - timedelta(hours=1))
    assert next_tick() == datetime(2026, 11, 23, 11, 0, 15, tzinfo=UTC)
