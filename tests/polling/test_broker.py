"""The broker's place in the sentinel: it keeps time, also when the clock is set."""

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import redis
import time_machine
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.signing import SignedPackage

from polling import pulse, schedules
from polling.broker import OrmBroker, RedisBroker
from polling.models import Heartbeat

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
def test_ticks_that_fail_to_come_are_said_by_the_sentinel(broker: OrmBroker, caplog: pytest.LogCaptureFixture) -> None:
    """As where the row of the master tick is gone: the sentinel lives, and nothing ticks."""
    Schedule.objects.all().delete()
    pulse.beat(now=NOON)
    for seconds in (15, 30, 45, 60):
        cycle(broker, NOON + timedelta(seconds=seconds))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC"
    ]


@pytest.mark.django_db(transaction=True)
def test_the_first_tick_after_a_pause_leaves_the_pause_to_be_said(
    broker: OrmBroker, caplog: pytest.LogCaptureFixture
) -> None:
    pulse.beat(now=NOON)
    cycle(broker, NOON + timedelta(minutes=5))
    said = [record.getMessage() for record in caplog.records if record.name == "polling.pulse"]
    assert said == [
        "the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC",
        "the master tick is back, after 0:05:00 without one",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_does_not_keep_the_sentinel_from_saying_that_no_tick_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:9/0")
    schedules.ensure()
    Schedule.objects.update(next_run=NOON.replace(second=15))
    pulse.beat(now=NOON)
    broker = RedisBroker()
    for seconds in (0, 15, 30, 45, 60):
        with pytest.raises(redis.ConnectionError):
            cycle(broker, NOON + timedelta(seconds=seconds))
    said = [record.getMessage() for record in caplog.records if record.name == "polling.pulse"]
    assert said == ["the master tick is overdue: the last one ended at 2026-11-23 12:00:01 UTC"]
    assert next_tick() == NOON.replace(second=15), "it is due until it can be made"


def test_nothing_fires_between_ticks_or_while_the_cluster_stops(broker: OrmBroker) -> None:
    cycle(broker, NOON.replace(second=10))
    cycle(broker, NOON.replace(second=16), status=Conf.STOPPING)
    assert not Heartbeat.objects.exists()
